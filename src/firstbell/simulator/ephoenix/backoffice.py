"""The back office: who am I, and what do I hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firstbell.simulator.ephoenix.wire import as_whole, reply

if TYPE_CHECKING:
    from firstbell.simulator.ephoenix.visit import Visit
    from firstbell.simulator.ephoenix.wire import Reply


def get_customer_info(visit: Visit) -> Reply:
    """``GET /api/party/getcustomerinfo``: a cheap proof that the token lives."""
    investor = visit.holder
    customer = {"customerName": f"سرمایه گذار {investor.username}", "userName": investor.username}
    return reply({"isError": False, "message": None, "result": customer})


def get_holdings(visit: Visit) -> Reply:
    """``POST /api/portfolio/getrealsecuritypositionbydate``: shares by instrument."""
    visit.desk.exchange.advance(visit.arrived)
    account = visit.desk.exchange.accounts[visit.holder.account]
    rows = [{"isin": isin, "remainVolume": as_whole(shares)} for isin, shares in account.holdings.items() if shares]
    return reply({"isError": False, "message": None, "result": rows})
