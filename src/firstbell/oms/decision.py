"""What to do after an attempt: one pure function, the only place where an order may be allowed to leave again."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from firstbell.model.terms import AttemptOutcome

if TYPE_CHECKING:
    from firstbell.brokers.base import Outcome


class Step(Enum):
    """What comes next."""

    PLACED = auto()
    """The broker has it: stop at the first accept."""
    REFUSED = auto()
    """The broker said no for good."""
    ASK = auto()
    """Nobody said: ask the broker's lists, and never send it again."""
    AGAIN = auto()
    """Certainly not there: the same order, no sooner than `Next.not_before_ns`."""
    LOG_IN_AND_AGAIN = auto()
    """The same, after one new log-in."""
    GIVE_UP = auto()
    """Certainly not there, and no more attempts: out of time or budget."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How far an order may go.

    Attributes:
        max_attempts: Attempts in all.
        deadline_ns: When the run gives up, on the monotonic clock.
        deadline_wall_ns: The same on our wall clock, in ns since the epoch: the monotonic one stands still while a
            machine sleeps.
        longest_pause_ns: The longest pause that a broker may ask for and that is waited out; None: any within the time.
    """

    max_attempts: int
    deadline_ns: int
    deadline_wall_ns: int
    longest_pause_ns: int | None = None

    def is_over(self, monotonic_ns: int, wall_ns: int) -> bool:
        """Whether the time to give up has passed, on either clock."""
        return monotonic_ns > self.deadline_ns or wall_ns > self.deadline_wall_ns


@dataclass(frozen=True, slots=True)
class Next:
    """A step, and when.

    Attributes:
        step: What comes next.
        not_before_ns: The earliest instant of another attempt, on the monotonic clock; 0 where there is none.
        reason: Why, in words, where the order ends here.
        spent: Whether it ends here because its budget of attempts is spent, and at least the last of them was answered:
            something sends it again and again, and a person has to look.
    """

    step: Step
    not_before_ns: int = 0
    reason: str | None = None
    spent: bool = False


def next_step(outcome: Outcome, attempts: int, logged_in_again: bool, earliest_ns: int, budget: Budget) -> Next:
    """Decide what follows an attempt that left and was read.

    Args:
        outcome: What the answer means.
        attempts: How many attempts there have been, this one among them.
        logged_in_again: Whether this order has had its one new log-in.
        earliest_ns: When the login's pacer and the answer's ``Retry-After`` allow the next one, on the monotonic clock.
        budget: How far it may go.
    """
    if outcome.outcome is AttemptOutcome.ACCEPTED:
        return Next(Step.PLACED)
    if outcome.outcome is not AttemptOutcome.REJECTED:
        return Next(Step.ASK)
    if not outcome.again:
        return Next(Step.REFUSED, reason=said(outcome))
    if outcome.token_ended and logged_in_again:
        return Next(Step.REFUSED, reason="the broker refused the token again after a new log-in")
    if over := out_of(attempts, earliest_ns, budget):
        spent = attempts >= budget.max_attempts
        return Next(Step.GIVE_UP, reason=f"{over}; the last answer: {said(outcome)}", spent=spent)
    return Next(Step.LOG_IN_AND_AGAIN if outcome.token_ended else Step.AGAIN, earliest_ns)


def after_not_sent(why: str, attempts: int, earliest_ns: int, budget: Budget) -> Next:
    """Decide what follows an attempt of which not one byte left."""
    if over := out_of(attempts, earliest_ns, budget):
        return Next(Step.GIVE_UP, reason=f"{over}; nothing left: {why}")
    return Next(Step.AGAIN, earliest_ns)


def out_of(attempts: int, earliest_ns: int, budget: Budget) -> str | None:
    """What has run out before another attempt at `earliest_ns`, in words; None when nothing has."""
    if attempts >= budget.max_attempts:
        return f"the budget of {budget.max_attempts} attempts per order is spent"
    if earliest_ns >= budget.deadline_ns:
        return "the time to give up came before another attempt was allowed"
    return None


def said(outcome: Outcome) -> str:
    """A broker's refusal in one line: its code and its words."""
    code = "" if outcome.code is None else f"{outcome.code} "
    words = (outcome.message or "").strip() or "no words"
    return f"{code}{words}"
