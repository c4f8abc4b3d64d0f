"""Who may have a plan: the rule behind every claim, as one pure function."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from firstbell.model.identifiers import ClientOrderId
from firstbell.model.order_status import DONE, PLACED, OrderStatus, ReportKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from firstbell.journal.base import Entry, Intent, Owner
    from firstbell.model.order import Order

OUT_OF_SIGHT_NS: Final = 10_000_000_000
"""Before its bell by less than this, in ns, nothing is taken over from an owner whom only a connection shows alive.

A connection may break while its owner lives. So he looks at his claims once more when this time has begun, and fires
none that is taken by then; and none is taken afterwards.
"""


class Decision(Enum):
    """What a claim comes to."""

    FREE = auto()
    """Nobody has the plan: claim it."""
    PLACED = auto()
    """The broker has it."""
    OURS = auto()
    """This process has claimed it already."""
    TAKEN = auto()
    """A living process has it, or nobody knows what became of it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision, and the report that has to be written on the order that holds the plan, if one has to be.

    Attributes:
        answer: The decision.
        report: The report's kind, or None.
        reason: Its reason.
    """

    answer: Decision
    report: ReportKind | None = None
    reason: str | None = None


def decide(
    held: Entry | None,
    claimant: Owner,
    now_ns: int,
    alive: Callable[[Owner], bool],
    *,
    out_of_sight_ns: int = 0,
    here: str | None = None,
) -> Verdict:
    """Whether `claimant` may have the plan that `held` is the newest order of.

    * An order that certainly ended without being placed gives its plan free: the next round may be claimed.
    * One whose owner died before its bell cannot have left: it is denied, and the next round may be claimed.
    * One whose owner died after its bell may have left: from now on it is unresolved, and it is asked for.
    * One that is held back, and that its owner has left to others, is taken over, whether he lives or not.
    * One whose owner only seems dead from afar is left alone shortly before its bell: see `OUT_OF_SIGHT_NS`.

    Args:
        held: The newest order of the plan, or None when there is none.
        claimant: Who asks.
        now_ns: Now, in ns since the epoch.
        alive: Whether an owner lives.
        out_of_sight_ns: How long before its bell an order of another machine can no longer be taken over, in ns.
        here: The machine that sees who lives; by default the claimant's own. (A master claims for its workers.)
    """
    if held is None:
        return Verdict(Decision.FREE)
    state = held.state
    if state.status in PLACED:
        return Verdict(Decision.PLACED)
    if state.status in DONE:
        return Verdict(Decision.FREE)
    if state.unresolved:
        return Verdict(Decision.TAKEN)
    if held.is_handed_over:
        return Verdict(Decision.FREE, ReportKind.TAKEN_OVER, f"{held.owner} had left to others what it held back")
    if held.owner == claimant:
        return Verdict(Decision.OURS)
    if alive(held.owner):
        return Verdict(Decision.TAKEN)
    return _left_behind(held, here or claimant.host, now_ns, out_of_sight_ns)


def _left_behind(held: Entry, here: str, now_ns: int, out_of_sight_ns: int) -> Verdict:
    if not held.cannot_have_left(now_ns):
        return Verdict(Decision.TAKEN, ReportKind.UNRESOLVED, f"{held.owner} ended {held.when_it_may_have_left}")
    if held.owner.host != here and now_ns >= held.intent.bell_ns - out_of_sight_ns:
        return Verdict(Decision.TAKEN)
    if held.is_held_back:
        return Verdict(Decision.FREE, ReportKind.TAKEN_OVER, f"{held.owner} ended; what it held back is taken over")
    return Verdict(Decision.FREE, ReportKind.DENIED, f"{held.owner} ended before the bell; nothing had left")


def stands_against(
    other: Entry,
    claimant: Owner,
    now_ns: int,
    alive: Callable[[Owner], bool],
    *,
    out_of_sight_ns: int = 0,
    here: str | None = None,
) -> bool:
    """Whether another order of the same login keeps `claimant` from claiming anything of it.

    A login is one customer: one process at a time has it, for only within one are its interval and its money kept; and
    nothing new may leave while an order of it is unresolved, or may have been left behind so.

    Args:
        other: The newest order of another plan of the login.
        claimant: Who asks.
        now_ns: Now, in ns since the epoch.
        alive: Whether an owner lives.
        out_of_sight_ns: As for `decide`.
        here: Likewise.
    """
    state = other.state
    if state.status in DONE or state.status in PLACED or other.is_held_back:
        # One that is held back waits for the market, perhaps for weeks: meanwhile its login is free.
        return False
    if state.unresolved:
        return True
    if other.owner == claimant:
        return False
    if alive(other.owner) or state.status is not OrderStatus.INITIALIZED:
        return True
    may_live_ns = 0 if other.owner.host == (here or claimant.host) else out_of_sight_ns
    return not other.cannot_have_left(now_ns) or now_ns >= other.intent.bell_ns - may_live_ns


def later_round(intent: Intent, round_: int) -> Order:
    """The order of `intent` under the name that it has in a later round."""
    if round_ == 1:
        return intent.order
    return replace(intent.order, client_order_id=ClientOrderId(f"{intent.plan_id}-r{round_}"))
