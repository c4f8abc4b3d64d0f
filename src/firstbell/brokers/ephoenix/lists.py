"""How the lists are read: the day's orders, the open ones, the trades. Pure.

A list that is not whole proves nothing, and an order that is missing from it may be there. So a list is read until it
has as many rows as it says it has, and anything else is an error.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from firstbell.brokers.base import PartlyUnreadable, VenueFill, VenueOrder
from firstbell.brokers.ephoenix.answers import document_of, read_isin
from firstbell.brokers.ephoenix.fields import Fields, number_in, rows_in
from firstbell.errors import BrokerError, Unreadable
from firstbell.model.identifiers import VenueOrderId
from firstbell.model.money import plain
from firstbell.model.report import Fill
from firstbell.model.terms import Side

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from firstbell.brokers.base import Answer

_SIDES: Final = {1: Side.BUY, 2: Side.SELL}
_DONE: Final = frozenset({"3", "4", "5", "10"})
"""Executed, canceled, and the two errors; every other state still works, and so does one that nobody knows."""
_EXECUTED: Final = "3"
_ERRORS: Final = frozenset({"5", "10"})
_MOST_PAGES: Final = 500
_MOST_ROWS: Final = 50_000
"""A list that says it is longer is not one day's of one account, and is not read."""
_YEARS: Final = range(2000, 2201)
"""Years that a time can be of; beyond the calendar's ends it could not even be told in another zone."""
_FRESH_STARTS: Final = 3
_BLUR: Final = Decimal("0.01")
"""So little of a rial is what a binary fraction has left of an average."""
_LARGEST_FEE: Final = Decimal("0.02")
"""Of a trade's value. More is no fee: then the price was an average, or the net amount means something else."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list.

    Attributes:
        rows: Its rows, as far as they can be read.
        total: How many rows the whole list has.
        unread: Why each of the others cannot be.
    """

    rows: tuple[VenueOrder, ...]
    total: int
    unread: tuple[Unreadable, ...] = ()


def read_page(answer: Answer, host: str) -> Page:
    """Read one page of the day's orders.

    Raises:
        BrokerError: It cannot be read, or is a refusal.
    """
    said = Fields(document_of(answer, "orders of the day", host), "page of orders", host).unwrapped("totalRecords")
    rows = said.get("rows")
    if not isinstance(rows, list):
        raise said.unreadable("rows is missing")
    read, unread = _orders(rows, host)
    return Page(read, int(said.count("totalRecords")), unread)


def read_open_orders(answer: Answer, host: str) -> tuple[VenueOrder, ...]:
    """Read the orders that still work.

    Raises:
        PartlyUnreadable: Some rows cannot be read.
        BrokerError: They cannot be read, or are refused.
    """
    document = document_of(answer, "open orders", host)
    read, unread = _orders(rows_in(document, "list of open orders", host, "rows"), host)
    if unread:
        raise _partly(read, unread, host)
    return read


def _orders(rows: Sequence[object], host: str) -> tuple[tuple[VenueOrder, ...], tuple[Unreadable, ...]]:
    """The orders of rows, and why each of those that are none cannot be read: one of them hides no other."""
    read, unread = list[VenueOrder](), list[Unreadable]()
    for row in rows:
        try:
            read.append(_order(row, host))
        except Unreadable as error:
            unread.append(error)
    return tuple(read), tuple(unread)


def _partly(rows: Sequence[VenueOrder], unread: Sequence[Unreadable], host: str) -> PartlyUnreadable:
    return PartlyUnreadable(f"{unread[0]} ({len(unread)} of {len(rows) + len(unread)} rows)", rows, host=host)


def whole_list(page: Callable[[int], Page], host: str) -> tuple[VenueOrder, ...]:
    """Every row of a list that comes in pages.

    While it is read the list may grow, and then rows move from one page to the next: it is read anew.

    Args:
        page: Reads one page, by its number.
        host: Whose list it is.

    Raises:
        PartlyUnreadable: It came to be whole, and some of its rows cannot be read.
        Unreadable: It never came to be whole.
        BrokerError: A page could not be read.
    """
    why = ""
    for _ in range(_FRESH_STARTS):
        reading = _Reading(page)
        why = reading.read()
        if not why and reading.unread:
            raise _partly(reading.rows, reading.unread, host)
        if not why:
            return tuple(reading.rows)
    raise Unreadable(f"{host}: the list of the day's orders did not come whole: {why}", host=host)


class _Reading:
    """One attempt at a whole list."""

    def __init__(self, page: Callable[[int], Page]) -> None:
        self._page = page
        self._total = 0
        self._seen: set[VenueOrderId] = set()
        self.rows: list[VenueOrder] = []
        self.unread: list[Unreadable] = []

    @property
    def _count(self) -> int:
        return len(self.rows) + len(self.unread)

    def read(self) -> str:
        """Read all pages; why the list is not whole, or an empty text when it is."""
        first = self._page(1)
        self._total = first.total
        if self._total > _MOST_ROWS:
            return f"{self._total} rows were announced, more than {_MOST_ROWS}"
        why = self._add(first)
        for number in range(2, _MOST_PAGES):
            if why or self._count >= self._total:
                break
            following = self._page(number)
            if not (following.rows or following.unread):
                break
            why = self._add(following)
        if not why and self._count < self._total:
            # Nobody has said that pages are counted from one.
            why = self._add_page_zero()
        if not why and self._count != self._total:
            why = f"{self._count} rows came, {self._total} were announced"
        return why

    def _add(self, page: Page) -> str:
        if page.total != self._total:
            return "its length changed while it was read"
        if any(row.venue_order_id in self._seen for row in page.rows):
            return "a row came on two pages"
        self._seen |= {row.venue_order_id for row in page.rows}
        self.rows += page.rows
        self.unread += page.unread
        return ""

    def _add_page_zero(self) -> str:
        try:
            return self._add(self._page(0))
        except BrokerError:
            return f"{self._count} rows came, {self._total} were announced"


