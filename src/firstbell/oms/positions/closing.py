"""Closing positions by themselves: when their target, their stop or their time is reached, and never twice."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol

from firstbell.errors import FirstbellError
from firstbell.model.money import grouped
from firstbell.model.order_request import OrderRequest
from firstbell.model.order_status import DONE, OrderStatus
from firstbell.model.terms import OrderRole, OrderType, Side
from firstbell.oms.listed_days import exchange_day
from firstbell.oms.orders.pauses import Pauses
from firstbell.oms.positions.loss_limits import PositionAlert
from firstbell.risk.trading_state import TradingState
from firstbell.risk.verdict import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import date, datetime, timedelta

    from firstbell.clock import Clock
    from firstbell.model.identifiers import AccountName, ClientOrderId, InstrumentId
    from firstbell.oms.orders.response import OrderResponse
    from firstbell.oms.positions.loss_limits import Alert
    from firstbell.oms.positions.view import PositionView

    Uncovered = Callable[[AccountName, InstrumentId], Decimal]
    """How much of a position no open order ends; see `PositionBook.uncovered`."""

_log = logging.getLogger(__name__)

_REFUSALS: Final = 3
"""So often a day one closing may be refused for certain, for a reason that does not pass; then a person has to look."""
_PASSING: Final = frozenset(
    {
        ErrorCode.MARKET_HOURS_ERROR,
        ErrorCode.NETWORK_ERROR,
        ErrorCode.RATE_LIMIT_ERROR,
        ErrorCode.AUTHENTICATION_ERROR,
    }
)
"""Why a refusal says nothing of the next one."""
_NOTHING: Final = Decimal(0)
_A_PERSON: Final = "; a person has to close it"
_TAKEN_OFF: Final = frozenset({OrderStatus.CANCELED, OrderStatus.EXPIRED})
_MOST: Final = 9
"""So many closing orders one reason may come to a day, each once the one before has traded in full."""
_LONGEST_PAUSE_NS: Final = 60_000_000_000
"""The longest pause after what was not placed, in ns."""


class Closer(Protocol):
    """Places closing orders: what an `firstbell.oms.orders.manager.OrderManager` does."""

    def close_position(self, account: AccountName, request: OrderRequest) -> OrderResponse:
        """Place an order that ends a position. Under one key it is one order of the day, however often asked for.

        Raises:
            FirstbellError: Nothing was placed.
        """
        ...


class Reason(StrEnum):
    """Why a position is closed."""

    STOP = "stop"
    TARGET = "target"
    TIMEOUT = "timeout"


_ROLES: Final = {
    Reason.STOP: OrderRole.STOP_LOSS,
    Reason.TARGET: OrderRole.TAKE_PROFIT,
    Reason.TIMEOUT: OrderRole.EXIT,
}


@dataclass(frozen=True, slots=True)
class Levels:
    """What one position is watched for; None where it is not.

    Attributes:
        target: The profit at which it has reached its target, in the price's currency.
        stop: The loss at which it has reached its stop, as a positive number.
        timeout: How long it may be open.
        close_on_target: Whether it is closed then, or only told of.
        close_on_stop: Likewise.
    """

    target: Decimal | None = None
    stop: Decimal | None = None
    timeout: timedelta | None = None
    close_on_target: bool = False
    close_on_stop: bool = False

    def reached(self, view: PositionView, now: datetime, *, by_guess: bool = False) -> tuple[Reason, ...]:
        """All that an open position has reached, the most urgent first. A stale price reaches nothing.

        Args:
            view: The position.
            now: The moment, aware.
            by_guess: Whether a guess counts that may be gone in a moment; else only what it cannot change.
        """
        profit = None if view.stale else view.profit
        upside, downside = (_NOTHING, _NOTHING) if by_guess else (view.upside, view.downside)
        found = {
            Reason.STOP: profit is not None and self.stop is not None and profit + upside <= -self.stop,
            Reason.TARGET: profit is not None and self.target is not None and profit - downside >= self.target,
            Reason.TIMEOUT: self.timeout is not None
            and view.opened_at is not None
            and now - view.opened_at >= self.timeout,
        }
        return tuple(reason for reason, is_reached in found.items() if is_reached)

    def closes(self, reason: Reason) -> bool:
        """Whether a position that has reached it is closed."""
        return {Reason.STOP: self.close_on_stop, Reason.TARGET: self.close_on_target, Reason.TIMEOUT: True}[reason]


@dataclass(slots=True)
class _Try:
    day: date
    refusals: int = 0
    pauses: Pauses = field(default_factory=lambda: Pauses(_LONGEST_PAUSE_NS))
    number: int = 1
    order_id: ClientOrderId | None = None
    is_over: bool = False
    said: str | None = None


@dataclass(frozen=True, slots=True)
class _Asked:
    """One closing order that is asked for, and what is told of it.

    Attributes:
        tried: What came of those before it.
        view: The position.
        request: The order.
        words: What the position has reached.
    """

    tried: _Try
    view: PositionView
    request: OrderRequest
    words: str

    @property
    def what(self) -> str:
        """What is to be traded."""
        return f"{self.request.side} {grouped(self.request.quantity)}"

    def not_closed(self, why: str, *, for_a_person: bool = False) -> str:
        """That it was not closed, and why."""
        return f"{self.words}; not closed, {self.what}: {why}{_A_PERSON if for_a_person else ''}"


class Closing:
    """Asks for closing orders: each once a day, and what was certainly not placed again and again.

    A closing order sells what is held and no open order sells already, so that both together never turn the position
    round: where a bracket's exits or an order by hand cover all of it, nothing is placed. Its key is made of the
    position and the reason, and so the same after a restart. What was bought while it worked is closed by a further one
    once it has traded in full.

    What stood against it and may pass by itself, such as a closed market or a host that is away, is tried again after
    pauses that grow up to a minute, as long as the position is past its level. A broker's refusal for another reason is
    tried three times a day; then, and where a closing order has ended with something left, a person is told.

    Args:
        closer: Places them; None where positions are only watched.
        uncovered: How much of a position no open order ends.
        state: What may leave at all.
        alert: Told of what has been reached, and what came of it.
        clock: Both clocks.
    """

    def __init__(
        self,
        closer: Closer | None,
        uncovered: Uncovered,
        state: Callable[[], TradingState],
        alert: Alert,
        clock: Clock,
    ) -> None:
        self._closer = closer
        self._uncovered = uncovered
        self._state = state
        self._alert = alert
        self._clock = clock
        self._tries: dict[str, _Try] = {}

    def reached(self, view: PositionView, reason: Reason, *, close: bool) -> None:
        """A position has reached something: tell of it once, and close it if it is to be closed.

        Raises:
            JournalError: It cannot be read what of the position open orders end.
        """
        key, day = key_of(view, reason), exchange_day(self._clock.wall_ns())
        tried = self._tries.get(key)
        if tried is None or tried.day != day:
            tried = self._tries[key] = _Try(day)
        if tried.number > 1:
            key = f"{key}-{tried.number}"
        if tried.is_over or not tried.pauses.may(key, self._clock.monotonic_ns()):
            return
        profit = _money(view.profit, estimated=view.estimated)
        words = f"{view.account} {view.instrument}: {reason} reached with {profit}"
        if not close or self._closer is None:
            tried.is_over = True
            self._say(tried, view, words)
            return
        free = self._uncovered(view.account, view.instrument)
        if free <= 0:
            # Should those orders end untraded, it is closed after all.
            if tried.order_id is None:
                self._say(tried, view, f"{words}; open orders close it already")
        elif self._state() is TradingState.HALTED:
            self._say(tried, view, f"{words}; not closed, for trading is halted")
        elif tried.order_id is not None and tried.refusals + 1 >= _REFUSALS:
            tried.is_over = True
            ended = f"closing orders were taken {_REFUSALS} times and came to nothing, the last of them"
            self._say(tried, view, f"{words}; not closed: {ended} {tried.order_id}{_A_PERSON}")
        else:
            self._close(self._closer, _Asked(tried, view, _request(view, free, reason, key), words))

    def forget_all_but(self, views: Iterable[PositionView]) -> None:
        """Forget what was reached by positions that are not among those that are open."""
        if self._tries:
            open_ = {stem_of(view) for view in views}
            for key in [each for each in self._tries if each.rpartition("-")[0] not in open_]:
                del self._tries[key]

    def _close(self, closer: Closer, asked: _Asked) -> None:
        tried = asked.tried
        try:
            response = closer.close_position(asked.view.account, asked.request)
        except FirstbellError as error:
            self._not_placed(asked, asked.not_closed(str(error)))
            return
        orders = [each for each in response.orders if each.order_id is not None]
        if orders and (response.is_made is False or response.order_id == tried.order_id):
            self._asked_before(asked, orders)
        elif any(each.status in _TAKEN_OFF for each in orders):
            self._give_up(asked, orders)
        elif response.is_success or response.is_unresolved:
            self._taken(asked, response)
        else:
            refused = response.status is OrderStatus.REJECTED and response.error not in _PASSING
            # A limit of the user's own does not pass by itself either.
            tried.refusals += refused or response.error is ErrorCode.RISK_LIMIT_BREACH
            tried.is_over = tried.refusals >= _REFUSALS
            # The words for a market that is closed have the time in them.
            about = response.error if response.error in _PASSING else None
            self._not_placed(asked, asked.not_closed(response.message, for_a_person=tried.is_over), about)

    def _taken(self, asked: _Asked, response: OrderResponse) -> None:
        """A closing order was taken, or may have been: tell of it, and of how much it closes."""
        tried, view, wanted = asked.tried, asked.view, asked.request.quantity
        orders = [each for each in response.orders if each.order_id is not None]
        left = self._uncovered(view.account, view.instrument)
        if left >= wanted and all(each.status in DONE for each in orders):
            # It had been asked for before this process began, and has done its work since.
            self._asked_before(asked, orders)
            return
        # The one before, if there was any, was taken and has come to nothing all the same.
        tried.refusals += tried.order_id is not None
        tried.order_id = response.order_id
        tried.pauses.done(asked.request.key)
        what = asked.what
        if 0 < left < wanted:
            what = f"{asked.request.side} {grouped(wanted - left)} of {grouped(wanted)}"
        there = [each for each in orders if each.status is not OrderStatus.REJECTED] or orders
        others = abs(view.quantity) - wanted
        rest = f"; the other {grouped(others)} are left to open orders" if others > 0 else ""
        self._say(tried, view, f"{asked.words}; closing: {what} ({_named(there)}, {there[-1].message}){rest}")

    def _asked_before(self, asked: _Asked, orders: Sequence[OrderResponse]) -> None:
        """Under its key there has been an order already, and of the position something is left all the same."""
        tried = asked.tried
        there = [each for each in orders if each.status is not OrderStatus.REJECTED]
        working = [each for each in there if each.status not in DONE]
        if working:
            # What was bought meanwhile waits for it: that it sells more than there is cannot be.
            # It may grow piece by piece, and is told of once.
            names = _named(working)
            self._say(
                tried, asked.view, f"{asked.words}; {asked.what} more once {names} has ended", f"more than {names}"
            )
        elif there and all(each.status is OrderStatus.FILLED for each in there) and tried.number < _MOST:
            tried.number += 1
            tried.order_id = None
        else:
            self._give_up(asked, orders)

    def _give_up(self, asked: _Asked, orders: Sequence[OrderResponse]) -> None:
        """Its closing order was taken off the book, or has done what it can: nothing more is sent today."""
        asked.tried.is_over = True
        last = next((each for each in reversed(orders) if each.status in _TAKEN_OFF), orders[-1])
        why = f"its closing order {last.order_id} is {last.status}"
        if last.filled_qty:
            why += f", {grouped(last.filled_qty)} of it traded"
        self._say(asked.tried, asked.view, asked.not_closed(why, for_a_person=True))

    def _not_placed(self, asked: _Asked, text: str, about: str | None = None) -> None:
        asked.tried.pauses.failed(asked.request.key, self._clock.monotonic_ns())
        self._say(asked.tried, asked.view, text, about)

    def _say(self, tried: _Try, view: PositionView, text: str, about: str | None = None) -> None:
        """Tell of it, unless the last thing told was the same, or `about` the same."""
        if tried.said == (about or text.partition(";")[2]):
            return
        tried.said = about or text.partition(";")[2]
        _log.warning("%s", text)
        self._alert(PositionAlert(text, None, view.account, view.instrument))


def stem_of(view: PositionView) -> str:
    """What the keys of one position begin with: the same each time it is read from the journal."""
    opened_at = "" if view.opened_at is None else view.opened_at.isoformat()
    position = f"{view.account}\x1f{view.instrument}\x1f{opened_at}"
    return f"close-{hashlib.blake2b(position.encode(), digest_size=8).hexdigest()}"


def key_of(view: PositionView, reason: Reason) -> str:
    """The key under which a position is closed for a reason."""
    return f"{stem_of(view)}-{reason}"


def _named(orders: Sequence[OrderResponse]) -> str:
    return " and ".join(str(each.order_id) for each in orders)


def _side(view: PositionView) -> Side:
    return Side.SELL if view.quantity > 0 else Side.BUY


def _request(view: PositionView, quantity: Decimal, reason: Reason, key: str) -> OrderRequest:
    # At whatever price there is; where a broker takes no such orders, the order manager sends a limit that crosses.
    return OrderRequest(
        instrument=view.instrument,
        side=_side(view),
        order_type=OrderType.MARKET,
        quantity=quantity,
        account=view.account,
        role=_ROLES[reason],
        key=key,
    )


def _money(number: Decimal | None, *, estimated: bool) -> str:
    if number is None:
        return "an unknown profit"
    about = "an estimated" if estimated else "a"
    return f"{about} {'loss' if number < 0 else 'profit'} of {grouped(abs(number).quantize(Decimal('0.01')))}"
