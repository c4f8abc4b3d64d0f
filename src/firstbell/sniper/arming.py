"""Everything that one login has to do before the bell: read, plan, check, claim, encode, warm."""

from __future__ import annotations

import contextlib
import json
import logging
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from firstbell.cache.file_lock import locked
from firstbell.errors import BrokerError, CaptchaError, FirstbellError, RunError
from firstbell.journal.base import AlreadyPlaced, Claimed, Intent, Note
from firstbell.journal.owner import this_process
from firstbell.model.identifiers import AccountName, is_requested
from firstbell.model.instant import instant
from firstbell.model.money import grouped, plain
from firstbell.model.order_status import DONE, NEVER_PLACED, PLACED, OrderStatus, ReportKind
from firstbell.model.report import ExecutionReport
from firstbell.model.terms import Side
from firstbell.oms.inquiry import Inquiry, needs_asking
from firstbell.oms.listed_days import listed_on
from firstbell.oms.orders.day_limits import LIMITS_LOCK, counted_on
from firstbell.oms.plan import DayUsed, Facts, PlanLine, plan_login
from firstbell.risk.checks import Surroundings, deny, total_within_limit
from firstbell.sniper.reading import Reading
from firstbell.sniper.results import DRY, NOT_SENT, STANDS_FOR, WARNING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from firstbell.brokers.base import HttpBroker, PreparedOrder
    from firstbell.config import AccountSettings
    from firstbell.journal.base import Entry, Owner
    from firstbell.model.identifiers import ClientOrderId, InstrumentId, VenueOrderId
    from firstbell.model.order import Order
    from firstbell.oms.logins import Login
    from firstbell.sniper.aiming import Aims, HostAim
    from firstbell.sniper.context import RunContext

_log = logging.getLogger(__name__)

_NS: Final = 1_000_000_000
_LOCK_S: Final = 5.0


@dataclass(slots=True)
class Armed:
    """One login, ready for the bell.

    Attributes:
        login: The login.
        broker: Its broker, logged in.
        ready: Its claimed orders and their bytes, in the order in which they may leave.
        elsewhere: Accounts that another process of this same run has: that one reports on them.
        around: What each of the orders has been judged against, by its name.
    """

    login: Login
    broker: HttpBroker
    ready: list[tuple[Order, PreparedOrder]] = field(default_factory=list)
    elsewhere: set[AccountName] = field(default_factory=set)
    around: dict[ClientOrderId, Surroundings] = field(default_factory=dict)


