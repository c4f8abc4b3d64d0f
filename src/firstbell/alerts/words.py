"""What is said, in short texts for people: every number grouped, every order with its account, broker and ids. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from firstbell.alerts.base import Importance, Message
from firstbell.model.money import exact, grouped
from firstbell.model.order_status import NEVER_PLACED, OrderStatus
from firstbell.model.terms import OrderRole, OrderType

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from decimal import Decimal

    from firstbell.journal.base import Entry
    from firstbell.model.order import Order, OrderState
    from firstbell.model.order_request import OrderRequest
    from firstbell.model.report import Fill

MOST_LINES: Final = 40
"""Orders or accounts that one message lists; of the others it says how many there are."""
_LONGEST_REASON: Final = 400
_OUTCOMES: Final = ("accepted", "rejected", "unresolved", "not_sent")
_ROLES: Final = {OrderRole.STOP_LOSS: "stop loss: ", OrderRole.TAKE_PROFIT: "take profit: "}


@dataclass(frozen=True, slots=True)
class Ready:
    """A go or no-go for one account before the bell.

    Attributes:
        account: The account.
        broker_code: Its broker.
        words: What would be sent, where it may go; why not, where it may not.
        go: Whether it may go.
    """

    account: str
    broker_code: str
    words: str
    go: bool


def order_line(order: Order, symbol: str | None = None, state: OrderState | None = None) -> str:
    """An order in one line: ``Order_A (shahr): buy 170,018 MHRN IRO1MHRN0001 at 5,860``.

    Args:
        order: The order.
        symbol: What people call its instrument, where that is known.
        state: Its state, for an order whose terms may have been changed.
    """
    quantity = order.quantity if state is None else state.quantity
    name = order.instrument if symbol in {None, "", order.instrument} else f"{symbol} {order.instrument}"
    role = _ROLES.get(order.role, "")
    what = f"{role}{order.side.value} {grouped(quantity)} {name} {_terms(order, state)}"
    return f"{order.account} ({order.broker_code}): {what}"


def _terms(order: Order, state: OrderState | None) -> str:
    price = order.price if state is None else state.price
    trigger = order.instructions.trigger_price if state is None else state.trigger_price
    limit = f"at {grouped(price)}" if order.order_type.has_limit else "at the market"
    if order.order_type is OrderType.TRAILING_STOP and order.instructions.trailing_offset is not None:
        limit += f", {grouped(order.instructions.trailing_offset)} behind the best price"
    words = limit if trigger is None else f"{limit}, once {grouped(trigger)} has traded"
    left_at = None if state is None or order.order_type.has_limit else state.changed.price
    # Where a broker takes no market orders that is its limit there.
    return words if left_at is None else f"{words}; left at {grouped(left_at)}"


def ids(order: Order, venue_order_id: str | None) -> str:
    """An order's names: the broker's, and ours."""
    return f"id {venue_order_id}, ours {order.client_order_id}" if venue_order_id else f"ours {order.client_order_id}"


def about(
    title: str,
    state: OrderState,
    symbol: str | None,
    *more: str,
    reason: str | None = None,
    importance: Importance = Importance.NORMAL,
) -> Message:
    """What happened to an order: the order with its terms as they are now, what more there is, why, and its names."""
    order = state.order
    why = [_cut(reason)] if reason else []
    return Message(title, (order_line(order, symbol, state), *more, *why, ids(order, state.venue_order_id)), importance)


def denied(account: str, broker_code: str, request: OrderRequest, symbol: str | None, why: str) -> Message:
    """A request that was denied before it became an order: it has no names, and stands in the order log alone.

    It matters least, so that a program that is denied again and again takes nobody else's place.
    """
    name = request.instrument if symbol in {None, "", request.instrument} else f"{symbol} {request.instrument}"
    limit = "at the market" if request.price is None else f"at {grouped(request.price)}"
    trigger = "" if request.trigger_price is None else f", once {grouped(request.trigger_price)} has traded"
    role = "" if request.role is None else _ROLES.get(request.role, "")
    what = f"{role}{request.side.value} {grouped(request.quantity)} {name} {limit}{trigger}"
    return Message("Denied", (f"{account} ({broker_code}): {what}", _cut(why)), Importance.LOW)


def traded(fill: Fill | None, state: OrderState) -> str:
    """What has traded: now, where a trade says so, and in all.

    Args:
        fill: The trade that is told of; None where only a sum is.
        state: The order after it.
    """
    now = "" if fill is None else f"{grouped(fill.last_qty)} at {grouped(fill.last_px)}"
    filled = grouped(state.filled_qty)
    if state.status is not OrderStatus.FILLED or state.filled_qty < state.quantity:
        in_all = f"{filled} of {grouped(state.quantity)} so far"
    elif fill is not None and fill.last_qty == state.filled_qty:
        in_all = ""
    else:
        in_all = f"{filled} in all, {average(state) or 'at prices that nobody has told yet'}"
    return "; ".join(words for words in (now, in_all) if words)


def average(state: OrderState) -> str | None:
    """At what price an order has traded on average; None while some of its trades have no price."""
    if state.avg_px is None:
        return None
    return f"at {grouped(round(state.avg_px, 2))} on average"


def halted(words: str, *, reducing: bool = False) -> Message:
    """Trading is halted, or may only reduce; `words` say since when, by whom and why."""
    what = "No buy leaves" if reducing else "Nothing leaves"
    lines = (f"Trading is {words}", f"{what} until /resume or `firstbell resume`.")
    return Message("Reducing" if reducing else "Halted", lines, Importance.HIGH)


def resumed(by: str) -> Message:
    """It is no longer."""
    return Message(
        "Resumed",
        (f"Orders may leave again; those of a bell in runs started from now on. Resumed by {by}.",),
        Importance.HIGH,
    )


def readiness(title: str, bell: datetime, rows: Sequence[Ready]) -> Message:
    """Before the bell: who may go and who may not, those that may not first.

    Args:
        title: At which moment: ``Warmed up``, ``Armed``.
        bell: The bell, in exchange time.
        rows: The accounts, in the config's order.
    """
    going = sum(row.go for row in rows)
    head = f"{going} of {len(rows)} go; the bell is at {bell:%H:%M:%S} on {bell:%Y-%m-%d}"
    lines = [f"{'go' if row.go else 'NO-GO'} {row.account} ({row.broker_code}): {_cut(row.words)}" for row in rows]
    ordered = sorted(zip(rows, lines, strict=True), key=lambda each: each[0].go)
    importance = Importance.NORMAL if going == len(rows) else Importance.HIGH
    return Message(title, (head, *_few([line for _, line in ordered])), importance)


def summary(document: Mapping[str, Any]) -> Message:
    """What a run came to, from its ``orders.json``: what went wrong first."""
    counts = document["summary"]
    said = ", ".join(f"{counts[name]} {name.replace('_', ' ')}" for name in _OUTCOMES if counts[name])
    rows = sorted(document["orders"], key=lambda row: row["outcome"] == "accepted")
    lines = [f"{counts['configured']} configured: {said or 'nothing'}", *_few([_result(row) for row in rows])]
    late = (document.get("lateness") or {}).get("median_us")
    if late is not None:
        lines.append(f"late, median: {late / 1000:.1f} ms")
    return Message(f"Run {document['run']}", tuple(lines), Importance.HIGH)


def _result(row: Mapping[str, Any]) -> str:
    side, quantity, price = row["side"], row["quantity"], row["price"]
    what = (
        side if quantity is None or price is None else f"{side} {grouped(exact(quantity))} at {grouped(exact(price))}"
    )
    named = f", id {row['venue_order_id']}" if row["venue_order_id"] else ""
    reason = f": {_cut(row['reason'])}" if row["reason"] else ""
    outcome = str(row["outcome"]).replace("_", " ")
    return f"{outcome} {row['account']} ({row['broker_code']}): {what} {row['instrument']}{named}{reason}"


def orders(title: str, entries: Iterable[Entry], symbol_of: Mapping[str, str]) -> Message:
    """Orders and where each stands, the newest first."""
    lines = [_standing(entry, symbol_of) for entry in entries]
    lines.reverse()
    return Message(title, tuple(_few(lines)) or ("None.",), Importance.HIGH)


def standing(entry: Entry) -> str:
    """Where an order stands, in a word or two."""
    if entry.is_held_back:
        return "held back"
    return f"{entry.state.status.value}{' (unresolved)' if entry.state.unresolved else ''}"


def _standing(entry: Entry, symbol_of: Mapping[str, str]) -> str:
    state = entry.state
    order = state.order
    filled = f", {grouped(state.filled_qty)} filled" if state.filled_qty else ""
    line = order_line(order, symbol_of.get(order.instrument), state)
    why = f" ({_cut(state.reason)})" if state.status in NEVER_PLACED and state.reason else ""
    return f"{standing(entry)}{filled}: {line}{why}; {ids(order, state.venue_order_id)}"


def position(
    account: str, broker_code: str, instrument: str, net: Decimal, avg_px: Decimal | None, *, estimated: bool = False
) -> str:
    """What one account has traded of one instrument: bought less sold, and the average price of that side.

    Where some price was not told by the broker, the average is an estimate, and has a ~ before it.
    """
    price = "" if avg_px is None else f" at {'~' if estimated else ''}{grouped(round(avg_px, 2))} on average"
    return f"{account} ({broker_code}): {'+' if net > 0 else ''}{grouped(net)} {instrument}{price}"


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]}…"


def _few(lines: Sequence[str]) -> list[str]:
    left = len(lines) - MOST_LINES
    return list(lines) if left <= 1 else [*lines[:MOST_LINES], f"… and {left:,} more"]
