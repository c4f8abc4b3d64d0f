"""One login at the bell: arm it, fire its orders one after another, and find out what became of them."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from firstbell.brokers.base import HttpBroker
from firstbell.errors import BrokerError, FirstbellError, JournalError
from firstbell.journal.base import Note
from firstbell.log import redact
from firstbell.model.instant import instant
from firstbell.model.order_status import OrderStatus, ReportKind
from firstbell.model.report import ExecutionReport
from firstbell.model.terms import OrderOutcome
from firstbell.oms.attempts import Attempts, Desk, Writer
from firstbell.oms.carrier import Carrier
from firstbell.oms.decision import Budget
from firstbell.oms.final_check import FinalCheck
from firstbell.oms.inquiry import Inquiry
from firstbell.oms.pacing import Pacer
from firstbell.sniper.arming import Arming
from firstbell.sniper.in_process import InProcessCarrier
from firstbell.sniper.results import FINISHED, NOT_SENT

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from firstbell.brokers.base import PreparedCall, PreparedOrder
    from firstbell.journal.base import Entry
    from firstbell.model.identifiers import AccountName, ClientOrderId, RunId
    from firstbell.model.order import Order, OrderState
    from firstbell.oms.logins import Login
    from firstbell.sniper.aiming import Aims, HostAim
    from firstbell.sniper.arming import Armed
    from firstbell.sniper.context import RunContext

_log = logging.getLogger(__name__)

_NS: Final = 1_000_000_000
OPEN_BEFORE_S: Final = 3.0
"""Lanes are opened and proven alive this many seconds before the bell, …"""
OPEN_EACH_S: Final = 0.01
"""… and this much sooner for every lane of the process: a handshake is milliseconds of work, and one after another."""
LOOK_AGAIN_S: Final = 4
"""Claims are looked at once more this many seconds before the bell: later than anybody may take them from us."""
ASK_EVERY_S: Final = 2
"""The broker's lists are asked for an unresolved order at once and then this often, in seconds."""
CONFIRM_AFTER_S: Final = (0.2, 1.0, 2.0)
"""When an accepted order is looked for in the list of the day, in seconds after the look before."""


class ProvenCarrier(Carrier, Protocol):
    """A carrier whose connection is opened and proven before it is needed."""

    def prove(self, call: PreparedCall, at_ns: int) -> None:
        """Have one cheap call answered on it, in time for what leaves at `at_ns` (monotonic); a failure is said."""
        ...

    def close(self) -> None:
        """Give the connection up."""
        ...


class Scribe(Writer, Protocol):
    """Writes reports and notes into the journal, durably."""

    def note(self, run_id: RunId, notes: Sequence[Note]) -> None:
        """Write down what a run found out.

        Raises:
            JournalError: It could not be written.
        """
        ...


class Inquirer(Protocol):
    """Finds out what became of one login's orders; see `firstbell.oms.inquiry.Inquiry`."""

    @property
    def seen(self) -> Collection[ClientOrderId]:
        """The orders that need not be looked for any more."""
        ...

    def look(self, names: Sequence[ClientOrderId]) -> tuple[Entry, ...]:
        """Look once, and say how these orders stand now."""
        ...


class ArmLogin(Protocol):
    """Arms one login; see `firstbell.sniper.arming.Arming`."""

    def __call__(self, context: RunContext, login: Login, broker: HttpBroker, aims: Aims, aim: HostAim) -> Armed:
        """Its claimed orders and their bytes, in time for the bell."""
        ...


def arm_here(context: RunContext, login: Login, broker: HttpBroker, aims: Aims, aim: HostAim) -> Armed:
    """Arm a login in this process, for this process."""
    return Arming(context, login, broker, aims, aim).arm()


def ask_lists(context: RunContext, broker: HttpBroker) -> Inquirer:
    """Find out from the broker's own lists."""
    return Inquiry(broker, context.journal, context.clock, context.run_id)


def nothing_against() -> str | None:
    """Nothing stands against firing."""
    return None


