"""How much of a position open orders end already: exits of which one cancels the other end the same shares. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from firstbell.oms.orders.families import family_of, goes_on

if TYPE_CHECKING:
    from collections.abc import Iterable

    from firstbell.journal.base import Entry

_NOTHING: Final = Decimal(0)


def covered(orders: Iterable[Entry], others: Iterable[Entry]) -> Decimal:
    """So many shares some orders end that are not done.

    Args:
        orders: They, at a broker or held back, of one instrument and side.
        others: All orders of the days on which they were placed: the entries among them that their exits protect.

    Returns:
        Of each that stands alone, all that it may still trade. Of a bracket's exits, and of a group's, what the largest
        of them may, and of a bracket's no more than its entry has filled and they have not ended yet.
    """
    alone = _NOTHING
    families: dict[str, list[Entry]] = {}
    for each in orders:
        family = family_of(each)
        if family is None:
            alone += each.state.leaves_qty
        else:
            families.setdefault(family, []).append(each)
    among = tuple(others) if families else ()
    return alone + sum((_of_family(exits, among) for exits in families.values()), _NOTHING)


def _of_family(exits: Iterable[Entry], others: Iterable[Entry]) -> Decimal:
    legs = tuple(exits)
    most = max(leg.state.leaves_qty for leg in legs)
    parent_id = legs[0].intent.order.instructions.parent_id
    if parent_id is None:
        return most
    left = _NOTHING
    for each in others:
        belongs = each.intent.order.instructions.parent_id == parent_id
        if each.intent.plan_id == parent_id or (belongs and goes_on(each)):
            left += each.state.filled_qty
        elif belongs:
            left -= each.state.filled_qty
    return min(most, max(left, _NOTHING))
