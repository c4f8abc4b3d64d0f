"""What the paper market keeps between processes, as texts. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from datetime import date
from typing import TYPE_CHECKING, Any

from firstbell.model.facts import Facts, document, number_of, texts_of
from firstbell.model.identifiers import InstrumentId
from firstbell.model.instrument import Instrument
from firstbell.model.order_status import OrderStatus
from firstbell.model.price_band import PriceBand
from firstbell.model.terms import Side, TimeInForce
from firstbell.simulator.accounts import Account
from firstbell.simulator.orders import ExchangeOrder, Trade

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal


def text(facts: Mapping[str, Any]) -> str:
    """Facts as one line of JSON: numbers that are not whole by nature, and days, as texts."""
    return json.dumps(facts, ensure_ascii=False, separators=(",", ":"), default=str)


def facts(body: str) -> Facts:
    """The facts of a line.

    Raises:
        ValueError: It holds none.
    """
    return Facts(document(body))


def order_text(order: ExchangeOrder) -> str:
    """An order."""
    return text(asdict(order))


def order_of(said: Facts) -> ExchangeOrder:
    """An order.

    Raises:
        ValueError: It is none.
    """
    return ExchangeOrder(
        said.whole("serial"),
        said.whole("number_of_account"),
        said.text("account"),
        InstrumentId(said.text("instrument")),
        Side(said.text("side")),
        said.number("price"),
        said.number("quantity"),
        said.whole("created_at"),
        OrderStatus(said.text("status")),
        said.number("filled_qty"),
        said.number("filled_value"),
        said.flag("edited"),
        TimeInForce(said.text("time_in_force")),
        said.whole("place"),
        said.maybe_whole("ended_at"),
        said.maybe_text("client_order_id"),
    )


def account_text(account: Account) -> str:
    """An account."""
    return text({field.name: getattr(account, field.name) for field in fields(account)})


def account_of(said: Facts) -> Account:
    """An account.

    Raises:
        ValueError: It is none.
    """
    account = Account(
        said.text("name"),
        said.number("money"),
        said.number("reserved_money"),
        last_order_at=said.maybe_whole("last_order_at"),
        unbound=said.flag("unbound"),
    )
    for kept, name in ((account.holdings, "holdings"), (account.reserved_shares, "reserved_shares")):
        kept.update({InstrumentId(isin): number_of(shares) for isin, shares in said.items(name)})
    return account


def trade_text(trade: Trade, buyer: str, seller: str) -> str:
    """A trade, and the accounts on its two sides."""
    return text({**asdict(trade), "buyer": buyer, "seller": seller})


def trade_of(said: Facts) -> tuple[Trade, str, str]:
    """A trade, and the accounts on its two sides.

    Raises:
        ValueError: It is none.
    """
    trade = Trade(
        said.whole("number"),
        said.whole("at"),
        InstrumentId(said.text("instrument")),
        said.number("price"),
        said.number("quantity"),
        said.whole("buy"),
        said.whole("sell"),
    )
    return trade, said.text("buyer"), said.text("seller")


def instrument_facts(instrument: Instrument) -> dict[str, Any]:
    """An instrument."""
    return asdict(instrument)


def instrument_of(said: Facts) -> Instrument:
    """An instrument.

    Raises:
        ValueError: It is none.
    """
    band, expiry = said.inner("band"), said.maybe_text("expiry")
    if band is None:
        raise ValueError("an instrument has no band")
    return Instrument(
        InstrumentId(said.text("id")),
        said.text("symbol"),
        said.text("name"),
        PriceBand(band.number("low"), band.number("high")),
        said.number("min_quantity"),
        said.number("max_quantity"),
        said.number("lot_size"),
        said.maybe_number("reference_price"),
        said.maybe_number("last_price"),
        said.text("state"),
        None if expiry is None else date.fromisoformat(expiry),
        said.maybe_number("tick_size"),
    )


def prices(said: Facts, name: str) -> dict[InstrumentId, Decimal]:
    """Numbers by instrument.

    Raises:
        ValueError: They are none.
    """
    return {InstrumentId(isin): number_of(number) for isin, number in said.items(name)}


def isins(said: Facts, name: str) -> set[InstrumentId]:
    """A set of instruments.

    Raises:
        ValueError: It is none.
    """
    return {InstrumentId(isin) for isin in texts_of(said.list(name))}