@dataclass(slots=True)
class Gear:
    """What the logins of one process share at the bell.

    Attributes:
        open_carrier: Makes a login's carrier, with its broker's certificate authority and its budget.
        scribe: Writes their reports and notes.
        aims: When their orders leave.
        arm: Arms a login.
        inquire: How it is found out what became of orders.
        why_not: Asked a last time shortly before the bell: why nothing may leave this process, or None.
        replaceable: Whether others go on when this process is stopped: then a login that was stopped is not finished.
        lanes: How many of them have something to fire.
    """

    open_carrier: Callable[[Path | None, Budget], ProvenCarrier]
    scribe: Scribe
    aims: Aims
    arm: ArmLogin = arm_here
    inquire: Callable[[RunContext, HttpBroker], Inquirer] = ask_lists
    why_not: Callable[[], str | None] = nothing_against
    replaceable: bool = False
    lanes: int = field(default=0, init=False)


class LoginRun:
    """One login's part of a run. Nothing it meets is raised: it is written down, and the others go on.

    Args:
        context: The run.
        login: The login.
        gear: What the logins of this process share.
    """

    def __init__(self, context: RunContext, login: Login, gear: Gear) -> None:
        self._context = context
        self._login = login
        self._gear = gear

    def run(self) -> None:
        """Arm, fire, ask and confirm; at the end every account of the login has its result in the journal."""
        names = ", ".join(account.name for account in self._login.accounts)
        elsewhere: set[AccountName] = set()
        try:
            elsewhere = self._carry_out()
        except FirstbellError as error:
            _log.error("%s: %s", names, error)
            self._note_all(NOT_SENT, redact(str(error)))
        except Exception as error:  # noqa: BLE001 - the last door before Locust, which would swallow it
            # A fault of our own: said here, because Locust would not, and the other logins go on.
            _log.exception("%s: a fault of firstbell's own", names)
            self._note_all(NOT_SENT, f"a fault of firstbell's own ({type(error).__name__}); the run log has it")
        if self._gear.replaceable and self._context.interrupt.is_set():
            return
        # Not in a `finally`: a user that Locust kills to move it elsewhere has not finished.
        self._note_all(FINISHED, None, but=elsewhere)

    def _note_all(self, kind: str, text: str | None, but: Collection[AccountName] = ()) -> None:
        notes = [Note(account.name, kind, text) for account in self._login.accounts if account.name not in but]
        if notes:
            self._gear.scribe.note(self._context.run_id, notes)

    def _carry_out(self) -> set[AccountName]:
        if self._context.interrupt.is_set():
            self._note_all(NOT_SENT, f"{self._context.interrupt.why} before the bell")
            return set()
        broker = self._context.open_broker(self._login.leader)
        if not isinstance(broker, HttpBroker):
            self._note_all(NOT_SENT, f"orders at {broker.code} do not go over HTTP: the run cannot fire them")
            return set()
        settings = self._context.settings.broker(self._login.broker_code)
        interval_ns = max(settings.min_interval_ms, broker.capabilities.min_interval_ms) * 1_000_000
        aim = self._gear.aims.of(self._login.broker_code, interval_ns)
        armed = self._gear.arm(self._context, self._login, broker, self._gear.aims, aim)
        if armed.ready:
            self._gear.lanes += 1
            self._fire(armed, aim, interval_ns)
        return armed.elsewhere

    def _fire(self, armed: Armed, aim: HostAim, interval_ns: int) -> None:
        context = self._context
        settings = context.settings.broker(self._login.broker_code)
        # A run that was started after its bell (`--at now`) has its time from when it is armed.
        deadline_ns = aim.expected_ns() + context.give_up_ns
        deadline_wall_ns = context.clock.wall_ns() + (deadline_ns - context.clock.monotonic_ns())
        budget = Budget(context.settings.risk.max_attempts_per_order, deadline_ns, deadline_wall_ns + _NS)
        shared = None if armed.broker.capabilities.in_process else context.pace_of(self._login.key)
        pacer = Pacer(interval_ns, self._last_sent_ns(), shared, ahead=True)
        carrier = self._carrier(armed.broker, settings.ca_file, budget, pacer)
        desk = Desk(
            broker=armed.broker,
            carrier=carrier,
            journal=context.journal,
            writer=self._gear.scribe,
            clock=context.clock,
            pacer=pacer,
            budget=budget,
            run_budget=context.run_budget,
            check=FinalCheck(armed.around, context.state, pacer, context.called),
            interrupt=context.interrupt,
            halt=context.halt,
            aim=aim,
            run_id=context.run_id,
            watcher=context.watcher,
        )
        try:
            if ready := self._get_ready(armed, aim, carrier):
                self._carry_all(ready, desk, self._gear.aims.decide(aim))
        finally:
            carrier.close()

    def _carrier(self, broker: HttpBroker, ca_file: Path | None, budget: Budget, pacer: Pacer) -> ProvenCarrier:
        if broker.capabilities.in_process:
            return InProcessCarrier(broker, self._context.clock, self._context.interrupt, budget, pacer)
        return self._gear.open_carrier(ca_file, budget)

    def _last_sent_ns(self) -> int | None:
        """When an order of this login left last, in whatever run, on the monotonic clock; None where none has."""
        entries = self._context.journal.entries(day=self._context.day, login=self._login.key)
        attempts = [attempt for entry in entries for attempt in entry.state.attempts]
        sent = [attempt.sent_ns for attempt in attempts if attempt.sent_ns is not None]
        # Our clock may have been set back since: what seems to lie ahead has just been.
        return min(self._context.monotonic_of(max(sent)), self._context.clock.monotonic_ns()) if sent else None

    def _carry_all(self, ready: Sequence[tuple[Order, PreparedOrder]], desk: Desk, fire_at_ns: int) -> None:
        """Send the login's orders one after another; one that nobody answers for stops those behind it."""
        begun: set[ClientOrderId] = set()
        try:
            self._carry_each(ready, desk, fire_at_ns, begun)
        except BaseException as error:
            # Nothing of those behind it has left, and that is certain only here.
            for order, _ in ready:
                if order.client_order_id not in begun:
                    self._deny(order, f"the order before it ended in a fault: {redact(str(error))}")
            raise

    def _carry_each(
        self,
        ready: Sequence[tuple[Order, PreparedOrder]],
        desk: Desk,
        fire_at_ns: int,
        begun: set[ClientOrderId],
    ) -> None:
        inquiry = self._gear.inquire(self._context, desk.broker)
        refused: dict[str, str] = {}
        blocked: str | None = None
        placed: list[Order] = []
        for number, (order, prepared) in enumerate(ready):
            if (why := blocked or refused.get(order.account)) is not None:
                self._deny(order, why)
                continue
            # The one before may have needed a new log-in: what was written with the old token is written anew.
            current = prepared if number == 0 else desk.broker.prepare(order)
            begun.add(order.client_order_id)
            state = Attempts(desk, order, current).run(fire_at_ns)
            if state.unresolved:
                state = self._ask(inquiry, order, desk.budget.deadline_ns) or state
            if state.outcome is OrderOutcome.UNRESOLVED:
                blocked = f"this login's order {order.client_order_id} is unresolved; nothing new until it is known"
            elif state.outcome is OrderOutcome.ACCEPTED:
                placed.append(order)
            else:
                refused[order.account] = f"the order before it was {state.outcome}: {state.reason}"
        self._confirm(inquiry, placed)

    def _still_ours(self, armed: Armed) -> list[tuple[Order, PreparedOrder]]:
        """What nobody has taken for a dead process's and denied while we waited; nothing where that cannot be seen."""
        orders = [order for order, _ in armed.ready]
        try:
            if (why := self._gear.why_not()) is not None:
                self._let_go(orders, why)
                return []
            entries = self._context.journal.entries(day=orders[0].day, login=self._login.key)
        except JournalError as error:
            self._let_go(orders, f"it could not be seen before the bell whether the order is still ours: {error}")
            return []
        waiting = {e.intent.order.client_order_id for e in entries if e.state.status is OrderStatus.INITIALIZED}
        kept = []
        for order, prepared in armed.ready:
            if order.client_order_id in waiting:
                kept.append((order, prepared))
            else:
                _log.error("%s: %s was taken from us while we waited", order.account, order.client_order_id)
        return kept

    def _get_ready(self, armed: Armed, aim: HostAim, carrier: ProvenCarrier) -> list[tuple[Order, PreparedOrder]]:
        """Open the lane and prove it alive, and look at the claims for the last time; what may be sent."""
        opens_s = OPEN_BEFORE_S + OPEN_EACH_S * self._gear.lanes
        sooner = opens_s > LOOK_AGAIN_S
        if sooner:
            self._prove(armed, aim, carrier, opens_s)
        self._wait_for(aim, LOOK_AGAIN_S)
        ready = self._still_ours(armed)
        if ready and not sooner:
            self._prove(armed, aim, carrier, opens_s)
        return ready

    def _prove(self, armed: Armed, aim: HostAim, carrier: ProvenCarrier, before_s: float) -> None:
        if aim.at_once or self._wait_for(aim, before_s):
            return
        try:
            proof = armed.broker.prepare_proof()
        except BrokerError as error:
            _log.warning("%s: %s", self._login.leader.name, error)
        else:
            carrier.prove(proof, aim.expected_ns())

    def _wait_for(self, aim: HostAim, before_s: float) -> bool:
        """Wait until so many seconds before what leaves, as far as is known at each time; True when stopped."""
        clock, interrupt = self._context.clock, self._context.interrupt
        while (left_ns := aim.expected_ns() - int(before_s * _NS) - clock.monotonic_ns()) > 0:
            if interrupt.wait_until(clock.monotonic_ns() + min(left_ns, _NS)):
                return True
        return interrupt.is_set()

    def _ask(self, inquiry: Inquirer, order: Order, deadline_ns: int) -> OrderState | None:
        """Ask the lists until they answer or the run gives up; an unresolved order then stays unresolved."""
        clock = self._context.clock
        while True:
            entries = inquiry.look([order.client_order_id])
            if entries and not entries[0].state.unresolved:
                return entries[0].state
            next_ns = clock.monotonic_ns() + ASK_EVERY_S * _NS
            if next_ns >= deadline_ns or self._context.interrupt.wait_until(next_ns):
                return entries[0].state if entries else None

    def _confirm(self, inquiry: Inquirer, orders: list[Order]) -> None:
        """Find what was accepted in the broker's own list, which also tells what has traded and under which name."""
        names = [order.client_order_id for order in orders]
        for pause_s in CONFIRM_AFTER_S:
            names = [name for name in names if name not in inquiry.seen]
            pause_ns = self._context.clock.monotonic_ns() + int(pause_s * _NS)
            if not names or self._context.interrupt.wait_until(pause_ns):
                return
            inquiry.look(names)

    def _let_go(self, orders: Sequence[Order], why: str) -> None:
        """Say of orders that they do not leave, as soon as that can be written down."""
        clock = self._context.clock
        _log.error("%s: %s", self._login.leader.name, why)
        while True:
            try:
                for order in orders:
                    self._deny(order, why)
            except JournalError as error:
                if self._context.interrupt.wait_until(clock.monotonic_ns() + ASK_EVERY_S * _NS):
                    raise
                _log.warning("%s: %s", self._login.leader.name, error)
            else:
                return

    def _deny(self, order: Order, why: str) -> None:
        entry = self._context.journal.entry(order.client_order_id)
        if entry is None or entry.state.status is not OrderStatus.INITIALIZED:
            return
        at = instant(self._context.clock.wall_ns())
        report = ExecutionReport(order.client_order_id, self._context.run_id, ReportKind.DENIED, at, reason=why)
        self._gear.scribe.append([report])
