"""Orders that belong together: what a bracket, or a pair of which one cancels the other, asks for next. Pure.

Nothing is remembered here. What comes next is read from how the orders stand, so it is the same after a restart, and
the same in whatever order their reports come. The rule that everything serves: what the exits have traded, have at the
broker, and may have there, is never more than what the entry has filled.

An entry that was refused may have gone on as other orders: what they have filled counts as what it has filled, and it
is over only when all of them are. Once an exit's price has come, or it has traded, nothing more is to be bought: the
rest of the entry is taken back, and what it had bought by then all the same gets a further exit.

Where a broker does not do it by itself, one exit rests at the broker and the others are held back here until their
price comes. One that is held back may leave only when the resting one has certainly been taken off the book, with what
it traded until then counted: so both can never trade for the same shares.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from firstbell.model.order_status import DONE, NEVER_PLACED, OrderStatus
from firstbell.oms.orders.families import entries_by_plan, goes_on, never_came
from firstbell.oms.orders.requests import end_one_position

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from firstbell.journal.base import Entry
    from firstbell.model.terms import OrderRole

_NOTHING: Final = Decimal(0)
_CHANGEABLE: Final = frozenset({OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED})
_CLOSED: Final = "the position has been closed"
GIVES_WAY: Final = "another exit of the same position takes its place"
"""Why an exit is taken back that nobody wanted to end."""
_WORKING: Final = _CHANGEABLE | {OrderStatus.PENDING_REPLACE}


@dataclass(frozen=True, slots=True)
class Release:
    """One that is held back leaves now, for so many shares."""

    entry: Entry
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Adjust:
    """One that is held back is for so many shares from now on."""

    entry: Entry
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Resize:
    """One that works at the broker is for so many shares from now on, what has traded of it included."""

    entry: Entry
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Withdraw:
    """One is taken back: canceled at the broker, or, held back, never sent."""

    entry: Entry
    why: str


@dataclass(frozen=True, slots=True)
class Renew:
    """One that was to be sent and never came is held back anew: what it protects is still there."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Extend:
    """One has done its work, and more was bought all the same: a further one like it is held back for that."""

    entry: Entry
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Unprotected:
    """Exits have ended before they had traded in full, and nothing is left that protects so many shares.

    There is nothing to tell where the last of these ends was asked for.

    Attributes:
        ended: They, the last one that ended last.
        quantity: So many shares.
        profit_lives: Whether an exit lives on that ends the position at a profit, and at no loss.
    """

    ended: tuple[Entry, ...]
    quantity: Decimal
    profit_lives: bool = False

    @property
    def entry(self) -> Entry:
        """The one that ended last."""
        return self.ended[-1]

    @property
    def why(self) -> str:
        """Why a person has to look, in words."""
        missing = "a stop" if self.profit_lives else "an exit"
        return f"it has ended, and {self.quantity} shares are held without {missing}"


@dataclass(frozen=True, slots=True)
class Oversold:
    """A bracket's exits have traded so many shares more than its entry: some were told after another had left."""

    entry: Entry
    quantity: Decimal


ContingentStep = Release | Adjust | Resize | Withdraw | Renew | Extend | Unprotected | Oversold
"""What is to be done about one order of several that belong together."""


@dataclass(frozen=True, slots=True)
class Ways:
    """How these orders can be handled.

    Attributes:
        rests: Whether an order may rest at the broker until its time, rather than be held back.
        is_hit: Whether the price of one that is held back has come, and it may leave.
        can_replace: Whether the broker changes a working order's quantity.
        largest: The most shares that one order like this may be for; None where that is not known.
    """

    rests: Callable[[Entry], bool]
    is_hit: Callable[[Entry], bool]
    can_replace: bool
    largest: Callable[[Entry], Decimal | None] = lambda _entry: None


def next_steps(parent: Entry | None, legs: Sequence[Entry], ways: Ways) -> tuple[ContingentStep, ...]:
    """What is to be done about orders that belong together, as they stand.

    Args:
        parent: A bracket's entry; None for a group without one.
        legs: The bracket's exits and what goes on for its entry, or the group's orders; those that have ended and
            earlier rounds among them.
        ways: How they can be handled.

    Returns:
        Steps in their order. Of exits none while one of them is on its way, or nobody knows what became of it.
    """
    newest = tuple(entries_by_plan(legs).values())
    live = tuple(entry for entry in newest if entry.state.status not in DONE)
    if parent is not None:
        return _bracket(entered(parent, legs), [leg for leg in legs if not goes_on(leg)], ways)
    if any(entry.state.status is OrderStatus.SUBMITTED for entry in live):
        return ()
    if not end_one_position([leg.intent.order for leg in newest]):
        first = [Renew(leg) for leg in newest if never_came(leg)]
        if first and not any(leg.state.filled_qty for leg in legs):
            # It was to leave, and has not come to its broker.
            return tuple(first)
        return _one_or_the_other(live, newest, ways) if live else ()
    left = _left_of_group(legs, newest)
    renewed = tuple(Renew(leg) for leg in newest if never_came(leg)) if left > 0 else ()
    lost = _lost(newest, left) if left > 0 and not renewed else ()
    return (*renewed, *lost, *_exits(_Exits(None, live, left, ways)))


