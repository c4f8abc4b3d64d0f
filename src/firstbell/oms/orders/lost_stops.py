"""Stops that were let go and have not done their work: held back anew, or a person is told.

That is of those that waited alone. Those that belong with others are looked after with these
(`firstbell.oms.orders.contingency`); only of entries of which one was to trade, nothing is left then that could be.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from firstbell.model.instant import instant
from firstbell.model.order_status import DONE, PLACED, OrderStatus
from firstbell.oms.inquiry import needs_asking
from firstbell.oms.orders.families import never_came
from firstbell.oms.orders.lost_exits import is_looked_after_alone, waited_alone, was_let_go, why_lost

if TYPE_CHECKING:
    from collections.abc import Callable

    from firstbell.journal.base import Entry
    from firstbell.model.identifiers import ClientOrderId
    from firstbell.oms.orders.trader import Trader

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
        self._has_looked = False

    def let_go(self, entry: Entry) -> None:
        """One leaves now, by this process; of an exit that belongs with others nothing is remembered."""
        if self._is_looked_after(entry):
            self._let_go[entry.intent.plan_id] = True

    def kept(self, entry: Entry) -> None:
        """It has not left after all: another process was quicker."""
        self._let_go.pop(entry.intent.plan_id, None)

    def remember(self) -> None:
        """Remember what has been let go; to be called before the lists are looked at, for they may tell of its end.

        What has ended today before this process began is remembered once: whoever saw its end may have died of it, or
        may have been asked about something else.
        """
        blotter = self._trader.blotter
        ended = () if self._has_looked else filter(blotter.has_just_ended, blotter.done())
        self._has_looked = True
        left = (each for each in blotter.stops() if each.state.status in PLACED or needs_asking(each))
        for each in (*ended, *left):
            if (was_let_go(each) or each.state.unresolved) and self._is_looked_after(each):
                self._let_go.setdefault(each.intent.plan_id, False)

    def look(self) -> None:
        """Hold back anew what was let go and certainly never came to its broker.

        Of what another process had let go long ago a person is told: its market may be another one by now. So he is of
        one that ended at its broker before it had traded in full, unless that was asked for.

        Raises:
            JournalError: It could not be written down.
        """
        self.remember()
        blotter = self._trader.blotter
        for plan_id, here in tuple(self._let_go.items()):
            entry = blotter.plan(plan_id)
            lost = entry is not None and never_came(entry) and waited_alone(entry)
            if entry is not None and lost and (here or self._is_recent(entry)):
                if not blotter.unresolved():
                    self._renew(entry)
            elif entry is None or entry.state.status in DONE:
                if entry is not None:
                    self._tell(entry, here=here)
                # Only now: should the journal not be readable just then, it is told in the next round.
                del self._let_go[plan_id]

    def _is_looked_after(self, entry: Entry) -> bool:
        group = entry.intent.order.instructions.group
        return is_looked_after_alone(entry, () if group is None else self._trader.blotter.family(group))

    def _is_recent(self, entry: Entry) -> bool:
        left_at = entry.state.submitted_at
        return left_at is not None and instant(self._trader.context.clock.wall_ns()) - left_at < _RECENT

    def _tell(self, entry: Entry, *, here: bool) -> None:
        if here and entry.state.status is OrderStatus.REJECTED and entry.state.venue_order_id is None:
            # That was told when it was let go.
            return
        if (why := why_lost(entry, self._trader.context.journal)) is not None:
            self._trader.context.intervene(entry.intent.order.client_order_id, why)
