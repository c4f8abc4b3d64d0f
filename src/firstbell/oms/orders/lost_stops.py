"""Stops that were let go and have not done their work: held back anew, or a person is told.

That is of those that waited alone. Those that belong with others are looked after with these
(`firstbell.oms.orders.contingency`); only of entries of which one was to trade, nothing is left then that could be.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from firstbell.model.instant import instant
from firstbell.model.money import grouped
from firstbell.model.order_status import DONE, NEVER_PLACED, ReportKind
from firstbell.oms.orders.blotter import never_came
from firstbell.oms.orders.requests import end_one_position

if TYPE_CHECKING:
    from collections.abc import Callable

    from firstbell.journal.base import Entry, Journal
    from firstbell.model.identifiers import ClientOrderId
    from firstbell.oms.orders.trader import Trader

_ON_CANCELS: Final = frozenset({ReportKind.PENDING_CANCEL, ReportKind.CANCEL_REJECTED})
_RECENT: Final = timedelta(minutes=5)
"""What another process had let go longer ago than this is not let go once more."""


class LostStops:
    """Looks after one login's.

    Args:
        trader: The login's trader.
        renew: Holds one back anew that never came to its broker.
    """

    def __init__(self, trader: Trader, renew: Callable[[Entry], object]) -> None:
        self._trader = trader
        self._renew = renew
        self._let_go: dict[ClientOrderId, bool] = {}

    def let_go(self, entry: Entry) -> None:
        """One leaves now, by this process; of an exit that belongs with others nothing is remembered."""
        if self._is_looked_after(entry):
            self._let_go[entry.intent.plan_id] = True

    def kept(self, entry: Entry) -> None:
        """It has not left after all: another process was quicker."""
        self._let_go.pop(entry.intent.plan_id, None)

    def look(self) -> None:
        """Hold back anew what was let go and certainly never came to its broker.

        Of what another process had let go long ago a person is told: its market may be another one by now. So he is of
        one that ended at its broker before it had traded in full, unless that was asked for.

        Raises:
            JournalError: It could not be written down.
        """
        blotter = self._trader.blotter
        for each in (*blotter.unresolved(), *blotter.working()):
            if (each.state.triggered or each.state.unresolved) and self._is_looked_after(each):
                self._let_go.setdefault(each.intent.plan_id, False)
        for plan_id, here in tuple(self._let_go.items()):
            entry = blotter.plan(plan_id)
            lost = entry is not None and never_came(entry) and waited_alone(entry)
            if entry is not None and lost and (here or self._is_recent(entry)):
                if not blotter.unresolved():
                    self._renew(entry)
            elif entry is None or entry.state.status in DONE:
                del self._let_go[plan_id]
                # Where another process let it go, and lives, that one tells.
                if entry is not None and (here or not self._trader.context.journal.alive(entry.owner)):
                    self._tell(entry)

    def _is_looked_after(self, entry: Entry) -> bool:
        """Whether it waited for its price, and nobody else tells of it: alone, or among entries of which one trades."""
        group = entry.intent.order.instructions.group
        if waited_alone(entry) or group is None or not entry.intent.order.order_type.waits:
            return waited_alone(entry)
        return not end_one_position([each.intent.order for each in self._trader.blotter.family(group)])

    def _is_recent(self, entry: Entry) -> bool:
        left_at = entry.state.submitted_at
        return left_at is not None and instant(self._trader.context.clock.wall_ns()) - left_at < _RECENT

    def _tell(self, entry: Entry) -> None:
        state = entry.state
        if state.unresolved or (never_came(entry) and not waited_alone(entry)):
            # It was given up with its day, and told of then; or it is held back anew with those that it belongs with.
            return
        if never_came(entry):
            why = f"its price had come, and it never came to its broker: {state.reason}"
        elif (
            state.leaves_qty > 0
            and state.status not in NEVER_PLACED
            and not was_to_end(self._trader.context.journal, entry)
        ):
            why = (
                f"its price had come, and it is {state.status} with {grouped(state.leaves_qty)} that have not traded: "
                "nothing goes on for them"
            )
        else:
            return
        self._trader.context.intervene(entry.intent.order.client_order_id, why)


def waited_alone(entry: Entry) -> bool:
    """Whether it waited for its price and belongs with no others."""
    terms = entry.intent.order.instructions
    return entry.intent.order.order_type.waits and terms.group is None and terms.parent_id is None


def was_to_end(journal: Journal, entry: Entry) -> bool:
    """Whether an order's cancel was asked for, and not refused.

    Raises:
        JournalError: It cannot be read.
    """
    kinds = [report.kind for report in journal.reports(entry.intent.order.client_order_id)]
    return next((kind is ReportKind.PENDING_CANCEL for kind in reversed(kinds) if kind in _ON_CANCELS), False)