@dataclass(frozen=True, slots=True)
class Entered:
    """A bracket's entry with all that went on for it.

    Attributes:
        newest: The newest order of each, the entry first.
        filled: What they have filled between them, earlier rounds among it.
    """

    newest: tuple[Entry, ...]
    filled: Decimal

    @property
    def live(self) -> tuple[Entry, ...]:
        """What of it may still fill."""
        return tuple(entry for entry in self.newest if entry.state.status not in DONE)


def entered(parent: Entry, legs: Sequence[Entry]) -> Entered:
    """A bracket's entry with all that went on for it.

    Args:
        parent: The entry.
        legs: What belongs to it, its exits among that.
    """
    others = [leg for leg in legs if goes_on(leg)]
    if not others:
        return Entered((parent,), parent.state.filled_qty)
    orders = (parent, *others)
    filled = sum((entry.state.filled_qty for entry in orders), _NOTHING)
    return Entered(tuple(entries_by_plan(orders).values()), filled)


def _bracket(entry: Entered, exits: Sequence[Entry], ways: Ways) -> tuple[ContingentStep, ...]:
    newest = tuple(entries_by_plan(exits).values())
    live = tuple(leg for leg in newest if leg.state.status not in DONE)
    begun = any(leg.state.triggered or leg.state.filled_qty > 0 for leg in exits)
    # It comes before the exits' own steps, lest an exit that leaves trades with the entry's rest; and it waits for none
    # that is on its way: no more is to be bought, whatever became of that.
    over = [
        Withdraw(each, "an exit of its position has begun to trade")
        for each in entry.live
        if begun and each.state.status in _WORKING
    ]
    if any(leg.state.status is OrderStatus.SUBMITTED for leg in live):
        return tuple(over)
    left = entry.filled - sum((leg.state.filled_qty for leg in exits), _NOTHING)
    renewed = [Renew(leg) for leg in newest if never_came(leg)] if left > 0 else []
    steps = [*over, *renewed, *_exits(_Exits(entry, live, left, ways))]
    if left < 0:
        steps.append(Oversold(entry.newest[0], -left))
    if left > 0 and not renewed and len(live) < len(newest):
        steps += _left_over(newest, left)
    return tuple(steps)


def _left_over(newest: Sequence[Entry], left: Decimal) -> list[ContingentStep]:
    """What becomes of shares that were bought when an exit had ended: each that did its work goes on for them."""
    # Each exit with the further ones that went on for it.
    chains: dict[OrderRole, list[Entry]] = {}
    for leg in newest:
        chains.setdefault(leg.intent.order.role, []).append(leg)
    further = [Extend(chain[-1], left) for chain in chains.values() if _has_done_its_work(chain[-1])]
    if any(step.entry.state.filled_qty for step in further):
        return list(further)
    if any(leg.state.status not in DONE for leg in newest):
        return [*further, *_lost(newest, left)]
    begun = [chain[-1] for chain in chains.values() if chain[0].state.status is OrderStatus.FILLED]
    stops = [leg for leg in begun if leg.intent.order.order_type.waits]
    return list(_unprotected((stops or begun)[-1:] or newest, left))


def _has_done_its_work(leg: Entry) -> bool:
    """Whether an exit has traded in full, or was taken back because there was nothing left to exit from."""
    state = leg.state
    was_left = state.status is OrderStatus.DENIED and (state.reason or "").startswith(_CLOSED)
    return state.status is OrderStatus.FILLED or was_left


def _lost(newest: Sequence[Entry], left: Decimal) -> list[ContingentStep]:
    """What there is to tell where no exit lives, or of those of a position that had a stop its profit alone."""
    live = [leg for leg in newest if leg.state.status not in DONE]
    if not live:
        return list(_unprotected(newest, left))
    if any(leg.intent.order.order_type.waits for leg in live):
        return []
    stops = [leg for leg in newest if leg.intent.order.order_type.waits and leg.state.leaves_qty > 0]
    return [replace(step, profit_lives=True) for step in _unprotected(stops, left)]


def _unprotected(ended: Sequence[Entry], left: Decimal) -> list[Unprotected]:
    """What there is to tell where exits that were at the broker, or were refused, have ended, and nothing goes on.

    Of one that never left there is nothing to tell.
    """
    there = tuple(
        leg
        for leg in ended
        if (leg.state.triggered or leg.state.venue_order_id is not None) and leg.state.status is not OrderStatus.DENIED
    )
    # Without the time of its end it counts as the first: only the sort's own order is left then.
    there = tuple(sorted(there, key=lambda leg: (leg.state.ended_at is not None, leg.state.ended_at or 0)))
    return [Unprotected(there, left)] if there else []


