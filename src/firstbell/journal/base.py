"""What a journal is to the rest of the house, and the answers that a claim can get."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from firstbell.errors import JournalError
from firstbell.model.identifiers import ClientOrderId
from firstbell.model.instant import epoch_ns
from firstbell.model.order_status import NEVER_PLACED, OrderStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date, datetime

    from firstbell.model.identifiers import AccountName, BrokerCode, InstrumentId, RunId, VenueOrderId
    from firstbell.model.order import Order, OrderState
    from firstbell.model.report import ExecutionReport
    from firstbell.model.terms import Side

    Subscriber = Callable[[ExecutionReport, Order], None]
    """Called after a report is durable, with the order it is of. It must be quick and must not raise."""
    Follower = Callable[[ExecutionReport, OrderState, OrderState], None]
    """The same, with the order as it stood before the report and as it stands after it."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that holds a claim.

    Attributes:
        host: The machine's name and, behind a ``#``, which of its starts this was.
        pid: The process's number.
        started: When the process was started, in clock ticks of the machine; tells a re-used number apart.
    """

    host: str
    pid: int
    started: float

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host.partition('#')[0]}"


HELD_NS: Final = (1 << 63) - 1
"""The bell of an order that we hold back, in ns: it never rings, so nothing of it can have left by itself."""
AT_ONCE_NS: Final = 0
"""The bell of an order that waits for none, in ns: from its claim on it may have left, whatever the clock says."""

_CLOCKS_DIFFER_NS: Final = 1_000_000_000
"""By so much, in ns, a claim of another machine may be later than our own clock says."""


@dataclass(frozen=True, slots=True)
class Intent:
    """An order about to be claimed, with what is needed to find out later what became of it.

    Attributes:
        order: The order of round 1; the claim may give it a later round's name.
        login: The login it belongs to: a digest of broker and user name.
        plan_id: Its name in round 1, whatever the round.
        bell_ns: The instant before which nothing of it can have left, in ns since the epoch, on our clock; `HELD_NS`
            for one that is held back until the market triggers it, and of which a report tells before it leaves;
            `AT_ONCE_NS` for one that leaves as soon as it is claimed.
        known_ids: The broker's ids that were in its list of the day before the bell; None where it could not be read.
    """

    order: Order
    login: str
    plan_id: ClientOrderId
    bell_ns: int
    known_ids: frozenset[VenueOrderId] | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One order in the journal: its intent, its state, and who holds it."""

    intent: Intent
    state: OrderState
    run_id: RunId
    owner: Owner
    claimed_at: datetime

    @property
    def known_ids(self) -> frozenset[VenueOrderId] | None:
        """The broker's names in its list before this could have left; None where that is not known.

        One that was held back leaves long after its claim.
        """
        has_waited = self.intent.bell_ns == HELD_NS and self.state.submitted_at is not None
        return self.state.known_ids if has_waited else self.intent.known_ids

    @property
    def round(self) -> int:
        """Which order of its plan it is: 1 for the first."""
        name, plan_id = self.intent.order.client_order_id, self.intent.plan_id
        return 1 if name == plan_id else int(name.rpartition("-r")[2])

    @property
    def is_held_back(self) -> bool:
        """Whether it is one that we hold back, and nothing of it has left."""
        return self.intent.bell_ns == HELD_NS and self.state.status is OrderStatus.INITIALIZED

    def cannot_have_left(self, now_ns: int) -> bool:
        """Whether nothing of it can have left yet: its bell has not rung, by a clock that has not been set back since.

        Args:
            now_ns: Now, in ns since the epoch.
        """
        if self.state.status is not OrderStatus.INITIALIZED:
            return False
        return self.is_held_back or epoch_ns(self.claimed_at) - _CLOCKS_DIFFER_NS <= now_ns < self.intent.bell_ns

    @property
    def when_it_may_have_left(self) -> str:
        """In words: when an owner ended who has left nothing behind that says whether it left."""
        # What was asked for besides the bell was claimed for at once, or held back.
        had_bell = epoch_ns(self.claimed_at) < self.intent.bell_ns < HELD_NS
        return f"{'after the bell' if had_bell else 'when it may have left'} without a word"

    @property
    def is_handed_over(self) -> bool:
        """Whether it is held back, and by nobody: the next process that makes rounds takes it over."""
        return self.is_held_back and self.state.handed_over

    def is_held_by(self, owner: Owner) -> bool:
        """Whether it is held back, and by that process: nobody else lets it go."""
        return self.is_held_back and self.owner == owner and not self.state.handed_over


