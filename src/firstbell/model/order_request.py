"""What somebody wants done, before it has been checked, named and written down. Validated when it is made."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from firstbell.model.money import exact
from firstbell.model.terms import OrderRole, OrderType, Side, TimeInForce

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from decimal import Decimal

    from firstbell.model.identifiers import AccountName, InstrumentId

_NUMBERS: Final = ("quantity", "price", "trigger_price", "trailing_offset")
_TRIGGERED: Final = frozenset({OrderType.STOP, OrderType.STOP_LIMIT})
_NAMES: Final = frozenset({"instrument", "account", "key", "exchange", "token", "product"})
_LONGEST_TEXT: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """An order that somebody asks for. Side and type have to be said: nothing is a buy, or a market order, by itself.

    Numbers may be given as `int`, `str` or `Decimal`, never as `float`.

    Attributes:
        instrument: ISIN or symbol.
        side: Buy or sell.
        order_type: What it asks for.
        quantity: How many shares or contracts.
        price: The limit price; where the type has a limit, and only there.
        trigger_price: From which price on it may trade; for stops, and only there. A trailing stop may begin with one.
        trailing_offset: How far the trigger stays behind the best price, for trailing stops.
        time_in_force: How long it stays.
        expires_at: When it ends, aware, for `TimeInForce.GTD`.
        account: The account it is for; may be left out where there is but one.
        role: What it is for; None where a buy enters and a sell exits.
        key: The caller's own name for it. The same key of the same login and day is the same order: it is placed once,
            however often it is asked for, also across restarts; only where every order made of it was refused for
            certain may it be asked for again. None: each request is an order of its own.
        exchange: Where it trades, for brokers with several exchanges: ``NFO``.
        token: The broker's number of the instrument, for brokers that want one.
        product: The broker's word for how it is held: ``MIS``, ``NRML``, ``CNC``.

    Raises:
        ValueError: It cannot be an order; the message names everything that is wrong.
    """

    instrument: InstrumentId
    side: Side
    order_type: OrderType
    quantity: Decimal
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    trailing_offset: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.DAY
    expires_at: datetime | None = None
    account: AccountName | None = None
    role: OrderRole | None = None
    key: str | None = None
    exchange: str | None = None
    token: str | None = None
    product: str | None = None

    def __post_init__(self) -> None:
        wrong_words = [*self._read_words()]
        problems = [*wrong_words, *positive_numbers(self, _NUMBERS, needed="quantity")]
        if not wrong_words:
            problems += self._misfits()
        if problems:
            raise ValueError("; ".join(problems))

    def _read_words(self) -> Iterator[str]:
        kinds: tuple[tuple[str, Any], ...] = (("side", Side), ("order_type", OrderType), ("time_in_force", TimeInForce))
        for name, kind in (*kinds, *((("role", OrderRole),) if self.role is not None else ())):
            try:
                object.__setattr__(self, name, kind(getattr(self, name)))
            except ValueError:
                yield f"{name}: {getattr(self, name)!r} is none of {', '.join(kind)}"
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name not in _NAMES or (value is None and field.name != "instrument"):
                continue
            if not isinstance(value, str) or not value.strip() or len(value) > _LONGEST_TEXT or not value.isprintable():
                yield f"{field.name}: {value!r} is no name of 1 to {_LONGEST_TEXT} characters"

    def _misfits(self) -> Iterator[str]:
        kind = self.order_type
        if kind.has_limit and self.price is None:
            yield f"price: an order of type {kind} needs one"
        if not kind.has_limit and self.price is not None:
            yield f"price: an order of type {kind} has none"
        if kind in _TRIGGERED and self.trigger_price is None:
            yield f"trigger_price: an order of type {kind} needs one"
        if not kind.waits and self.trigger_price is not None:
            yield f"trigger_price: an order of type {kind} has none"
        if (kind is OrderType.TRAILING_STOP) is not (self.trailing_offset is not None):
            yield f"trailing_offset: trailing stops need one, and no other order has one; this is of type {kind}"
        if (self.time_in_force is TimeInForce.GTD) is not (self.expires_at is not None):
            yield f"expires_at: gtd needs it, and no other time in force has it; this is {self.time_in_force}"
        if self.expires_at is not None and not isinstance(self.expires_at, datetime):
            yield f"expires_at: {self.expires_at!r} is no point in time"
        elif self.expires_at is not None and self.expires_at.tzinfo is None:
            yield "expires_at: it has no time zone"


def positive_numbers(request: Any, names: Iterable[str], needed: str | None = None) -> Iterator[str]:
    """Read fields of a request that is being made as exact numbers, in place; what is wrong with them, in words.

    Args:
        request: The request, frozen otherwise.
        names: Which fields; None stays None.
        needed: The one that may not be None.
    """
    for name in names:
        value = getattr(request, name)
        if value is None and name != needed:
            continue
        try:
            number = exact(value)
        except ValueError as error:
            yield f"{name}: {error}"
            continue
        if number <= 0:
            yield f"{name}: {number} is not more than zero"
        object.__setattr__(request, name, number)
