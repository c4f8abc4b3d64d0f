"""The attempts at one order: send, read, write down, and go on only as `firstbell.oms.decision` says."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from firstbell.errors import BrokerError, CaptchaError, FirstbellError, NoAnswer, NotSent
from firstbell.log import redact
from firstbell.model.instant import instant
from firstbell.model.order_status import ReportKind
from firstbell.model.report import Attempt, ExecutionReport
from firstbell.model.terms import AttemptOutcome
from firstbell.oms.decision import Next, Step, after_not_sent, next_step

if TYPE_CHECKING:
    from firstbell.brokers.base import Answer, HttpBroker, Outcome, PreparedOrder
    from firstbell.clock import Clock
    from firstbell.journal.base import Journal
    from firstbell.model.identifiers import RunId
    from firstbell.model.order import Order, OrderState
    from firstbell.oms.decision import Budget
    from firstbell.oms.pacing import Pacer

_log = logging.getLogger(__name__)

ANSWER_WITHIN_S: Final = 5.0
"""How long an answer to an order is awaited, in seconds; after that the broker's lists are asked."""
_NS: Final = 1_000_000_000


class Interrupt(Protocol):
    """Tells whether to stop, and waits in a way that stopping ends."""

    def is_set(self) -> bool:
        """Whether no new attempt may leave."""
        ...

    def wait_until(self, monotonic_ns: int) -> bool:
        """Wait until an instant of the monotonic clock; returns early, and True, when stopped."""
        ...


class Watcher(Protocol):
    """Hears of every attempt once it has been written down; must be quick."""

    def attempted(self, order: Order, attempt: Attempt, answer: Answer | None) -> None:
        """An attempt has come to something."""
        ...


@dataclass(frozen=True, slots=True)
class Arrival:
    """How sending times become arrival times on the exchange's clock.

    Attributes:
        bell_ns: The bell on the exchange's clock, in ns since the epoch.
        offset_ns: The exchange's clock minus ours, in ns.
        one_way_ns: How long bytes take to the exchange, in ns.
    """

    bell_ns: int
    offset_ns: int = 0
    one_way_ns: int = 0

    def lateness_us(self, sent_ns: int) -> int:
        """Arrival minus bell, in µs, of what left at `sent_ns` on our clock."""
        return (sent_ns + self.offset_ns + self.one_way_ns - self.bell_ns) // 1000