@dataclass(frozen=True, slots=True)
class Claimed:
    """The claim is ours and durable: this order, and no other of its plan, may be sent by this process.

    Attributes:
        state: How it stands: its price has come where that of the one had for which it goes on.
    """

    state: OrderState

    @property
    def order(self) -> Order:
        """The order, under the name of its round."""
        return self.state.order


@dataclass(frozen=True, slots=True)
class AlreadyPlaced:
    """The broker has an order of this plan: nothing may be sent."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Held:
    """Somebody else has the plan or its login, or nobody knows what became of one of its orders: nothing may be sent.

    Attributes:
        entry: The order that holds the plan, or one of another plan that holds its login.
        ours: Whether this very process holds it already.
    """

    entry: Entry
    ours: bool


ClaimAnswer = Claimed | AlreadyPlaced | Held


@dataclass(frozen=True, slots=True)
class RunLine:
    """One configured order of a run: what its result is listed under even if nothing ever came of it."""

    account: AccountName
    broker_code: BrokerCode
    instrument: InstrumentId
    side: Side


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run as it was started.

    Attributes:
        run_id: Its name.
        bell: The bell it aims at, in exchange time.
        lines: Every configured order.
        results_dir: The folder that its results are written to.
    """

    run_id: RunId
    bell: datetime
    lines: tuple[RunLine, ...]
    results_dir: str


@dataclass(frozen=True, slots=True)
class Note:
    """Something a run found out about one account that is not a report on an order.

    Attributes:
        account: The account.
        kind: ``not_sent`` (text: why), ``placed_before`` (client_order_id: which), ``warning`` (text) or ``finished``.
        text: In words, secrets removed.
        client_order_id: The order it is about, if any.
    """

    account: AccountName
    kind: str
    text: str | None = None
    client_order_id: ClientOrderId | None = None


class ReportMisfit(JournalError):  # noqa: N818 - a report, and one that does not fit
    """A report does not fit its order's state: somebody else has written of it meanwhile. Nothing was written."""


def newest_round(entry: Entry, lookup: Callable[[ClientOrderId], Entry | None]) -> Entry:
    """The order under which a plan goes on: the entry itself, or the one that was claimed in its place, and so forth.

    What one process held back is claimed anew by the next one, under a name of its own.

    Args:
        entry: An order in whatever round.
        lookup: Finds orders by name.
    """
    while entry.state.status in NEVER_PLACED:
        later = lookup(ClientOrderId(f"{entry.intent.plan_id}-r{entry.round + 1}"))
        if later is None:
            break
        entry = later
    return entry