def _order(value: Any, host: str) -> VenueOrder:
    row = Fields(value, "row of an order", host)
    state = _state(row)
    quantity = (row.maybe_count("volume") or Decimal(0)) if state in _ERRORS else row.count("volume")
    filled = _filled(row, quantity, state)
    if not 0 <= filled <= quantity:
        raise row.unreadable("more was executed than ordered, or less than nothing")
    # What has traded was on the book, whatever ended it. What never was may be there for want of a price.
    refused = state in _ERRORS and filled == 0
    return VenueOrder(
        venue_order_id=_serial(row),
        instrument=read_isin(row),
        side=_side(row, "orderSide", "side"),
        price=(row.maybe_number("price") or Decimal(0)) if refused else row.positive("price"),
        quantity=quantity,
        filled_qty=filled,
        working=state not in _DONE,
        refused=refused,
        created_at=_wall_clock(row.text("created")),
        status=state,
    )


def _state(row: Fields) -> str:
    number = number_in(row.get("state"))
    return row.text("state") if number is None else str(plain(number))


def _filled(row: Fields, quantity: Decimal, state: str) -> Decimal:
    """What has traded; where no volume says, what the state alone says: all of it once executed, else nothing sure."""
    executed = row.maybe_count("executedVolume")
    if executed is not None:
        return executed
    remained = row.maybe_count("remainedVolume")
    if remained is not None:
        return quantity - remained - (row.maybe_count("canceledVolume") or 0)
    return quantity if state == _EXECUTED else quantity * 0


def _serial(row: Fields) -> VenueOrderId:
    serial = row.count("serialNumber", "serialNo", "serial")
    if serial == 0:
        raise row.unreadable("serialNumber is zero")
    return VenueOrderId(str(int(serial)))


def _side(row: Fields, *names: str) -> Side:
    number = int(row.count(*names))
    if number not in _SIDES:
        raise row.unreadable(f"{names[0]} is neither 1 nor 2")
    return _SIDES[number]


@functools.cache
def _tehran() -> ZoneInfo:
    return ZoneInfo("Asia/Tehran")


def _wall_clock(text: str) -> datetime | None:
    """A time of this platform: Tehran's wall clock, though it may be labelled UTC. None where it is no time."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.year not in _YEARS:
        return None
    if moment.utcoffset() in {None, timedelta(0)}:
        return moment.replace(tzinfo=_tehran())
    return moment.astimezone(_tehran())


def read_fills(answer: Answer, host: str) -> tuple[VenueFill, ...]:
    """Read the day's trades.

    No name for a trade is documented. Where a row has none, its name is made of the row's own facts and of how many
    rows were like it before: the same list gives the same names again, and two trades that are alike stay two. But such
    a row may be an order's sum so far, so it is said that the name is not the platform's.

    The fee is what the net amount leaves of the trade's value, where that can be a fee.

    Raises:
        BrokerError: They cannot be read, or are refused.
    """
    document = document_of(answer, "trades of the day", host)
    alike: Counter[str] = Counter()
    found = []
    for value in rows_in(document, "list of trades", host, "rows"):
        row = Fields(value, "row of a trade", host)
        quantity = row.shares("volume")
        price = _unblurred(row.positive("price", "avgPrice"), quantity)
        instrument, side = read_isin(row), _side(row, "tradeType", "orderSide", "side")
        serial = row.maybe_number("serialNumber")
        order = None if not serial else _serial(row)
        name = row.text("tradeNumber", "tradeId", "tradeNo")
        named = bool(name)
        if not named:
            when = row.text("tradeDate", "date", "created", "time")
            facts = [instrument, side.value, str(quantity), str(price), order, row.text("netAmount"), when]
            digest = hashlib.blake2b(json.dumps(facts).encode(), digest_size=8).hexdigest()
            alike[digest] += 1
            name = f"{digest}-{alike[digest]}"
        fee = _fee(side, quantity * price, row.maybe_number("netAmount"))
        found.append(VenueFill(instrument, side, Fill(name, quantity, price, fee), order, named))
    return tuple(found)


def _unblurred(price: Decimal, quantity: Decimal) -> Decimal:
    """An average price without what a binary fraction has left of it: trades come to whole rials."""
    worth = price * quantity
    whole = round(worth)
    return whole / quantity if worth != whole and abs(worth - whole) < _BLUR else price


def _fee(side: Side, worth: Decimal, net: Decimal | None) -> Decimal | None:
    """What a trade has cost beyond its value; None where nothing says it, or what does can be no fee."""
    if net is None:
        return None
    fee = net - worth if side is Side.BUY else worth - net
    return fee if 0 <= fee <= worth * _LARGEST_FEE else None