@dataclass(frozen=True, slots=True)
class Desk:
    """What an order's attempts need from their surroundings.

    Attributes:
        broker: The login's broker.
        journal: Where every attempt is written down.
        clock: Both clocks.
        pacer: The login's interval.
        budget: How far an order may go.
        interrupt: Stops new attempts.
        arrival: The bell, and the way there.
        run_id: The run that sends.
        watcher: Hears of every attempt.
    """

    broker: HttpBroker
    journal: Journal
    clock: Clock
    pacer: Pacer
    budget: Budget
    interrupt: Interrupt
    arrival: Arrival
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
        """
        at_ns = self._desk.pacer.earliest(fire_at_ns)
        while True:
            if self._desk.interrupt.wait_until(at_ns):
                return self._end("stopped before the next attempt" if self._count else "stopped before the bell")
            if self._too_late():
                return self._end("the time to give up had passed before it could leave")
            upcoming = self._attempt()
            if upcoming.step is Step.GIVE_UP:
                return self._end(upcoming.reason or "gave up")
            if upcoming.step in {Step.PLACED, Step.REFUSED, Step.ASK}:
                return self._state()
            if upcoming.step is Step.LOG_IN_AND_AGAIN and (failure := self._log_in_again()) is not None:
                return self._end(failure)
            at_ns = self._desk.pacer.earliest(upcoming.not_before_ns)

    def _too_late(self) -> bool:
        """Whether this process was held up, or the machine asleep, until after the time to give up."""
        clock, budget = self._desk.clock, self._desk.budget
        return clock.monotonic_ns() > budget.deadline_ns or clock.wall_ns() > budget.deadline_wall_ns

    def _attempt(self) -> Next:
        desk = self._desk
        self._count += 1
        started_ns = desk.clock.monotonic_ns()
        try:
            answer = desk.broker.send(self._prepared, timeout_s=ANSWER_WITHIN_S)
        except NotSent as error:
            # Nothing left, so no interval is owed to the broker; we still wait one, to spare a host that is down.
            earliest_ns = desk.clock.monotonic_ns() + desk.pacer.interval_ns
            upcoming = after_not_sent(str(error), self._count, earliest_ns, desk.budget)
            self._write(ReportKind.REFUSED, self._unanswered(None, AttemptOutcome.NOT_SENT, str(error)), None, None)
            return upcoming
        except NoAnswer as error:
            desk.pacer.sent(desk.clock.monotonic_ns())
            sent_ns = desk.clock.wall_ns() - (desk.clock.monotonic_ns() - started_ns)
            attempt = self._unanswered(sent_ns, AttemptOutcome.UNRESOLVED, str(error))
            self._write(ReportKind.UNRESOLVED, attempt, None, None)
            return Next(Step.ASK)
        desk.pacer.sent(desk.clock.monotonic_ns() - answer.round_trip_ns)
        outcome = desk.broker.read_answer(answer.status, answer.headers, answer.body)
        return self._judge(answer, outcome)

    def _judge(self, answer: Answer, outcome: Outcome) -> Next:
        desk = self._desk
        earliest_ns = desk.pacer.earliest(desk.clock.monotonic_ns())
        if outcome.retry_after is not None:
            earliest_ns = max(earliest_ns, desk.clock.monotonic_ns() + int(outcome.retry_after * _NS))
        upcoming = next_step(outcome, self._count, self._logged_in_again, earliest_ns, desk.budget)
        kind = {
            Step.PLACED: ReportKind.ACCEPTED,
            Step.REFUSED: ReportKind.REJECTED,
            Step.ASK: ReportKind.UNRESOLVED,
        }.get(upcoming.step, ReportKind.REFUSED)
        self._write(kind, self._answered(answer, outcome), outcome, upcoming.reason, answer)
        return upcoming

    def _answered(self, answer: Answer, outcome: Outcome) -> Attempt:
        return Attempt(
            number=self._count,
            sent_at=instant(answer.sent_ns),
            lateness_us=self._desk.arrival.lateness_us(answer.sent_ns),
            answered_at=instant(answer.answered_ns),
            round_trip_us=answer.round_trip_ns // 1000,
            http_status=answer.status,
            code=outcome.code,
            message=None if outcome.message is None else redact(outcome.message),
            outcome=outcome.outcome,
            raw=redact(answer.body.decode("utf-8", "replace")),
        )

    def _unanswered(self, sent_ns: int | None, outcome: AttemptOutcome, message: str) -> Attempt:
        return Attempt(
            number=self._count,
            sent_at=None if sent_ns is None else instant(sent_ns),
            lateness_us=None if sent_ns is None else self._desk.arrival.lateness_us(sent_ns),
            answered_at=None,
            round_trip_us=None,
            http_status=None,
            code=None,
            message=redact(message),
            outcome=outcome,
        )

    def _write(
        self,
        kind: ReportKind,
        attempt: Attempt,
        outcome: Outcome | None,
        reason: str | None,
        answer: Answer | None = None,
    ) -> None:
        self._desk.journal.append(
            [
                self._report(ReportKind.SUBMITTED),
                self._report(kind, attempt=attempt, outcome=outcome, reason=reason or attempt.message),
            ]
        )
        self._desk.watcher.attempted(self._order, attempt, answer)

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
            reason=None if kind in {ReportKind.ACCEPTED, ReportKind.SUBMITTED} or reason is None else redact(reason),
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
        self._desk.journal.append([self._report(kind, reason=reason)])
        return self._state()

    def _state(self) -> OrderState:
        entry = self._desk.journal.entry(self._order.client_order_id)
        if entry is None:
            raise FirstbellError(f"{self._order.client_order_id} is not in the journal, though it was claimed")
        return entry.state