class Journal(Protocol):
    """The append-only store. Every method raises `firstbell.errors.JournalError` when it cannot do its work."""

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it: then no other machine may run with it."""
        ...

    @property
    def failed_writes(self) -> int:
        """How many writes of this process have been cut short: each may be there, or not, and was not handed on.

        Whoever keeps a copy of what is written reads it anew where this has changed.
        """
        ...

    def alive(self, owner: Owner) -> bool:
        """Whether the owner's process still lives, as far as this journal can tell; in doubt it does."""
        ...

    def begin_run(self, record: RunRecord) -> None:
        """Write down that a run begins."""
        ...

    def run(self, run_id: RunId) -> RunRecord | None:
        """A run by its name."""
        ...

    def newest_run(self) -> RunRecord | None:
        """The run begun last."""
        ...

    def claim(self, intent: Intent, run_id: RunId, owner: Owner, *, where: OrderState | None = None) -> ClaimAnswer:
        """Claim a plan, durably, against every other process: the one door through which an order becomes sendable.

        Args:
            intent: The order.
            run_id: Under which name it is written.
            owner: Who claims it.
            where: How the plan's newest order has to stand, where the claim goes on for it and it may not stand
                otherwise. Where its price had come, that of one that is held back for it has too.

        Raises:
            ReportMisfit: It does not, and nothing was written.
        """
        ...

    def append(self, reports: Sequence[ExecutionReport], *, where: OrderState | None = None) -> None:
        """Write reports, all or none, durably.

        Args:
            reports: They.
            where: How the order of all of them has to stand, where they are of one and it may not stand otherwise.

        Raises:
            ReportMisfit: One does not fit its order's state, or that is not `where`, and nothing was written.
        """
        ...

    def note(self, run_id: RunId, notes: Sequence[Note]) -> None:
        """Write down what a run found out."""
        ...

    def notes(self, run_id: RunId) -> tuple[Note, ...]:
        """A run's notes, in the order in which they were written."""
        ...

    def entry(self, client_order_id: ClientOrderId) -> Entry | None:
        """One order."""
        ...

    def entries(
        self,
        *,
        day: date | None = None,
        run_id: RunId | None = None,
        login: str | None = None,
        bell_ns: int | None = None,
    ) -> tuple[Entry, ...]:
        """Orders, oldest first: of a trading day, of a run, of a login, of a bell, or all."""
        ...

    def entries_around(self, day: date, login: str | None, since: date) -> tuple[Entry, ...]:
        """Orders that matter on a day, oldest first, and with each all that it belongs with.

        Those are the day's, what is not done, and that of which anything has been written since. Others may be among
        them; but how long a journal has become makes little difference.

        Args:
            day: The trading day.
            login: Those of one login; None: of all.
            since: A day in UTC.
        """
        ...

    def open_entries(self, *, placed: bool = False, login: str | None = None) -> tuple[Entry, ...]:
        """Orders that are neither done nor known to be at the broker: to be looked after by whoever starts.

        Args:
            placed: Whether those that work at their broker are wanted as well.
            login: Those of one login; None: of all.
        """
        ...

    def reports(self, client_order_id: ClientOrderId) -> tuple[ExecutionReport, ...]:
        """All reports on one order, oldest first."""
        ...

    def last_seq(self) -> int:
        """How far the journal goes: the number of its newest report, for `reports_after`; 0 where there is none.

        Where another machine writes at this moment it may be a little less.
        """
        ...

    def reports_after(self, seq: int, *, but_of: RunId | None = None) -> tuple[int, tuple[ExecutionReport, ...]]:
        """What has been written since, by whatever process, oldest first; at most some thousands at once.

        Each report comes once, and none is left out. A database that several machines write to may show a report after
        one with a higher number: that one then comes when both can be seen, a few milliseconds later.

        Args:
            seq: What `last_seq`, or this method, has returned before.
            but_of: The run whose reports are left out, such as the caller's own.

        Returns:
            From where to ask the next time, and the reports.
        """
        ...

    def verify(self) -> None:
        """See that every row is as it was written; it reads them all, so it is for a start.

        Raises:
            JournalDamaged: One is not; the text names it.
        """
        ...

    def subscribe(self, subscriber: Subscriber) -> None:
        """Have every later report handed on, once it is durable."""
        ...

    def follow(self, follower: Follower) -> None:
        """Have every later report handed on with what it has made of its order, once it is durable."""
        ...

    def close(self) -> None:
        """Let go of the store; it can be used again afterwards."""
        ...
