"""The attempts at one order: send, read, write down, and go on only as `firstbell.oms.decision` says."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from firstbell.errors import BrokerError, CaptchaError, FirstbellError, JournalError, NoAnswer, NotSent, Unwritten
from firstbell.log import redact
from firstbell.model.instant import instant
from firstbell.model.order_status import ReportKind
from firstbell.model.report import Attempt, ExecutionReport
from firstbell.model.terms import AttemptOutcome
from firstbell.oms.carrier import Unfired
from firstbell.oms.decision import Next, Step, after_not_sent, next_step, said

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from firstbell.brokers.base import Answer, HttpBroker, Outcome, PreparedOrder
    from firstbell.clock import Clock
    from firstbell.journal.base import Entry
    from firstbell.model.identifiers import ClientOrderId, RunId
    from firstbell.model.order import Order, OrderState
    from firstbell.oms.aim import Aim
    from firstbell.oms.carrier import Carrier, Interrupt
    from firstbell.oms.decision import Budget
    from firstbell.oms.final_check import FinalCheck
    from firstbell.oms.pacing import Pacer
    from firstbell.oms.run_budget import AttemptBudget

_log = logging.getLogger(__name__)

_NS: Final = 1_000_000_000
_FAR_NS: Final = 8 * _NS
_NEAR_NS: Final = 5 * _NS
"""A turn further ahead than the one is waited for until it is as near as the other, in ns: then it is reserved."""
LONGEST_PAUSE_S: Final = 86_400.0
"""No pause is longer, whatever a broker says."""
_MARGIN_NS: Final = 5_000_000
"""What an attempt needs before the time to give up."""


class Watcher(Protocol):
    """Hears of every attempt once it has been written down; must be quick."""

    def attempted(self, order: Order, attempt: Attempt, answer: Answer | None, outcome: Outcome | None) -> None:
        """An attempt has come to something: what was answered, and what that meant, where there was an answer."""
        ...


class Register(Protocol):
    """Knows every claimed order as it stands: the journal, or whoever remembers what it tells."""

    def entry(self, client_order_id: ClientOrderId) -> Entry | None:
        """One order."""
        ...


class Writer(Protocol):
    """Writes reports into the journal."""

    def append(self, reports: Sequence[ExecutionReport]) -> None:
        """Write reports, all or none; returns once they are durable.

        Raises:
            JournalError: They could not be written.
        """
        ...


@dataclass(frozen=True, slots=True)
class Desk:
    """What an order's attempts need from their surroundings.

    Attributes:
        broker: The login's broker.
        carrier: Takes attempts there.
        journal: Where orders are looked up.
        writer: Writes down every attempt.
        clock: Both clocks.
        pacer: The login's interval.
        budget: How far an order may go.
        run_budget: How far the whole run may go.
        check: The last look at every attempt.
        interrupt: Stops new attempts.
        halt: Halts all trading, for the reason that it is given in words.
        aim: The bell, and when what arrives.
        run_id: The run that sends.
        watcher: Hears of every attempt.
    """

    broker: HttpBroker
    carrier: Carrier
    journal: Register
    writer: Writer
    clock: Clock
    pacer: Pacer
    budget: Budget
    run_budget: AttemptBudget
    check: FinalCheck
    interrupt: Interrupt
    halt: Callable[[str], None]
    aim: Aim
    run_id: RunId
    watcher: Watcher


class Attempts:
    """One claimed order on its way.

    Args:
        desk: Its surroundings.
        order: The order, claimed by this process.
        prepared: Its bytes.
    """

    def __init__(self, desk: Desk, order: Order, prepared: PreparedOrder) -> None:
        self._desk = desk
        self._order = order
        self._prepared = prepared
        self._count = 0
        self._logged_in_again = False

    def run(self, fire_at_ns: int) -> OrderState:
        """Send until the broker accepts, refuses for good, says nothing, or time or budget ends.

        Args:
            fire_at_ns: The instant of the first attempt, on the monotonic clock.

        Returns:
            The order's state. It may be unresolved: then its login sends nothing new until the lists have answered.

        Raises:
            JournalError: Something happened that could not be written down; the order counts as unresolved.
            Unwritten: Likewise, and it may have come to its broker.
        """
        pacer = self._desk.pacer
        pause_ns = pacer.pause_left_ns(fire_at_ns)
        if self._is_too_long(pause_ns) or (pause_ns and pacer.earliest(fire_at_ns) >= self._desk.budget.deadline_ns):
            return self._end(f"the broker has asked for a pause, of which {pause_ns // _NS + 1} s are left")
        at_ns = self._turn(fire_at_ns)
        while True:
            upcoming = self._attempt(at_ns)
            if isinstance(upcoming, Unfired):
                return self._end(self._why_not(upcoming))
            if upcoming.step is Step.GIVE_UP:
                if upcoming.spent:
                    self._desk.halt(f"{self._order.account}: {upcoming.reason}")
                return self._end(upcoming.reason or "gave up")
            if upcoming.step in {Step.PLACED, Step.REFUSED, Step.ASK}:
                return self._state()
            if upcoming.step is Step.LOG_IN_AND_AGAIN and (failure := self._log_in_again()) is not None:
                return self._end(failure)
            again_ns = self._desk.aim.again_ns(upcoming.not_before_ns)
            # A last attempt is made in time rather than at the best instant.
            last_ns = max(upcoming.not_before_ns, self._desk.budget.deadline_ns - _MARGIN_NS)
            at_ns = self._turn(min(again_ns, last_ns))

    def _turn(self, at_ns: int) -> int:
        """The first instant from `at_ns` on at which the login may send, whoever else sends of it."""
        clock, pacer = self._desk.clock, self._desk.pacer
        # A turn that lies far ahead, behind a pause of the broker's, can only be reserved once it is near.
        if pacer.is_ahead and pacer.earliest(at_ns) - clock.monotonic_ns() > _FAR_NS:
            self._desk.interrupt.wait_until(pacer.earliest(at_ns) - _NEAR_NS)
        try:
            return pacer.turn(at_ns, clock.monotonic_ns())
        except NotSent as error:
            # Whether anybody else sends just then is not to be known; that nobody is early at the bell would be worse.
            _log.warning("%s: %s", self._order.account, error)
            return self._desk.pacer.earliest(at_ns)

    def _why_not(self, unfired: Unfired) -> str:
        if unfired is Unfired.TOO_LATE:
            return "the time to give up had passed before it could leave"
        if unfired is Unfired.REDUCING:
            return "trading state: REDUCING, allowed sells only"
        why = self._desk.interrupt.why
        if self._count:
            return f"{why} before the next attempt"
        # What waits for no bell has one that has passed.
        is_early = self._desk.clock.wall_ns() < self._desk.aim.bell_ns
        return f"{why} before {'the bell' if is_early else 'it left'}"

    def _attempt(self, at_ns: int) -> Next | Unfired:
        desk = self._desk
        if self._count and desk.interrupt.wait_until(at_ns - desk.carrier.lead_ns):
            return Unfired.STOPPED
        # Only now: while it was waited, trading may have been halted, or buying ended.
        if desk.interrupt.is_set():
            return Unfired.STOPPED
        if (why := desk.check.why_not(self._order, self._prepared, at_ns)) is not None:
            return Next(Step.GIVE_UP, reason=why)
        if (why := desk.run_budget.take()) is not None:
            return Next(Step.GIVE_UP, reason=why, spent=True)
        try:
            answer = desk.carrier.carry(self._prepared, at_ns)
        except NotSent as error:
            desk.run_budget.give_back()
            self._count += 1
            # Nothing left, so no interval is owed to the broker; we still wait one, to spare a host that is down.
            earliest_ns = desk.clock.monotonic_ns() + desk.pacer.interval_ns
            upcoming = after_not_sent(str(error), self._count, earliest_ns, desk.budget)
            self._write(ReportKind.REFUSED, self._unanswered(AttemptOutcome.NOT_SENT, str(error)), None, None)
            return upcoming
        except NoAnswer as error:
            self._count += 1
            desk.pacer.sent(desk.clock.monotonic_ns())
            self._write(ReportKind.UNRESOLVED, self._unanswered(AttemptOutcome.UNRESOLVED, str(error)), None, None)
            return Next(Step.ASK)
        if isinstance(answer, Unfired):
            desk.run_budget.give_back()
            return answer
        self._count += 1
        desk.pacer.sent(desk.carrier.sent_monotonic_ns)
        outcome = desk.broker.read_answer(answer.status, answer.headers, answer.body)
        if outcome.too_early:
            desk.aim.was_too_early(desk.carrier.sent_monotonic_ns)
        return self._judge(answer, outcome)

    def _judge(self, answer: Answer, outcome: Outcome) -> Next:
        desk = self._desk
        earliest_ns = desk.pacer.earliest(desk.clock.monotonic_ns())
        if outcome.retry_after is not None:
            # Whichever order of the login comes next.
            desk.pacer.pause(desk.clock.monotonic_ns() + int(min(outcome.retry_after, LONGEST_PAUSE_S) * _NS))
            earliest_ns = desk.pacer.earliest(earliest_ns)
        upcoming = next_step(outcome, self._count, self._logged_in_again, earliest_ns, desk.budget)
        is_over = upcoming.step is Step.GIVE_UP and not upcoming.spent
        if is_over or upcoming.step in {Step.AGAIN, Step.LOG_IN_AND_AGAIN}:
            pause_ns = desk.pacer.pause_left_ns(desk.clock.monotonic_ns())
            if self._is_too_long(pause_ns):
                why = f"the broker asks for a pause of {-(-pause_ns // _NS)} s; the last answer: {said(outcome)}"
                upcoming = Next(Step.GIVE_UP, reason=why)
        kind = {
            Step.PLACED: ReportKind.ACCEPTED,
            Step.REFUSED: ReportKind.REJECTED,
            Step.ASK: ReportKind.UNRESOLVED,
        }.get(upcoming.step, ReportKind.REFUSED)
        self._write(kind, self._answered(answer, outcome), outcome, upcoming.reason, answer)
        return upcoming

    def _is_too_long(self, pause_ns: int) -> bool:
        """Whether a pause that the broker has asked for is not waited out here."""
        longest_ns = self._desk.budget.longest_pause_ns
        return longest_ns is not None and pause_ns > longest_ns

    def _answered(self, answer: Answer, outcome: Outcome) -> Attempt:
        return self._left(
            outcome.outcome,
            None if outcome.message is None else redact(outcome.message),
            answered_at=instant(answer.answered_ns),
            round_trip_us=answer.round_trip_ns // 1000,
            http_status=answer.status,
            code=outcome.code,
            raw=redact(answer.body.decode("utf-8", "replace")),
            too_early=outcome.too_early,
        )

    def _unanswered(self, outcome: AttemptOutcome, message: str) -> Attempt:
        message = redact(message)
        if outcome is not AttemptOutcome.NOT_SENT:
            return self._left(outcome, message)
        return Attempt(self._count, None, None, None, None, None, None, message, outcome)

    def _left(
        self,
        outcome: AttemptOutcome,
        message: str | None,
        *,
        answered_at: datetime | None = None,
        round_trip_us: int | None = None,
        http_status: int | None = None,
        code: int | None = None,
        raw: str | None = None,
        too_early: bool = False,
    ) -> Attempt:
        """An attempt whose bytes left, or may have."""
        carrier, aim = self._desk.carrier, self._desk.aim
        sent_ns = carrier.sent_ns
        arrival_ns = aim.arrival_ns(sent_ns, carrier.sent_monotonic_ns)
        return Attempt(
            number=self._count,
            sent_at=instant(sent_ns),
            lateness_us=(arrival_ns - aim.bell_ns) // 1000,
            answered_at=answered_at,
            round_trip_us=round_trip_us,
            http_status=http_status,
            code=code,
            message=message,
            outcome=outcome,
            raw=raw,
            sent_ns=sent_ns,
            arrival_ns=arrival_ns,
            too_early=too_early,
        )

    def _write(
        self,
        kind: ReportKind,
        attempt: Attempt,
        outcome: Outcome | None,
        reason: str | None,
        answer: Answer | None = None,
    ) -> None:
        reports = [
            self._report(ReportKind.SUBMITTED),
            self._report(kind, attempt=attempt, outcome=outcome, reason=reason or attempt.message),
        ]
        try:
            self._desk.writer.append(reports)
        except JournalError as error:
            if attempt.outcome is AttemptOutcome.NOT_SENT:
                raise
            raise Unwritten(self._order.client_order_id, "order", error) from error
        self._desk.watcher.attempted(self._order, attempt, answer, outcome)

    def _report(
        self,
        kind: ReportKind,
        *,
        attempt: Attempt | None = None,
        outcome: Outcome | None = None,
        reason: str | None = None,
    ) -> ExecutionReport:
        return ExecutionReport(
            client_order_id=self._order.client_order_id,
            run_id=self._desk.run_id,
            kind=kind,
            at=instant(self._desk.clock.wall_ns()),
            venue_order_id=None if outcome is None else outcome.venue_order_id,
            attempt=attempt,
            reason=None if kind is ReportKind.ACCEPTED or reason is None else redact(reason),
        )

    def _log_in_again(self) -> str | None:
        """One new log-in and the order's bytes with the new token; why not, in words, where that fails."""
        self._logged_in_again = True
        try:
            self._desk.broker.forget_token()
            self._desk.broker.login()
            self._prepared = self._desk.broker.prepare(self._order)
        except (BrokerError, CaptchaError) as error:
            return f"the token ended and a new log-in failed: {error}"
        return None

    def _end(self, reason: str) -> OrderState:
        """Write down that no attempt follows: every one was refused for certain, or never left."""
        state = self._state()
        answered = any(attempt.outcome is not AttemptOutcome.NOT_SENT for attempt in state.attempts)
        kind = ReportKind.REJECTED if answered else ReportKind.DENIED
        self._desk.writer.append([self._report(kind, reason=reason)])
        return self._state()

    def _state(self) -> OrderState:
        entry = self._desk.journal.entry(self._order.client_order_id)
        if entry is None:
            raise FirstbellError(f"{self._order.client_order_id} is not in the journal, though it was claimed")
        return entry.state
