"""From a request for several orders that belong together to orders: a bracket, or several of which one trades."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from firstbell.model.terms import OrderRole
from firstbell.oms.orders.contingency import entered
from firstbell.oms.orders.placing import Belonging, Placing, of_others
from firstbell.oms.orders.requests import unequal
from firstbell.oms.orders.response import OrderResponse, denied

if TYPE_CHECKING:
    from collections.abc import Sequence

    from firstbell.model.order_request import OrderRequest
    from firstbell.oms.orders.requests import BracketRequest

_LOOKS: Final = 60
_LOOK_AGAIN_NS: Final = 50_000_000
"""Three seconds in all, in ns: what another process places is answered by then, as a rule."""


class PlacingTogether(Placing):
    """Places one account's brackets and groups; see `firstbell.oms.orders.placing.Placing`."""

    def bracket(self, request: BracketRequest, key: str) -> tuple[OrderResponse, ...]:
        """Place a bracket under a key: its exits are claimed before its entry, and held back.

        Returns:
            The entry, then its exits.
        """
        with self._trader.lock:
            if (before := self._asked_before(request.entry) or self._held_before(request.entry)) is not None:
                return self._with_legs(before, request, key)
            entry = replace(request.entry, key=key, role=request.entry.role or OrderRole.ENTRY)
            if (why := self._why_not_whole(entry, request)) is not None:
                return (self._told(entry, why),)
            belonging = Belonging(parent_id=self._names.of(key))
            exits = [self.hold(replace(leg, key=f"{key}/{leg.role}"), belonging, checked=False) for leg in request.legs]
            lost = [each for each in exits if not self._is_ours(each)]
            if lost:
                exits = self._never_sent(exits)
                if (before := self._placed_by_another(entry)) is not None:
                    return self._with_legs(before, request, key)
                why = denied(f"its exits cannot be had: {lost[0].message}", lost[0].error)
                now = self._keys.legs([f"{key}/{leg.role}" for leg in request.legs])
                return (self._told(entry, why), *(now if len(now) == len(exits) else exits))
            response = self.place(entry, is_entry=True)
            if not (response.is_success or response.is_unresolved or self._is_to_protect(key)):
                exits = self._never_sent(exits)
            return (response, *exits)

    def _why_not_whole(self, entry: OrderRequest, request: BracketRequest) -> OrderResponse | None:
        """Everything that is wrong with a bracket's entry and its exits, before anything of it is claimed."""
        ready = self._readiness.of(entry, checked=True)
        faults = [(leg.role, each) for leg in request.legs for each in self._readiness.faults_of_exit(leg)]
        words = [f"its {str(role).replace('_', ' ')}: {each}" for role, each in faults]
        verdicts = [each for _, each in faults]
        if isinstance(ready, OrderResponse):
            return denied("; ".join([ready.message, *words]), ready.error, (*ready.verdicts, *verdicts))
        return denied("; ".join(words), verdicts[0].code, verdicts) if faults else None

    def _with_legs(self, before: OrderResponse, request: BracketRequest, key: str) -> tuple[OrderResponse, ...]:
        """A bracket's entry that was asked for before, and its exits as they stand; no success if those are others."""
        asked = {leg.role: leg for leg in request.legs}
        others = []
        for role in (OrderRole.TAKE_PROFIT, OrderRole.STOP_LOSS):
            leg, rounds = asked.get(role), self._keys.rounds(f"{key}/{role}")
            words = role.replace("_", " ")
            if leg is None or not rounds:
                others += [f"it has {'a' if rounds else 'no'} {words}"] if rounds or leg is not None else []
            else:
                others += [f"its {words}: {each}" for each in self._other_terms(leg, rounds)]
        if others and before.is_made is False:
            before = replace(before, message="; ".join([before.message, *others]))
        elif others:
            before = of_others(before, key, others)
        return (before, *self._keys.legs([f"{key}/{role}" for role in (OrderRole.TAKE_PROFIT, OrderRole.STOP_LOSS)]))

    def group(self, requests: Sequence[OrderRequest], key: str) -> tuple[OrderResponse, ...]:
        """Claim orders of which one's trading cancels the others: all are held back until they are let go together.

        Where one of them is, was or may be at the broker already under its key, or a key stands for other terms,
        nothing that was asked for before is claimed, and nothing taken back: the answer is how each of them stands.
        What was never asked for, for its process died before that, is claimed all the same.
        """
        with self._trader.lock:
            keyed = [replace(request, key=request.key or f"{key}/{number}") for number, request in enumerate(requests)]
            group = self._group_of(keyed)
            others = any(map(self._others, keyed))
            if others or any(self._asked_before(request) is not None for request in keyed):
                return tuple(self._as_it_stands(request, None if others else group) for request in keyed)
            before = {e.intent.order.client_order_id for r in keyed for e in self._keys.rounds(str(r.key))}
            belonging = Belonging(group=group or f"oco-{key}")
            responses = [self.hold(request, belonging, checked=True) for request in keyed]
            if not all(map(self._is_held, responses)):
                # What was held back before this call stays so: it may protect something.
                return tuple(r if r.order_id in before else self._never_sent([r])[0] for r in responses)
            # One may have been asked for by its symbol: only now it is known that they are of one instrument.
            orders = [e.intent.order for r in responses if r.order_id and (e := self._trader.blotter.entry(r.order_id))]
            if (why := unequal(orders)) is not None:
                return tuple(self._never_sent(responses, why))
            if not all(map(self._is_ours, responses)):
                # One process looks after all of a group: the one that holds the others back already.
                self._trader.holding.hand_over({r.order_id for r in responses if r.order_id})
            return tuple(responses)

    def _as_it_stands(self, request: OrderRequest, group: str | None) -> OrderResponse:
        """How one order of a group stands that was asked for before; one that never was comes to its group."""
        if (before := self._asked_before(request)) is not None:
            return before
        found = self._keys.legs([str(request.key)])
        if not found and group is not None:
            return self.hold(request, Belonging(group=group), checked=True)
        if not found:
            return denied("nothing was sent: another order of its group was asked for before", None)
        others = self._others(request)
        return of_others(found[0], str(request.key), others) if others else found[0]

    def _others(self, request: OrderRequest) -> list[str]:
        """What an order of a group that is held back was asked for, and is not asked for now."""
        rounds = [entry for entry in self._keys.rounds(str(request.key)) if entry.is_held_back]
        if not rounds:
            return []
        alone = rounds[-1].intent.order.instructions.group is None
        return [*self._other_terms(request, rounds), *(["it belongs with no other order"] if alone else [])]

    def _group_of(self, requests: Sequence[OrderRequest]) -> str | None:
        """The name of the group that some of the requests belong to already; None where it is a new one."""
        entries = [entry for request in requests for entry in self._keys.rounds(str(request.key))]
        return next((group for entry in entries if (group := entry.intent.order.instructions.group)), None)

    def _placed_by_another(self, request: OrderRequest) -> OrderResponse | None:
        """What came of a bracket's entry that another process is placing just now; None where that does not show."""
        context = self._trader.context
        for _ in range(_LOOKS):
            if (before := self._asked_before(request)) is not None:
                return before
            if context.interrupt.wait_until(context.clock.monotonic_ns() + _LOOK_AGAIN_NS):
                break
        return None

    def _is_to_protect(self, key: str) -> bool:
        """Whether anything of a bracket's entry has traded, or may still: of it, or of what went on for it.

        The one that was asked for now may have been denied while an earlier one of the same key is at its broker.
        """
        blotter, name = self._trader.blotter, self._names.of(key)
        if (parent := blotter.plan(name)) is None:
            return False
        entry = entered(parent, blotter.family(name))
        return bool(entry.live) or entry.filled > 0

    def _never_sent(
        self, held: Sequence[OrderResponse], why: str = "what it belongs with did not come"
    ) -> list[OrderResponse]:
        """Let go of what was held back for an order that did not come."""
        responses = []
        for each in held:
            entry = self._trader.blotter.entry(each.order_id) if each.order_id and self._is_ours(each) else None
            responses.append(each if entry is None else self._trader.cancel(entry, why))
        return responses

    def _is_held(self, held: OrderResponse) -> bool:
        """Whether an order is held back, by whatever process."""
        entry = None if held.order_id is None else self._trader.blotter.entry(held.order_id)
        return entry is not None and entry.is_held_back

    def _is_ours(self, held: OrderResponse) -> bool:
        """Whether an order is held back, and by this process: another one may let it go, or take it back."""
        entry = None if held.order_id is None else self._trader.blotter.entry(held.order_id)
        return entry is not None and entry.is_held_by(self._trader.context.owner)
