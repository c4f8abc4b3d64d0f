"""The checks that a request has to pass before it becomes an order: each a few lines, each naming its rule.

A check is a function from a request and what is known to a `Verdict` or None. What it needs and is not known denies;
only a limit that nobody set is none. They compare so that a number which is none (NaN) denies as well, within `judge`'s
arithmetic, where it raises nothing.
"""

from __future__ import annotations

from decimal import Context, localcontext
from typing import TYPE_CHECKING, Final

from firstbell.risk.validation.conditions import interest_enough, quote_fresh, spread_narrow, volume_enough
from firstbell.risk.validation.contract import contract_lives, instrument_known, instrument_tradable
from firstbell.risk.validation.known import Bounds, Known
from firstbell.risk.validation.prices import (
    limit_beyond_trigger,
    price_in_band,
    price_near_reference,
    price_not_too_high,
    price_not_too_low,
    price_on_tick,
    trigger_beyond_market,
)
from firstbell.risk.validation.quantities import (
    quantity_held,
    quantity_in_lots,
    quantity_in_range,
    quantity_within_limit,
    value_within_limit,
    valued_at,
)
from firstbell.risk.validation.terms import changes_taken, ends_later, market_takes_orders, time_in_force_fits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from firstbell.model.order_request import OrderRequest
    from firstbell.risk.verdict import Verdict

    Check = Callable[[OrderRequest, Known], Verdict | None]
    """A check."""

__all__ = [
    "CHECKS",
    "CHECKS_OF_EXITS",
    "WITHOUT_INSTRUMENT",
    "Bounds",
    "Known",
    "changes_taken",
    "checks_of_change",
    "judge",
    "market_takes_orders",
    "valued_at",
]

WITHOUT_INSTRUMENT: Final[Sequence[Check]] = (ends_later, market_takes_orders, time_in_force_fits, instrument_known)
"""What can be said of an instrument that the broker does not know: the last of them always denies it, and once."""

CHECKS: Final[Sequence[Check]] = (
    *WITHOUT_INSTRUMENT,
    instrument_tradable,
    contract_lives,
    price_in_band,
    price_on_tick,
    price_not_too_low,
    price_not_too_high,
    price_near_reference,
    trigger_beyond_market,
    limit_beyond_trigger,
    quantity_in_range,
    quantity_in_lots,
    quantity_within_limit,
    quantity_held,
    value_within_limit,
    spread_narrow,
    volume_enough,
    interest_enough,
    quote_fresh,
)
"""All of them, in the order in which a trader would look."""

CHECKS_OF_EXITS: Final[Sequence[Check]] = (price_in_band, price_on_tick, limit_beyond_trigger)
"""What an exit has to pass that is held back for shares still to be bought: what nothing that comes later mends."""

_OF_PRICE: Final[Sequence[Check]] = (
    price_in_band,
    price_on_tick,
    price_not_too_low,
    price_not_too_high,
    price_near_reference,
    limit_beyond_trigger,
)
_OF_QUANTITY: Final[Sequence[Check]] = (quantity_in_range, quantity_in_lots)
_OF_SIZE: Final[Sequence[Check]] = (quantity_within_limit, value_within_limit)


def checks_of_change(*, price: bool, quantity: bool, grows: bool) -> Sequence[Check]:
    """What an order's new terms have to pass, which works at its broker and was taken with the terms before.

    Args:
        price: Whether its price changes.
        quantity: Whether its quantity does.
        grows: Whether one of them becomes more.
    """
    return (*(_OF_PRICE if price else ()), *(_OF_QUANTITY if quantity else ()), *(_OF_SIZE if grows else ()))


_EXACT: Final = Context(prec=64, traps=[])
"""Wide enough for any product of two numbers that a request can hold. What cannot be worked out is NaN."""


def judge(request: OrderRequest, known: Known, only: Sequence[Check] | None = None) -> tuple[Verdict, ...]:
    """Everything that is wrong with a request, in the order of its checks; empty where nothing is. Never raises.

    Args:
        request: The request.
        known: What is known.
        only: The checks that are made; by default all.
    """
    if only is None:
        only = WITHOUT_INSTRUMENT if known.instrument is None else CHECKS
    with localcontext(_EXACT):
        return tuple(verdict for check in only if (verdict := check(request, known)) is not None)
