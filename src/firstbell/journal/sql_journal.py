"""The journal over whatever keeps its tables: what is read and written, and the claim's one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from firstbell.errors import JournalError
from firstbell.journal.around import rows_around
from firstbell.journal.base import HELD_NS, AlreadyPlaced, Claimed, Held, ReportMisfit
from firstbell.journal.claims import Decision, decide, later_round, stands_against
from firstbell.journal.digest import TABLES, check
from firstbell.journal.known_states import Known, KnownStates
from firstbell.journal.news import newest, written_after
from firstbell.journal.owner import this_process
from firstbell.journal.rows import (
    note_row,
    order_row,
    read_entry,
    read_note,
    read_reports,
    read_run,
    report_row,
    run_row,
)
from firstbell.model.instant import instant
from firstbell.model.order import OrderState
from firstbell.model.order_status import DONE, IllegalMove, ReportKind
from firstbell.model.report import ExecutionReport

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from firstbell.clock import Clock
    from firstbell.journal.base import ClaimAnswer, Entry, Follower, Intent, Note, Owner, RunRecord, Subscriber
    from firstbell.journal.store import Row, Session, Store
    from firstbell.model.identifiers import ClientOrderId, RunId
    from firstbell.model.order import Order

    Told = list[tuple[ExecutionReport, OrderState, OrderState]]
    """Reports, each with its order before and after it."""
    _States = dict[ClientOrderId, Known]

_AT_ONCE = 5_000
"""So many rows are read at once where all are."""
_LATE_NS = 1_000_000_000
"""How long a taking-over may take to become durable before its owner may have missed it, in ns."""
_DONE = ("DENIED", "WITHDRAWN", "TAKEN_OVER", "REJECTED", "FILLED", "CANCELED", "EXPIRED")
_ENDED = (*_DONE, "ACCEPTED", "PARTIALLY_FILLED")


def _without(kinds: Sequence[str]) -> str:
    """What finds the orders of which no report of some kinds has come; takes the kinds as values."""
    marks = ",".join("?" * len(kinds))
    return (
        "NOT EXISTS (SELECT 1 FROM reports r WHERE r.client_order_id = orders.client_order_id"  # noqa: S608 - only question marks are put in  # nosec B608
        f" AND r.kind IN ({marks}))"
    )


_OPEN = _without(_ENDED)
"""What finds the orders that are neither done nor known to be at the broker; takes the values of `_ENDED`."""
_OF_OTHERS = f"login = ? AND seq > ? AND {_OPEN} AND NOT (owner_host = ? AND owner_pid = ? AND owner_started = ?)"
"""What finds those of a login from a row on that somebody else has claimed."""


class SqlJournal:
    """A `firstbell.journal.base.Journal` over a store.

    Args:
        store: Keeps the tables.
        clock: Tells when a report was written and whether a claim's bell has rung.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._followers: list[Follower] = []
        self._known = KnownStates()
        self._noticing = _Noticing(self)
        self._settled: dict[tuple[str, Owner], int] = {}
        """Login and claimant → the row of orders up to which none can stand against him ever again."""
        self.failed_writes = 0
        """See the protocol."""

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        return self._store.is_local

    def subscribe(self, subscriber: Subscriber) -> None:
        """Have every later report of this process handed on, once it is durable."""
        self._followers.append(lambda report, _before, after: subscriber(report, after.order))

    def follow(self, follower: Follower) -> None:
        """Have every later report of this process handed on with what it has made of its order."""
        self._followers.append(follower)

    def close(self) -> None:
        """Let go of the store; the next call opens it again."""
        self._settled.clear()
        self._known.forget()
        self._store.close()

    def verify(self) -> None:
        """See that every row is as it was written."""
        for table in TABLES:
            seen = 0
            while rows := self._rows(f"SELECT * FROM {table} WHERE seq > ? ORDER BY seq LIMIT {_AT_ONCE}", (seen,)):  # noqa: S608 - our own names  # nosec B608
                for row in rows:
                    check(table, row)
                seen = rows[-1]["seq"]

    def alive(self, owner: Owner) -> bool:
        """Whether the owner's process still lives, as far as the store can tell."""
        return self._store.read(lambda session: session.alive(owner))

    def begin_run(self, record: RunRecord) -> None:
        """Write down that a run begins."""
        self._store.write(lambda session: session.add("runs", [run_row(record)]))

    def run(self, run_id: RunId) -> RunRecord | None:
        """A run by its name."""
        rows = self._rows("SELECT * FROM runs WHERE run_id = ?", (run_id,))
        return read_run(rows[0]) if rows else None

    def newest_run(self) -> RunRecord | None:
        """The run begun last."""
        rows = self._rows("SELECT * FROM runs ORDER BY seq DESC LIMIT 1")
        return read_run(rows[0]) if rows else None

    def claim(self, intent: Intent, run_id: RunId, owner: Owner, *, where: OrderState | None = None) -> ClaimAnswer:
        """Claim a plan, durably. Processes that claim plans of one login at once are served one after another."""
        with self._noticing:
            answer, told, left = self._store.write(
                lambda session: self._claim(session, intent, run_id, owner, where), (intent.plan_id, intent.login)
            )
            if isinstance(answer, Claimed):
                self._known.put(
                    answer.order.client_order_id, Known(intent.plan_id, 1 + answer.state.triggered, answer.state)
                )
            self._hand_on(told)
        if isinstance(answer, Claimed) and left is not None and self._may_be_missed(left):
            return self._give_up(answer.order, left, run_id)
        return answer

    def append(self, reports: Sequence[ExecutionReport], *, where: OrderState | None = None) -> None:
        """Write reports, all or none, durably; see the protocol."""
        if not reports:
            return
        names = dict.fromkeys(report.client_order_id for report in reports)
        known = {name: each for name in names if (each := self._known.get(name)) is not None}
        if len(known) < len(names):
            known |= self._store.read(lambda session: {n: _read_state(session, n) for n in names if n not in known})
        plans = sorted({each.plan_id for each in known.values()})
        with self._noticing:
            told, now = self._store.write(lambda session: _append(session, known, reports, where), plans)
            for name, each in now.items():
                self._known.put(name, each)
            self._hand_on(told)

    def note(self, run_id: RunId, notes: Sequence[Note]) -> None:
        """Write down what a run found out."""
        if notes:
            self._store.write(lambda session: session.add("notes", [note_row(run_id, note) for note in notes]))

    def notes(self, run_id: RunId) -> tuple[Note, ...]:
        """A run's notes, in the order in which they were written."""
        return tuple(map(read_note, self._rows("SELECT * FROM notes WHERE run_id = ? ORDER BY seq", (run_id,))))

    def entry(self, client_order_id: ClientOrderId) -> Entry | None:
        """One order."""
        found = self._entries("client_order_id = ?", (client_order_id,))
        return found[0] if found else None

    def entries(
        self,
        *,
        day: date | None = None,
        run_id: RunId | None = None,
        login: str | None = None,
        bell_ns: int | None = None,
    ) -> tuple[Entry, ...]:
        """Orders, oldest first: of a trading day, of a run, of a login, of a bell, or all."""
        wanted = {
            "day": None if day is None else day.isoformat(),
            "run_id": run_id,
            "login": login,
            "bell_ns": bell_ns,
        }
        given = {column: value for column, value in wanted.items() if value is not None}
        return self._entries(" AND ".join(f"{column} = ?" for column in given) or "TRUE", tuple(given.values()))

    def entries_around(self, day: date, login: str | None, since: date) -> tuple[Entry, ...]:
        """Orders that matter on a day; see the protocol."""
        not_done = _without(_DONE)

        def read(session: Session) -> tuple[Entry, ...]:
            return _read(session, rows_around(session, login, day, since, not_done=not_done, done=_DONE))

        return self._store.read(read)

    def open_entries(self, *, placed: bool = False, login: str | None = None) -> tuple[Entry, ...]:
        """Orders that are neither done nor known to be at the broker; or with `placed`, all that are not done."""
        of, whose = ("", ()) if login is None else ("login = ? AND ", (login,))
        if not placed:
            return self._entries(f"{of}{_OPEN}", (*whose, *_ENDED))
        # What the last of several trades has filled, no report says.
        found = self._entries(f"{of}{_without(_DONE)}", (*whose, *_DONE))
        return tuple(entry for entry in found if entry.state.status not in DONE)

    def reports(self, client_order_id: ClientOrderId) -> tuple[ExecutionReport, ...]:
        """All reports on one order, oldest first."""
        rows = self._store.read(lambda session: session.reports_of([client_order_id]))
        return tuple(read_reports(rows).get(client_order_id, ()))

    def last_seq(self) -> int:
        """How far the journal goes."""
        return self._store.read(newest)

    def reports_after(self, seq: int, *, but_of: RunId | None = None) -> tuple[int, tuple[ExecutionReport, ...]]:
        """What has been written since; see the protocol."""
        seq, rows = self._store.read(lambda session: written_after(session, seq))
        return seq, tuple(_read_report(row) for row in rows if row["run_id"] != but_of)

    def _claim(
        self, session: Session, intent: Intent, run_id: RunId, owner: Owner, where: OrderState | None
    ) -> tuple[ClaimAnswer, Told, Entry | None]:
        """The answer, what was written, and the order that was taken over, if one was."""
        told: Told = []
        newest = session.rows("SELECT * FROM orders WHERE plan_id = ? ORDER BY round DESC LIMIT 1", (intent.plan_id,))
        held = _read(session, newest)[0] if newest else None
        if where is not None and (held is None or held.state != where):
            raise ReportMisfit(f"{intent.plan_id} does not stand any more as it did")
        now_ns, out_of_sight_ns = self._clock.wall_ns(), self._store.out_of_sight_ns
        here = this_process().host
        verdict = decide(held, owner, now_ns, session.alive, out_of_sight_ns=out_of_sight_ns, here=here)
        if verdict.answer is Decision.FREE and (against := self._against(session, intent, owner, now_ns)) is not None:
            # Before anything is written: what is taken over without a next round would be lost.
            return Held(against, ours=False), told, None
        if held is not None and verdict.report is not None:
            self._tell(session, told, held.state, run_id, verdict.report, verdict.reason)
            held = _read(session, newest)[0]
        if held is not None and verdict.answer is Decision.PLACED:
            return AlreadyPlaced(held), told, None
        if held is not None and verdict.answer is not Decision.FREE:
            return Held(held, ours=verdict.answer is Decision.OURS), told, None
        round_ = 1 if held is None else int(newest[0]["round"]) + 1
        order = later_round(intent, round_)
        claimed_at = instant(self._clock.wall_ns())
        row = order_row(intent, order, round_=round_, run_id=run_id, owner=owner, claimed_at=claimed_at)
        session.add("orders", [row])
        state = OrderState(order)
        # One whose price had come is held back as such from the first: nobody sees it without the word of that.
        kinds = (ReportKind.TRIGGERED,) if where is not None and where.triggered and intent.bell_ns == HELD_NS else ()
        for kind in (ReportKind.INITIALIZED, *kinds):
            state = self._tell(session, told, state, run_id, kind, None)
        return Claimed(state), told, held if verdict.report is not None else None

    def _against(self, session: Session, intent: Intent, owner: Owner, now_ns: int) -> Entry | None:
        """An order of another plan of the login that keeps this one from being claimed.

        Nothing is ever taken out of the journal, so what has ended, or is the claimant's own, stays so: a claim looks
        only at what has come since, and costs the same however long the journal is. (Claims of one login are served
        one after another, so its rows become visible in their order.)
        """
        settled = self._settled.get((intent.login, owner), 0)
        values = (intent.login, settled, *_ENDED, owner.host, owner.pid, owner.started)
        # Nearly always there is none, and that is asked with the other question.
        (found,) = session.rows(
            "SELECT coalesce(max(seq), 0) AS newest,"  # noqa: S608 - our own words  # nosec B608
            f" EXISTS (SELECT 1 FROM orders WHERE {_OF_OTHERS}) AS others FROM orders WHERE login = ?",
            (*values, intent.login),
        )
        if not found["others"]:
            self._settled[intent.login, owner] = int(found["newest"])
            return None
        others = session.rows(f"SELECT * FROM orders WHERE {_OF_OTHERS} ORDER BY seq", values)  # noqa: S608 - likewise  # nosec B608
        self._settled[intent.login, owner] = int(others[0]["seq"]) - 1
        others = [row for row in others if row["plan_id"] != intent.plan_id]
        out_of_sight_ns, here = self._store.out_of_sight_ns, this_process().host
        for other in _read(session, others):
            if stands_against(other, owner, now_ns, session.alive, out_of_sight_ns=out_of_sight_ns, here=here):
                return other
        return None

    def _may_be_missed(self, left: Entry) -> bool:
        """Whether an owner out of sight who lives after all may have looked before his order was taken from him."""
        from_ns = left.intent.bell_ns - self._store.out_of_sight_ns + _LATE_NS
        return not self.is_local and left.owner.host != this_process().host and self._clock.wall_ns() >= from_ns

    def _give_up(self, order: Order, left: Entry, run_id: RunId) -> Held:
        """Leave a plan that was taken over too late: its first owner may send it, so nobody else may ever."""
        reason = f"taken over from {left.owner} so late that it may have been sent all the same"
        report = self._report(order, run_id, ReportKind.UNRESOLVED, reason)
        self.append([report])
        entry = self.entry(order.client_order_id)
        if entry is None:
            raise JournalError(f"{order.client_order_id} is gone from the journal")
        return Held(entry, ours=False)

    def _tell(
        self, session: Session, told: Told, before: OrderState, run_id: RunId, kind: ReportKind, reason: str | None
    ) -> OrderState:
        report = self._report(before.order, run_id, kind, reason)
        session.add("reports", [report_row(report)])
        after = before.after(report)
        told.append((report, before, after))
        return after

    def _report(self, order: Order, run_id: RunId, kind: ReportKind, reason: str | None) -> ExecutionReport:
        at = instant(self._clock.wall_ns())
        return ExecutionReport(order.client_order_id, run_id, kind, at, reason=reason)

    def _entries(self, where: str, values: tuple[Any, ...]) -> tuple[Entry, ...]:
        query = f"SELECT * FROM orders WHERE {where} ORDER BY seq"  # noqa: S608 - `where` is made of our own words  # nosec B608
        return self._store.read(lambda session: _read(session, session.rows(query, values)))

    def _rows(self, query: str, values: tuple[Any, ...] = ()) -> Sequence[Row]:
        return self._store.read(lambda session: session.rows(query, values))

    def _hand_on(self, told: Told) -> None:
        for report, before, after in told:
            for follower in self._followers:
                follower(report, before, after)