def _left_of_group(legs: Sequence[Entry], newest: Sequence[Entry]) -> Decimal:
    """What is left of a position that exits without an entry end between them.

    It is no more than what was asked for, and no more than any of them is still for: one that was made smaller makes
    the others smaller, and none is ever made larger again.
    """
    asked: dict[str, Decimal] = {}
    for leg in legs:
        # A later round was claimed for what was left then.
        asked[leg.intent.plan_id] = max(asked.get(leg.intent.plan_id, _NOTHING), leg.intent.order.quantity)
    left = min(asked.values()) - sum((leg.state.filled_qty for leg in legs), _NOTHING)
    return min([left, *(leg.state.leaves_qty for leg in newest if leg.state.status not in NEVER_PLACED)])


@dataclass(frozen=True, slots=True)
class _Exits:
    """A position's exits: its entry, those that have not ended, what is left to end, and how."""

    entry: Entered | None
    live: tuple[Entry, ...]
    left: Decimal
    ways: Ways

    @property
    def entry_ended(self) -> bool:
        return self.entry is None or not self.entry.live


def _exits(exits: _Exits) -> tuple[ContingentStep, ...]:
    working = tuple(leg for leg in exits.live if not leg.is_held_back)
    if exits.left <= 0:
        if exits.entry_ended:
            return tuple(Withdraw(leg, _why_over(exits)) for leg in exits.live if _is_free(leg))
        return tuple(Withdraw(leg, "nothing of the position is left") for leg in working if _is_free(leg))
    chosen = _chosen(exits)
    others = tuple(leg for leg in working if leg is not chosen)
    steps: list[ContingentStep] = [
        Adjust(leg, exits.left)
        for leg in exits.live
        if leg.is_held_back and leg is not chosen and leg.state.quantity != exits.left
    ]
    if others:
        # What it traded until it is gone is counted first.
        steps += [Withdraw(leg, GIVES_WAY) for leg in others if _is_free(leg)]
    elif chosen is not None and chosen.is_held_back:
        if exits.entry_ended or exits.ways.can_replace or chosen.state.triggered:
            steps.append(Release(chosen, exits.left))
    elif chosen is not None and exits.ways.can_replace and chosen.state.status in _CHANGEABLE:
        wanted = _in_one(chosen, chosen.state.filled_qty + exits.left, exits)
        if chosen.state.quantity != wanted:
            steps.append(Resize(chosen, wanted))
    return tuple(steps)


def _in_one(leg: Entry, wanted: Decimal, exits: _Exits) -> Decimal:
    """So many shares, or as many as one order may be for: an exit of a bracket that has traded has a further one."""
    largest = None if exits.entry is None else exits.ways.largest(leg)
    return wanted if largest is None else min(wanted, max(largest, leg.state.filled_qty))


def _chosen(exits: _Exits) -> Entry | None:
    """The exit that is to be at the broker: one whose price has come, a stop before others; else the one that rests.

    One that has been let go already comes before the others of its kind: its price had come.
    """
    let_go = [leg for leg in exits.live if not leg.is_held_back and leg.state.triggered]
    hit = [leg for leg in exits.live if leg.is_held_back and exits.ways.is_hit(leg)]
    stops = [leg for leg in (*let_go, *hit) if leg.intent.order.order_type.waits]
    resting = [leg for leg in exits.live if exits.ways.rests(leg)]
    return next(iter([*stops, *let_go, *hit, *resting]), None)


def _is_free(leg: Entry) -> bool:
    """Whether it can be taken back now: that is not asked for already.

    Of a change that nobody has answered it may take over a minute until the list tells: nothing waits for that.
    """
    return leg.state.status is not OrderStatus.PENDING_CANCEL


def _why_over(exits: _Exits) -> str:
    if exits.entry is not None and not exits.entry.filled:
        return f"its entry is {exits.entry.newest[-1].state.status}, and nothing of it had traded"
    return _CLOSED


def _one_or_the_other(live: Sequence[Entry], newest: Sequence[Entry], ways: Ways) -> tuple[ContingentStep, ...]:
    """A group of entries: the first that trades, or whose price comes, takes back the others."""
    first = next((leg for leg in newest if leg.state.filled_qty > 0), None)
    first = first or next((leg for leg in live if leg.state.triggered), None)
    if first is None:
        return tuple(Release(leg, leg.state.quantity) for leg in live if leg.is_held_back and ways.rests(leg))
    others = [leg for leg in live if leg is not first]
    # What rests at the broker stays there as long as the first may not leave.
    leaves = not first.is_held_back or ways.is_hit(first)
    steps: list[ContingentStep] = [
        Withdraw(leg, f"{first.intent.order.client_order_id} was first")
        for leg in others
        if _is_free(leg) and (leaves or leg.is_held_back)
    ]
    if not others and first.is_held_back:
        steps.append(Release(first, first.state.quantity))
    return tuple(steps)
