"""What a person is told of one login's exits, once: shares without one, and shares sold that had not been bought."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from firstbell.model.money import grouped
from firstbell.model.order_status import DONE
from firstbell.oms.orders.contingency import GIVES_WAY
from firstbell.oms.orders.lost_exits import asked_to_end, unasked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from decimal import Decimal

    from firstbell.journal.base import Entry
    from firstbell.model.identifiers import ClientOrderId
    from firstbell.oms.orders.contingency import Oversold, Resize, Unprotected
    from firstbell.oms.orders.trader import Trader

_NS: Final = 1_000_000_000
_PATIENCE_NS: Final = 75 * _NS
"""So long, in ns, the change of an exit may take: until then a list, however late, shows whether it was made."""

_TOLD: Final = -1


class ExitAlarms:
    """Tells of exits.

    Args:
        trader: The login's trader.
        in_vain: What was let go and did not stay, and whether it was told that it is tried again.
        go_on: Holds back a further exit like one, for so many shares; whether it is held back.
    """

    def __init__(
        self, trader: Trader, in_vain: Mapping[ClientOrderId, bool], go_on: Callable[[Entry, Decimal], bool]
    ) -> None:
        self._trader = trader
        self._in_vain = in_vain
        self._go_on = go_on
        self._told: dict[tuple[object, ...], Decimal] = {}
        self._refused: set[tuple[object, ...]] = set()
        """Of what was told: for which of it holding a further stop back is tried again in each round."""
        self._round = 0
        self._seen: dict[tuple[object, ...], int] = {}
        """In which round a group's stop was first seen to have made room."""
        self._wanted: dict[ClientOrderId, tuple[Decimal, int]] = {}
        """For how many shares an exit at its broker is, and since when, on the monotonic clock, that is too few."""

    def begin(self) -> None:
        """A round begins, and the lists have been looked at once more."""
        self._round += 1

    def unprotected(self, step: Unprotected) -> None:
        """Have a person told, once, that shares are held without an exit.

        A stop that had to make room at its broker for the profit, whose price had come, is held back anew instead: the
        price may turn before all of that has traded. Where that is refused, a person is told, and it is tried again in
        each round: most often it is only not known yet what became of the profit.
        """
        key = (*(each.intent.order.client_order_id for each in step.ended), step.profit_lives)
        if not self._in_vain.get(step.entry.intent.plan_id, True):
            # It was refused here for good, and that was told.
            self._told.setdefault(key, step.quantity)
        if step.quantity <= self._told.get(key, 0):
            if key in self._refused and self._may_claim() and self._go_on(step.entry, step.quantity):
                self._refused.discard(key)
            return
        if self._has_just_made_room(step, key):
            return
        lost = self._made_room(step, key) or unasked(step, self._trader.context.journal)
        # Only now: should the journal not be readable just then, it is told in the next round.
        self._told[key] = step.quantity
        if lost is not None:
            self._trader.context.intervene(lost.intent.order.client_order_id, step.why)

    def too_small(self, step: Resize) -> None:
        """Have a person told, once, that an exit at its broker has been for too few shares for a while."""
        name, context = step.entry.intent.order.client_order_id, self._trader.context
        has, now_ns = step.entry.state.quantity, context.clock.monotonic_ns()
        if step.quantity <= has:
            self._wanted.pop(name, None)
            return
        had, since_ns = self._wanted.get(name, (has, now_ns))
        if had != has:
            since_ns = now_ns
        if since_ns != _TOLD and now_ns - since_ns >= _PATIENCE_NS:
            waited = f"for {_PATIENCE_NS // _NS} s it could not be changed: the run log says why"
            context.intervene(name, f"it is for {grouped(step.quantity - has)} shares too few, and {waited}")
            since_ns = _TOLD
        self._wanted[name] = has, since_ns

    def oversold(self, step: Oversold, *, is_first_look: bool) -> None:
        """Have a person told, once, that exits have traded too many."""
        name = step.entry.intent.order.client_order_id
        family = self._trader.blotter.family(step.entry.intent.plan_id)
        if is_first_look and all(leg.state.status in DONE for leg in family):
            # It had ended like that before this process began, and was told then.
            self._told.setdefault((name,), step.quantity)
        if step.quantity > self._told.get((name,), 0):
            self._told[name,] = step.quantity
            why = f"its exits have traded {step.quantity} shares more than it has bought"
            self._trader.context.intervene(name, why)

    def _has_just_made_room(self, step: Unprotected, key: tuple[object, ...]) -> bool:
        """Whether a group's stop has made room since the lists were read: the profit may have traded in full by now."""
        if not step.profit_lives or step.entry.intent.order.instructions.parent_id is not None:
            return False
        return self._seen.setdefault(key, self._round) == self._round

    def _made_room(self, step: Unprotected, key: tuple[object, ...]) -> Entry | None:
        """The stop that has made room for the profit and is not held back anew; None where there is no such."""
        if not step.profit_lives:
            return None
        asked = asked_to_end(step.entry, self._trader.context.journal)
        if asked is None or asked.reason != GIVES_WAY:
            return None
        if step.entry.intent.order.instructions.parent_id is None:
            # Of a group its quantities say what it is for: a further order would make it another one.
            return step.entry
        if self._trader.holding.has_further(step.entry):
            # It has ended before it left: somebody has taken it back.
            return None
        if self._go_on(step.entry, step.quantity):
            self._refused.discard(key)
            return None
        self._refused.add(key)
        return step.entry

    def _may_claim(self) -> bool:
        """Whether nothing is known to be in the way of claiming: else each round would wait for it, and say so."""
        return not self._trader.blotter.unresolved() and not self._trader.claiming.is_busy_elsewhere()
