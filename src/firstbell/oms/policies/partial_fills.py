"""What becomes of the rest of an order that has traded in part: one pure decision.

The rest is never another order. It is this one at another price, or it is canceled: so it can never be bought twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from firstbell.model.order_status import OrderStatus
from firstbell.model.policies import CompletionStrategy
from firstbell.model.terms import Side
from firstbell.oms.policies.given import number_of, real
from firstbell.oms.policies.pricing import crosses, crossing_price, part_of_one, worst_price

if TYPE_CHECKING:
    from firstbell.config import PartialFillSettings
    from firstbell.model.order import OrderState
    from firstbell.oms.policies.pricing import Market

__all__ = [
    "CancelRemaining",
    "Completion",
    "CompletionStrategy",
    "PartialFillConfig",
    "PartialFillHandler",
    "Reprice",
    "Wait",
]

_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class PartialFillConfig:
    """What the user wants.

    Attributes:
        strategy: What becomes of the rest; None: it goes on working as it is.
        after: For `TIME_BASED`: so many seconds after its last fill the rest is to trade.
        price_move: For `PRICE_BASED`: once the best opposite price is so far from the order's, as a part of that.
        max_price_adjustment: How much worse than asked for the price may become, as a part of it. A float is taken as
            it is written.
        min_remaining: A rest of less than this is canceled rather than pursued, in shares.

    Raises:
        ValueError: A number is out of its range.
    """

    strategy: CompletionStrategy | None = None
    after: float = 30.0
    price_move: Decimal = Decimal("0.005")
    max_price_adjustment: Decimal = Decimal("0.05")
    min_remaining: Decimal = Decimal(1)

    def __post_init__(self) -> None:
        if self.strategy is not None:
            object.__setattr__(self, "strategy", CompletionStrategy(self.strategy))
        for name in ("price_move", "max_price_adjustment"):
            object.__setattr__(self, name, part_of_one(name, getattr(self, name)))
        object.__setattr__(self, "after", real("after", self.after))
        if self.after < 0:
            raise ValueError(f"after is a number of seconds, not {self.after}")
        object.__setattr__(self, "min_remaining", number_of("min_remaining", self.min_remaining))
        if self.min_remaining < 0:
            raise ValueError(f"min_remaining is not negative, as {self.min_remaining} is")

    @classmethod
    def of(cls, section: PartialFillSettings) -> PartialFillConfig:
        """What a config's ``[partial_fills]`` asks for."""
        return cls(**{**dict(section), "after": section.after.total_seconds()})


@dataclass(frozen=True, slots=True)
class Reprice:
    """Replace the working order's price, so that its rest trades at once as far as the quote tells.

    Its quantity stays as it is.
    """

    price: Decimal


@dataclass(frozen=True, slots=True)
class CancelRemaining:
    """Cancel the rest."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Ask again later.

    Attributes:
        until_ns: When, on the clock that `now_ns` was read from.
    """

    until_ns: int


Completion = Reprice | CancelRemaining | Wait


class PartialFillHandler:
    """Decides about orders that have traded in part.

    Args:
        config: What the user wants.
    """

    def __init__(self, config: PartialFillConfig) -> None:
        self._config = config

    def decide(self, state: OrderState, market: Market, last_fill_ns: int, now_ns: int) -> Completion | None:
        """What is to be done about the rest of an order now.

        Args:
            state: The order as it stands.
            market: Instrument and quote.
            last_fill_ns: When it traded last.
            now_ns: Now, on the same clock.

        Returns:
            What to do; None where nothing is: it has not traded in part, something is already under way with it, its
            price is not ours to change, or no better one is allowed.
        """
        config = self._config
        if config.strategy is None or state.status is not OrderStatus.PARTIALLY_FILLED or not state.leaves_qty:
            return None
        if config.strategy is CompletionStrategy.CANCEL_REMAINING or state.leaves_qty < config.min_remaining:
            return CancelRemaining()
        if not state.order.order_type.has_limit:
            return None
        if config.strategy is CompletionStrategy.TIME_BASED:
            until_ns = last_fill_ns + round(config.after * _NS)
            if now_ns < until_ns:
                return Wait(until_ns)
        if config.strategy is CompletionStrategy.PRICE_BASED and not self._has_moved(state, market):
            return None
        return self._crossing(state, market)

    def _has_moved(self, state: OrderState, market: Market) -> bool:
        """Whether the market has gone away from the order's price, as far as `price_move` says."""
        side = state.order.side
        touch = None if market.quote is None else market.quote.touch(side)
        if touch is None:
            return False
        gone = worst_price(side, state.price, self._config.price_move)
        return touch >= gone if side is Side.BUY else touch <= gone

    def _crossing(self, state: OrderState, market: Market) -> Reprice | None:
        side = state.order.side
        if crosses(side, state.price, market):
            # It is on its way already.
            return None
        asked = state.order.instructions.asked_price or state.order.price
        worst = worst_price(side, asked, self._config.max_price_adjustment)
        price = crossing_price(side, worst, Decimal(0), market)
        return None if price is None else Reprice(price)
