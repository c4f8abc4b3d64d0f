"""Trades that a broker lists without their order: whose they are, where only one order can be it. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from firstbell.model.order_status import DONE
from firstbell.oms.orders.summed_trades import Traded, beyond

if TYPE_CHECKING:
    from collections.abc import Sequence

    from firstbell.brokers.base import VenueFill, VenueOrder
    from firstbell.journal.base import Entry
    from firstbell.model.identifiers import InstrumentId
    from firstbell.model.report import Fill
    from firstbell.model.terms import Side

_NOTHING: Final = Decimal(0)


def may_be_of(entry: Entry, entries: Sequence[Entry], fills: Sequence[VenueFill], *, has_price: bool) -> list[Fill]:
    """The trades without an order that make up exactly what has no price yet of an order, if they do.

    Args:
        entry: The order.
        entries: All orders of its login and of the day that are known.
        fills: The broker's trades of the day.
        has_price: Whether the order has a limit at its broker: then no trade of it is worse than that.
    """
    key, state = _key(entry), entry.state
    counted = {trade_id for each in entries if _key(each) == key for trade_id in each.state.trade_ids}
    loose = [
        each
        for each in fills
        if each.venue_order_id is None and (each.instrument, each.side) == key and each.fill.trade_id not in counted
    ]
    if not all(each.named for each in loose) and (state.status not in DONE or state.priced_qty):
        # A row without a name of the broker's own may be a sum that grows.
        return []
    if has_price and any(state.is_worse(each.fill.last_px) for each in loose):
        return []
    whole = sum((each.fill.last_qty for each in loose), _NOTHING) == state.filled_qty - state.priced_qty
    return [each.fill for each in loose] if whole else []


def sum_of(entry: Entry, entries: Sequence[Entry], fills: Sequence[VenueFill], *, has_price: bool) -> list[Fill]:
    """What sums without an order tell of an order beyond what has a price, once those of the others are taken out.

    Args:
        entry: The order.
        entries: All orders of its login and of the day that are known.
        fills: The broker's trades of the day.
        has_price: As for `may_be_of`.
    """
    key, name = _key(entry), entry.intent.order.client_order_id
    rows = [each for each in fills if (each.instrument, each.side) == key]
    if not rows or any(each.named or each.venue_order_id is not None for each in rows):
        return []
    others = [each.state for each in entries if _key(each) == key and each.intent.order.client_order_id != name]
    return beyond(entry.state, Traded.of(each.fill for each in rows).less(others), has_price=has_price)


def is_alone(entry: Entry, entries: Sequence[Entry], rows: Sequence[VenueOrder]) -> bool:
    """Whether no other order of its instrument and side, of ours or anybody's, has trades whose prices are not known.

    Args:
        entry: The order.
        entries: All orders of its login and of the day that are known.
        rows: The broker's list of the day, no older than the trades.
    """
    key, name = _key(entry), entry.state.venue_order_id
    alike = [each for each in entries if _key(each) == key]
    priced = {each.state.venue_order_id: each.state.priced_qty for each in alike}
    priced[name] = entry.state.filled_qty
    traded = {row.venue_order_id: row.filled_qty for row in rows if (row.instrument, row.side) == key}
    ours_known = all(
        each.state.filled_qty == each.state.priced_qty
        for each in alike
        if each.intent.order.client_order_id != entry.intent.order.client_order_id
    )
    if any(row.working and row.venue_order_id not in priced for row in rows if (row.instrument, row.side) == key):
        # Somebody's own order that works may have traded since its row was made: rows are not all of one moment.
        return False
    others_known = all(priced.get(each, _NOTHING) == quantity for each, quantity in traded.items())
    return name in traded and ours_known and others_known


def _key(entry: Entry) -> tuple[InstrumentId, Side]:
    return entry.intent.order.instrument, entry.intent.order.side
