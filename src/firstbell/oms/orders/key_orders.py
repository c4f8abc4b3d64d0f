"""The orders that were made under one key: a request that is asked for again is told of them, and sends nothing.

A request may come to several orders: itself, and what was tried after a certain refusal. Their names are computed from
the key, so they are found in the journal also by another process, and after a crash.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Final

from firstbell.model.identifiers import ClientOrderId
from firstbell.model.order import Changed
from firstbell.model.order_status import NEVER_PLACED, PLACED, OrderStatus
from firstbell.oms.orders.families import entries_by_plan
from firstbell.oms.orders.response import OrderResponse, response_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from firstbell.journal.base import Entry
    from firstbell.model.order import Order, OrderState
    from firstbell.model.order_request import OrderRequest
    from firstbell.oms.orders.blotter import Blotter

MOST_ORDERS: Final = 30
"""So many orders one request may come to, all its fallbacks together."""
ASKED_BEFORE: Final = "it was asked for before; nothing was sent"
"""What is told of an order that is there under its key already."""
_ENDED: Final = frozenset({OrderStatus.CANCELED, OrderStatus.EXPIRED})


def part_key(key: str, number: int) -> str:
    """The key of a request's order number so-and-so; 0 is the request itself."""
    return f"{key}/{number}" if number else key


def other_terms(request: OrderRequest, state: OrderState) -> list[str]:
    """What an order of a key was asked for and a request under the same key does not ask for, in words.

    Nothing where it asks for the terms that the order has been changed to since.
    """
    order = state.order
    differ = _differing(request, order)
    if not differ or state.changed == Changed():
        return differ
    terms = replace(order.instructions, trigger_price=state.trigger_price, asked_price=None)
    now = replace(order, price=state.price, quantity=state.quantity, instructions=terms)
    return differ if _differing(request, now) else []


def _differing(request: OrderRequest, order: Order) -> list[str]:
    terms = order.instructions
    asked = {
        "instrument": (request.instrument, order.instrument),
        "side": (request.side, order.side),
        "type": (request.order_type, order.order_type),
        "quantity": (request.quantity, order.quantity),
        "price": (request.price, None if request.price is None else terms.asked_price or order.price),
        "trigger price": (request.trigger_price, None if request.trigger_price is None else terms.trigger_price),
        "trailing offset": (request.trailing_offset, terms.trailing_offset),
        "time in force": (request.time_in_force, order.time_in_force),
        "until": (request.expires_at, terms.expires_at),
        "role": (request.role or order.role, order.role),
    }
    return [f"{name} {_word(old)}, not {_word(new)}" for name, (new, old) in asked.items() if new != old]


def _word(term: object) -> str:
    return "none" if term is None else str(term)


@dataclass(frozen=True, slots=True)
class KeyOrders:
    """Finds the orders of keys, of one account, as the journal has them now.

    Attributes:
        blotter: The login's orders.
        name_of: The name that an order of a key has, or would get.
    """

    blotter: Blotter
    name_of: Callable[[str], ClientOrderId]

    def rounds(self, key: str) -> tuple[Entry, ...]:
        """An order of a key in each of its rounds, the oldest first; empty where it was never claimed."""
        plan_id, found = self.name_of(key), []
        for round_ in count(1):
            # Read anew: another process may have been asked for the same.
            entry = self.blotter.refresh(plan_id if round_ == 1 else ClientOrderId(f"{plan_id}-r{round_}"))
            if entry is None:
                break
            found.append(entry)
        return tuple(found)

    def all(self, key: str) -> tuple[Entry, ...]:
        """Every order of a key's request, in every round."""
        if not (first := self.rounds(key)):
            return ()
        others = (e for number in range(1, MOST_ORDERS) for e in self.rounds(part_key(key, number)))
        return (*first, *others)

    def asked_before(self, key: str | None) -> OrderResponse | None:
        """How a key's request stands where an order of it is, was or may be at the broker; None where none can be.

        Where all of them were refused for certain, or denied, it may be asked for again. One that has been claimed and
        has not left yet is for the next claim to judge: whoever holds it may be dead.
        """
        if key is None:
            return None
        newest = entries_by_plan(self.all(key))
        first = newest.pop(self.name_of(key), None)
        if first is None:
            return None
        is_there = first.state.status in PLACED or first.state.unresolved
        if not is_there and all(entry.state.status in NEVER_PLACED for entry in newest.values()):
            return None
        children = tuple(response_of(entry) for entry in newest.values())
        ended = first.state.status in _ENDED and first.state.leaves_qty > 0
        words = f"{ASKED_BEFORE}; it is {first.state.status} by now" if ended else ASKED_BEFORE
        return replace(response_of(first, message=words), children=children)

    def legs(self, keys: Iterable[str]) -> tuple[OrderResponse, ...]:
        """How the exits of a bracket that was asked for before stand, by their keys."""
        newest = (self.rounds(key)[-1:] for key in keys)
        return tuple(response_of(entry) for found in newest for entry in found)
