"""The back office: who am I, and what do I hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firstbell.simulator.ephoenix.wire import answer, as_whole

if TYPE_CHECKING:
    from aiohttp import web

    from firstbell.simulator.ephoenix.visit import Visit


async def get_customer_info(visit: Visit) -> web.Response:
    """``GET /api/party/getcustomerinfo``: a cheap proof that the token lives."""
    investor = visit.holder
    customer = {"customerName": f"سرمایه گذار {investor.username}", "userName": investor.username}
    return answer({"isError": False, "message": None, "result": customer})


async def get_holdings(visit: Visit) -> web.Response:
    """``POST /api/portfolio/getrealsecuritypositionbydate``: shares by instrument."""
    visit.desk.exchange.advance(visit.arrived)
    account = visit.desk.exchange.accounts[visit.holder.account]
    rows = [{"isin": isin, "remainVolume": as_whole(shares)} for isin, shares in account.holdings.items() if shares]
    return answer({"isError": False, "message": None, "result": rows})