class Arming:
    """Arms one login.

    Args:
        context: The run.
        login: The login.
        broker: Its broker.
        aims: The aims of this process.
        aim: The one at this broker's bell: it tells what can leave when.
        owner: The process that will fire; this one by default.
        margin_ns: How much sooner than from here the orders may leave there, in ns: its clock is another one.
    """

    def __init__(
        self,
        context: RunContext,
        login: Login,
        broker: HttpBroker,
        aims: Aims,
        aim: HostAim,
        *,
        owner: Owner | None = None,
        margin_ns: int = 0,
    ) -> None:
        self._owner = owner or this_process()
        self._margin_ns = margin_ns
        self._context = context
        self._login = login
        self._broker = broker
        self._aims = aims
        self._aim = aim
        self._reading = Reading(context, login, broker)

    def arm(self) -> Armed:
        """Wait for the time to read, then read, plan, claim and encode.

        Every account that comes to no order gets a note that says why.

        Raises:
            JournalError: A claim could not be written; without one no order leaves.
        """
        armed = Armed(self._login, self._broker)
        accounts = self._still_to_do(armed)
        if not accounts:
            return armed
        try:
            self._reading.log_in_early()
            self._reading.log_in()
            self._aims.begin(self._aim, self._broker)
            facts, known_ids = self._reading.read(accounts)
            self._aims.look_roughly(self._aim)
        except (BrokerError, CaptchaError, RunError) as error:
            self._not_sent(self._had_by_nobody(armed, accounts), str(error))
            return armed
        try:
            self._claim_all(armed, accounts, facts, known_ids)
        except BaseException:
            # What was claimed by now will not be sent: say so, or it would count as unresolved and block the login.
            self._let_go(armed)
            raise
        return armed

    def _claim_all(
        self,
        armed: Armed,
        accounts: Sequence[AccountSettings],
        facts: Facts,
        known_ids: frozenset[VenueOrderId] | None,
    ) -> None:
        by_name = {account.name: account for account in accounts}
        for line in self._plan(accounts, facts):
            for remark in line.remarks:
                self._note(line.account, WARNING, remark)
            account = by_name[line.account]
            if line.denied is not None:
                # Another run may have claimed since: what is missing is then in that very order.
                self._not_sent(self._had_by_nobody(armed, [account]), line.denied)
            with self._alone():
                self._claim(armed, account, line, known_ids)

    def _let_go(self, armed: Armed) -> None:
        at = instant(self._context.clock.wall_ns())
        why = "its login could not be armed as a whole"
        for order, _ in armed.ready:
            report = ExecutionReport(order.client_order_id, self._context.run_id, ReportKind.DENIED, at, reason=why)
            self._context.journal.append([report])

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Where a limit counts over all logins, one login at a time claims: else two could each see room for itself."""
        if self._context.limits.max_total_value is None:
            yield
            return
        locks = self._context.settings.firstbell.state_dir / "locks"
        locks.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with locked(locks / LIMITS_LOCK, timeout_s=_LOCK_S):
                yield
        except TimeoutError as error:
            raise RunError(f"the limits could not be checked: {error}") from error

    def _still_to_do(self, armed: Armed) -> list[AccountSettings]:
        """The accounts whose plan has not been carried out today and about which nothing is open."""
        if self._unresolved():
            self._ask_until_known()
        accounts = self._had_by_nobody(armed, self._login.accounts)
        if accounts and (unresolved := self._unresolved()):
            name = unresolved[0].intent.order.client_order_id
            self._not_sent(accounts, f"this login's order {name} is unresolved; nothing new until it is known")
            return []
        return accounts

    def _had_by_nobody(self, armed: Armed, accounts: Sequence[AccountSettings]) -> list[AccountSettings]:
        """Those of these accounts whose plan nobody else has; of each other one a note says who has it."""
        ours = {order.client_order_id for order, _ in armed.ready}
        of_day = self._context.journal.entries(day=self._context.day, login=self._login.key)
        todays = [entry for entry in of_day if entry.intent.order.client_order_id not in ours]
        unresolved = self._unresolved()
        left = []
        for account in accounts:
            placed = [e for e in todays if _is_of(e, account) and e.state.status in PLACED]
            open_ = [e for e in unresolved if _is_of(e, account)]
            held = [e for e in todays if _is_of(e, account) and self._is_at_work(e)]
            if placed or open_:
                for entry in placed or open_:
                    self._note(account.name, STANDS_FOR, None, entry)
            elif held:
                self._held(armed, account.name, held[0])
            else:
                left.append(account)
        return left

    def _unresolved(self) -> list[Entry]:
        return [e for e in self._context.journal.open_entries(login=self._login.key) if needs_asking(e)]

    def _ask_until_known(self) -> None:
        """Ask for what earlier runs left unresolved, as long as there is time before this bell."""
        inquiry = Inquiry(self._broker, self._context.journal, self._context.clock, self._context.run_id)
        until_ns = self._reading.patience_ns()
        while unresolved := self._unresolved():
            for day in sorted({listed_on(entry) for entry in unresolved}):
                names = [e.intent.order.client_order_id for e in unresolved if listed_on(e) == day]
                try:
                    self._broker.login()
                    inquiry.look(names)
                except (BrokerError, CaptchaError) as error:
                    _log.warning("%s: %s", self._login.leader.name, error)
            if self._context.clock.monotonic_ns() >= until_ns or not self._unresolved() or self._reading.pause(2.0):
                return

    def _used(self) -> DayUsed:
        journal, day = self._context.journal, self._context.day
        own = {(account.isin, account.side) for account in self._login.accounts}
        # Only a limit on the total counts what other logins have; with a thousand of them that is much to read.
        login = self._login.key if self._context.limits.max_total_value is None else None
        entries = [each for each in counted_on(journal, day, login) if not self._is_left_over(each, own)]
        todays = [e for e in entries if e.state.status not in DONE or _traded(e)]
        return DayUsed(
            sum((e.intent.order.value for e in todays if e.intent.order.side is Side.BUY), Decimal(0)),
            # One that was taken off the book was an order all the same.
            sum(e.intent.login == self._login.key and e.state.status not in NEVER_PLACED for e in entries),
            frozenset(
                e.intent.order.instrument
                for e in todays
                if e.intent.login == self._login.key
                and e.intent.order.side is Side.BUY
                and e.state.status in PLACED
                and not is_requested(e.intent.plan_id)
            ),
        )

    def _is_left_over(self, entry: Entry, own: set[tuple[InstrumentId, Side]]) -> bool:
        """Whether this is what a dead process left of the very plan that is to be claimed: it is not used twice."""
        order = entry.intent.order
        ours = entry.intent.login == self._login.key and (order.instrument, order.side) in own
        return ours and entry.state.status is OrderStatus.INITIALIZED and not self._context.journal.alive(entry.owner)

    def _is_at_work(self, entry: Entry) -> bool:
        """Whether a living process has the order and has not come to an end with it."""
        state = entry.state
        if state.status in DONE or state.status in PLACED or state.unresolved:
            return False
        return self._context.journal.alive(entry.owner)

    def _over_total(self, order: Order, line: PlanLine) -> str | None:
        """Why this order is too much for the day, counted once more with what other logins have claimed since."""
        if self._context.limits.max_total_value is None or line.instrument is None:
            return None
        around = Surroundings(line.instrument, None, self._context.limits, self._used().value, 0)
        return next((str(denial) for denial in deny(order, around, (total_within_limit,))), None)

    def _plan(self, accounts: Sequence[AccountSettings], facts: Facts) -> tuple[PlanLine, ...]:
        context = self._context
        return plan_login(
            accounts,
            facts,
            self._broker.estimate,
            day=context.day,
            market=context.settings.firstbell.market,
            limits=context.limits,
            used=self._used(),
        )

    def _claim(
        self, armed: Armed, account: AccountSettings, line: PlanLine, known_ids: frozenset[VenueOrderId] | None
    ) -> None:
        for order, around in zip(line.orders, line.around, strict=True):
            if (over := self._over_total(order, line)) is not None:
                self._not_sent(self._had_by_nobody(armed, [account]), over)
                return
            try:
                prepared = self._broker.prepare(order)
            except (FirstbellError, ValueError) as error:
                self._note(line.account, NOT_SENT, f"the order cannot be written for this broker: {error}")
                return
            if self._context.dry:
                worth = f"{order.side} {grouped(order.quantity)} at {grouped(order.price)}"
                would: dict[str, int | str] = {"price": plain(order.price), "quantity": plain(order.quantity)}
                self._note(line.account, DRY, json.dumps({**would, "reason": f"dry run: would {worth}"}))
                continue
            leaves_from_ns = self._aim.leaves_from_ns() - self._margin_ns
            intent = Intent(order, self._login.key, order.client_order_id, leaves_from_ns, known_ids)
            answer = self._context.journal.claim(intent, self._context.run_id, self._owner)
            if isinstance(answer, Claimed):
                if answer.order is not order:
                    prepared = self._broker.prepare(answer.order)
                armed.ready.append((answer.order, prepared))
                armed.around[answer.order.client_order_id] = around
            else:
                # Who has one slice of a plan has the plan: it was sized against the same money.
                if answer.entry.intent.plan_id != intent.plan_id:
                    self._login_held(armed, line.account, answer.entry)
                elif isinstance(answer, AlreadyPlaced) or answer.entry.state.unresolved:
                    self._note(line.account, STANDS_FOR, None, answer.entry)
                else:
                    self._held(armed, line.account, answer.entry)
                return

    def _login_held(self, armed: Armed, account: str, entry: Entry) -> None:
        """Another order of the login stands against this one; see `firstbell.journal.claims.stands_against`."""
        name, unresolved = entry.intent.order.client_order_id, entry.state.unresolved
        if entry.run_id == self._context.run_id and not unresolved:
            armed.elsewhere.add(AccountName(account))
            return
        why = f"this login's order {name} is unresolved; nothing new until it is known"
        if not unresolved:
            why = f"{entry.owner} has this login: its order {name}, in run {entry.run_id}"
        self._note(account, NOT_SENT, why)

    def _held(self, armed: Armed, account: str, entry: Entry) -> None:
        if entry.run_id == self._context.run_id:
            armed.elsewhere.add(AccountName(account))
            return
        text = f"{entry.owner} has claimed this order, in run {entry.run_id}"
        self._note(account, NOT_SENT, text, entry)

    def _not_sent(self, accounts: Sequence[AccountSettings], why: str) -> None:
        for account in accounts:
            self._note(account.name, NOT_SENT, why)

    def _note(self, account: str, kind: str, text: str | None, entry: Entry | None = None) -> None:
        if text is not None:
            _log.log(logging.WARNING if kind == WARNING else logging.INFO, "%s: %s", account, text)
        name = None if entry is None else entry.intent.order.client_order_id
        self._context.journal.note(self._context.run_id, [Note(AccountName(account), kind, text, name)])


def _is_of(entry: Entry, account: AccountSettings) -> bool:
    """Whether an order is the one that is configured, in whatever run; one that was asked for besides is another."""
    order = entry.intent.order
    return (order.instrument, order.side) == (account.isin, account.side) and not is_requested(entry.intent.plan_id)


def _traded(entry: Entry) -> bool:
    return entry.state.status in PLACED and entry.state.filled_qty > 0