class _Noticing:
    """Counts a write that is cut short; one that does not fit has certainly not been made."""

    def __init__(self, journal: SqlJournal) -> None:
        self._journal = journal

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, _error: object, _traceback: object) -> None:
        if kind is not None and not issubclass(kind, ReportMisfit):
            self._journal.failed_writes += 1


def _read(session: Session, rows: Sequence[Row]) -> tuple[Entry, ...]:
    reports = read_reports(session.reports_of([row["client_order_id"] for row in rows]))
    return tuple(read_entry(row, reports.get(row["client_order_id"], ())) for row in rows)


def _state(session: Session, name: ClientOrderId, known: Known) -> Known:
    """An order as it stands: as is known, where the database has no more reports on it, or else as that says."""
    (found,) = session.rows("SELECT count(*) AS number FROM reports WHERE client_order_id = ?", (name,))
    return known if found["number"] == known.reports else _read_state(session, name)


def _read_state(session: Session, name: ClientOrderId) -> Known:
    rows = session.rows("SELECT * FROM orders WHERE client_order_id = ?", (name,))
    if not rows:
        raise JournalError(f"a report came on {name}, which the journal does not know")
    reports = session.reports_of([name])
    entry = read_entry(rows[0], read_reports(reports).get(name, ()))
    return Known(entry.intent.plan_id, len(reports), entry.state)


def _append(
    session: Session, known: _States, reports: Sequence[ExecutionReport], where: OrderState | None
) -> tuple[Told, _States]:
    """Write reports; what is to be told, and the orders as they stand then."""
    now = {name: _state(session, name, each) for name, each in known.items()}
    for name, each in now.items() if where is not None else ():
        if each.state != where:
            raise ReportMisfit(f"{name} does not stand any more as it did")
    told: Told = []
    for report in reports:
        name = report.client_order_id
        before = now[name]
        try:
            state = before.state.after(report)
        except IllegalMove as error:
            raise ReportMisfit(f"{name}: {error}") from error
        now[name] = Known(before.plan_id, before.reports + 1, state)
        told.append((report, before.state, state))
    session.add("reports", [report_row(report) for report in reports])
    return told, now


def _read_report(row: Row) -> ExecutionReport:
    (reports,) = read_reports([row]).values()
    return reports[0]
