"""One login at the bell: arm it, fire its orders one after another, and find out what became of them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from firstbell.brokers.base import HttpBroker
from firstbell.errors import BrokerError, FirstbellError
from firstbell.journal.base import Note
from firstbell.log import redact
from firstbell.model.instant import instant
from firstbell.model.order_status import OrderStatus, ReportKind
from firstbell.model.report import ExecutionReport
from firstbell.model.terms import OrderOutcome
from firstbell.oms.attempts import Arrival, Attempts, Desk
from firstbell.oms.decision import Budget
from firstbell.oms.inquiry import Inquiry
from firstbell.oms.pacing import Pacer
from firstbell.sniper.arming import Arming
from firstbell.sniper.results import FINISHED, NOT_SENT

if TYPE_CHECKING:
    from collections.abc import Collection

    from firstbell.brokers.base import PreparedOrder
    from firstbell.model.identifiers import AccountName
    from firstbell.model.order import Order, OrderState
    from firstbell.sniper.arming import Armed
    from firstbell.sniper.context import RunContext
    from firstbell.sniper.logins import Login

_log = logging.getLogger(__name__)

_NS: Final = 1_000_000_000
WARM_BEFORE_S: Final = 2
"""The connection is proven alive this many seconds before the bell: late enough that no server closes it again."""
WARM_MARGIN_S: Final = 0.3
"""It is given up this many seconds before the bell: a slow answer to a question must not make an order late."""
ASK_EVERY_S: Final = 2
"""The broker's lists are asked for an unresolved order at once and then this often, in seconds."""
CONFIRM_AFTER_S: Final = (0.2, 1.0, 2.0)
"""When an accepted order is looked for in the list of the day, in seconds after the look before."""


class LoginRun:
    """One login's part of a run. Nothing it meets is raised: it is written down, and the others go on.

    Args:
        context: The run.
        login: The login.
    """

    def __init__(self, context: RunContext, login: Login) -> None:
        self._context = context
        self._login = login

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
        # Not in a `finally`: a user that Locust kills to move it elsewhere has not finished.
        self._note_all(FINISHED, None, but=elsewhere)

    def _note_all(self, kind: str, text: str | None, but: Collection[AccountName] = ()) -> None:
        notes = [Note(account.name, kind, text) for account in self._login.accounts if account.name not in but]
        self._context.journal.note(self._context.run_id, notes)

    def _carry_out(self) -> set[AccountName]:
        broker = self._context.open_broker(self._login.leader)
        if not isinstance(broker, HttpBroker):
            self._note_all(NOT_SENT, f"orders at {broker.code} do not go over HTTP: the run cannot fire them")
            return set()
        armed = Arming(self._context, self._login, broker).arm()
        if armed.ready:
            self._fire(armed)
        return armed.elsewhere

    def _fire(self, armed: Armed) -> None:
        context = self._context
        settings = context.settings.broker(self._login.broker_code)
        interval_ms = max(settings.min_interval_ms, armed.broker.capabilities.min_interval_ms)
        fire_at_ns = context.monotonic_of(context.bell_ns) - context.lead_ns(self._login.broker_code)
        # A run that was started after its bell (`--at now`) has its time from when it is armed.
        deadline_ns = context.clock.monotonic_ns() + context.give_up_ns if context.at_once else context.deadline_ns
        deadline_wall_ns = context.clock.wall_ns() + (deadline_ns - context.clock.monotonic_ns())
        desk = Desk(
            broker=armed.broker,
            journal=context.journal,
            clock=context.clock,
            pacer=Pacer(interval_ms * 1_000_000),
            budget=Budget(context.settings.risk.max_attempts_per_order, deadline_ns, deadline_wall_ns + _NS),
            interrupt=context.interrupt,
            arrival=Arrival(context.bell_ns),
            run_id=context.run_id,
            watcher=context.watcher,
        )
        self._warm(armed, fire_at_ns)
        inquiry = Inquiry(armed.broker, context.journal, context.clock, context.run_id)
        refused: dict[str, str] = {}
        blocked: str | None = None
        placed: list[Order] = []
        for number, (order, prepared) in enumerate(self._still_ours(armed)):
            if (why := blocked or refused.get(order.account)) is not None:
                self._deny(order, why)
                continue
            # The one before may have needed a new log-in: what was written with the old token is written anew.
            current = prepared if number == 0 else armed.broker.prepare(order)
            state = Attempts(desk, order, current).run(fire_at_ns)
            if state.unresolved:
                state = self._ask(inquiry, order, deadline_ns) or state
            if state.outcome is OrderOutcome.UNRESOLVED:
                blocked = f"this login's order {order.client_order_id} is unresolved; nothing new until it is known"
            elif state.outcome is OrderOutcome.ACCEPTED:
                placed.append(order)
            else:
                refused[order.account] = f"the order before it was {state.outcome}: {state.reason}"
        self._confirm(inquiry, placed)

    def _still_ours(self, armed: Armed) -> list[tuple[Order, PreparedOrder]]:
        """What nobody has taken for a dead process's and denied while we waited."""
        names = {order.client_order_id: self._context.journal.entry(order.client_order_id) for order, _ in armed.ready}
        kept = []
        for order, prepared in armed.ready:
            entry = names[order.client_order_id]
            if entry is not None and entry.state.status is OrderStatus.INITIALIZED:
                kept.append((order, prepared))
            else:
                _log.error("%s: %s was taken from us while we waited", order.account, order.client_order_id)
        return kept

    def _warm(self, armed: Armed, fire_at_ns: int) -> None:
        """Prove the connection alive shortly before the bell; a failure is no reason not to try the order itself."""
        warm_at_ns = fire_at_ns - WARM_BEFORE_S * _NS
        clock = self._context.clock
        if clock.monotonic_ns() >= fire_at_ns or self._context.interrupt.wait_until(warm_at_ns):
            return
        left_s = (fire_at_ns - clock.monotonic_ns()) / _NS - WARM_MARGIN_S
        if left_s <= 0:
            return
        try:
            armed.broker.warm(timeout_s=left_s)
        except BrokerError as error:
            _log.warning("%s: the connection could not be warmed: %s", self._login.leader.name, error)

    def _ask(self, inquiry: Inquiry, order: Order, deadline_ns: int) -> OrderState | None:
        """Ask the lists until they answer or the run gives up; an unresolved order then stays unresolved."""
        clock = self._context.clock
        while True:
            entries = inquiry.look([order.client_order_id])
            if entries and not entries[0].state.unresolved:
                return entries[0].state
            next_ns = clock.monotonic_ns() + ASK_EVERY_S * _NS
            if next_ns >= deadline_ns or self._context.interrupt.wait_until(next_ns):
                return entries[0].state if entries else None

    def _confirm(self, inquiry: Inquiry, orders: list[Order]) -> None:
        """Find what was accepted in the broker's own list, which also tells what has traded and under which name."""
        names = [order.client_order_id for order in orders]
        for pause_s in CONFIRM_AFTER_S:
            names = [name for name in names if name not in inquiry.seen]
            pause_ns = self._context.clock.monotonic_ns() + int(pause_s * _NS)
            if not names or self._context.interrupt.wait_until(pause_ns):
                return
            inquiry.look(names)

    def _deny(self, order: Order, why: str) -> None:
        entry = self._context.journal.entry(order.client_order_id)
        if entry is None or entry.state.status is not OrderStatus.INITIALIZED:
            return
        at = instant(self._context.clock.wall_ns())
        report = ExecutionReport(order.client_order_id, self._context.run_id, ReportKind.DENIED, at, reason=why)
        self._context.journal.append([report])
