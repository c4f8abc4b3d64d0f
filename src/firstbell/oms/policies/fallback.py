"""What may be tried instead of an order that was refused for certain: one pure function.

Nothing here is asked about an order of which nobody knows what became of it: whoever calls has the broker's certain no
in hand, so that the whole quantity is free again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final, TypeVar

from firstbell.model.money import plain
from firstbell.model.order import Order
from firstbell.model.order_request import OrderRequest
from firstbell.model.refusals import RefusalKind
from firstbell.model.terms import OrderType, Side
from firstbell.oms.policies.given import positive, whole, yes_or_no
from firstbell.oms.policies.pricing import crossing_price, fitted, part_of_one, worst_price
from firstbell.oms.sizing import affordable, cut_to_lot

if TYPE_CHECKING:
    from firstbell.config import FallbackSettings
    from firstbell.oms.policies.pricing import Market

Asked = Order | OrderRequest
A = TypeVar("A", Order, OrderRequest)

_NOT_OURS: Final = frozenset(
    {RefusalKind.MARKET_CLOSED, RefusalKind.RATE, RefusalKind.AUTHENTICATION, RefusalKind.OTHER}
)
"""Refusals that no other price or quantity would help."""


@dataclass(frozen=True, slots=True)
class FallbackConfig:
    """What the user allows to be tried.

    Attributes:
        enabled: Whether anything is.
        max_price_adjustment: How much worse than asked for a price may become, as a part of it. A float is taken as it
            is written.
        marketable_allowance: How far beyond the best opposite price a limit goes that is to trade, as a part of it.
        min_quantity_reduction: The least by which a quantity is reduced, in shares.
        split_threshold: Larger orders are split into such ones where the broker only says that one is too large; None:
            the instrument's largest order alone counts.
        max_parts: Into how many orders one may be split.
        manual_intervention_threshold: After so many refusals of one request a person has to look.

    Raises:
        ValueError: A part is not from 0 to 1, a number is not positive, or something is no number at all.
    """

    enabled: bool = True
    max_price_adjustment: Decimal = Decimal("0.05")
    marketable_allowance: Decimal = Decimal("0.01")
    min_quantity_reduction: Decimal = Decimal(1)
    split_threshold: Decimal | None = None
    max_parts: int = 10
    manual_intervention_threshold: int = 5

    def __post_init__(self) -> None:
        for name in ("max_price_adjustment", "marketable_allowance"):
            object.__setattr__(self, name, part_of_one(name, getattr(self, name)))
        object.__setattr__(self, "enabled", yes_or_no("enabled", self.enabled))
        for name in ("min_quantity_reduction", *(("split_threshold",) if self.split_threshold is not None else ())):
            object.__setattr__(self, name, positive(name, getattr(self, name)))
        for name in ("max_parts", "manual_intervention_threshold"):
            object.__setattr__(self, name, whole(name, getattr(self, name)))

    @classmethod
    def of(cls, section: FallbackSettings) -> FallbackConfig:
        """What a config's ``[fallback]`` allows."""
        return cls(**dict(section))


@dataclass(frozen=True, slots=True)
class PriceAdjustment:
    """The same at a price that the exchange takes."""

    price: Decimal


@dataclass(frozen=True, slots=True)
class MarketableLimit:
    """The same as a limit order that trades at once, as far as the quote tells: never a bare market order."""

    price: Decimal


@dataclass(frozen=True, slots=True)
class QuantityReduction:
    """The same for less."""

    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Splitting:
    """The same in parts, whose sum is exactly what was refused."""

    quantities: tuple[Decimal, ...]


@dataclass(frozen=True, slots=True)
class ManualIntervention:
    """Nothing: a person has to look.

    Attributes:
        reason: Why, in words.
    """

    reason: str


Fallback = PriceAdjustment | MarketableLimit | QuantityReduction | Splitting | ManualIntervention


@dataclass(frozen=True, slots=True)
class Means:
    """What an order may use.

    Attributes:
        money: The buying power, fees included, in the instrument's currency; None where it is not known.
        fee_rate: The fee as a part of the value.
        holding: Shares held that may be sold; None where it is not known.
    """

    money: Decimal | None = None
    fee_rate: Decimal = Decimal(0)
    holding: Decimal | None = None


NO_MEANS: Final = Means()
"""Nobody was asked."""


def propose(
    asked: Asked,
    refused: Asked,
    kind: RefusalKind | None,
    refusals: int,
    market: Market,
    config: FallbackConfig,
    means: Means = NO_MEANS,
) -> Fallback | None:
    """What may be tried after a certain refusal.

    Args:
        asked: The request or order as it was asked for at first: prices stay near its price.
        refused: The one that was refused, for certain and as a whole: itself, or a fallback of it.
        kind: What the refusal was about, as the broker's dialect sorts it; None where it does not say.
        refusals: How many certain refusals the request has had, this one among them.
        market: Instrument and quote.
        config: What the user allows.
        means: Buying power and holding, for refusals that are about them.

    Returns:
        What to try; `ManualIntervention` where something would have to be tried and nothing can be; None where nothing
        is to be done but to leave the order refused.
    """
    if not config.enabled or kind is None or kind in _NOT_OURS:
        return None
    if kind is RefusalKind.DUPLICATE:
        return ManualIntervention("the broker says that it has such an order already")
    if refusals >= config.manual_intervention_threshold:
        return ManualIntervention(
            f"refused {refusals} times, a person looks after {config.manual_intervention_threshold}"
        )
    if kind is RefusalKind.PRICE:
        return _other_price(asked, refused, market, config)
    if kind is RefusalKind.NO_MARKET_ORDERS:
        return _limit_instead(asked, refused, market, config)
    if kind is RefusalKind.FUNDS:
        return _what_means_allow(refused, market, config, means)
    return _other_quantity(refused, kind, market, config)


def applied(order: A, fallback: Fallback) -> tuple[A, ...]:
    """The orders that a fallback makes of a refused one: none where a person has to look.

    They still have its name: whoever sends them gives each a name of its own.
    """
    if isinstance(fallback, PriceAdjustment):
        return (replace(order, price=fallback.price),)
    if isinstance(fallback, MarketableLimit):
        return (replace(order, price=fallback.price, order_type=OrderType.LIMIT),)
    if isinstance(fallback, QuantityReduction):
        return (replace(order, quantity=fallback.quantity),)
    if isinstance(fallback, Splitting):
        return tuple(replace(order, quantity=each) for each in fallback.quantities)
    return ()


def _other_price(asked: Asked, refused: Asked, market: Market, config: FallbackConfig) -> Fallback:
    """A price that the exchange takes; of one that it should have taken, one that would trade."""
    price = refused.price
    if price is None or asked.price is None or not refused.order_type.has_limit:
        return ManualIntervention("the price of an order without one was refused")
    worst = worst_price(refused.side, asked.price, config.max_price_adjustment)
    if not market.takes(price):
        better = fitted(refused.side, price, worst, market)
        return ManualIntervention(_out_of_reach(asked, market, config)) if better is None else PriceAdjustment(better)
    if refused.order_type is OrderType.LIMIT:
        crossing = crossing_price(refused.side, worst, config.marketable_allowance, market)
        if crossing is not None and crossing != price:
            return MarketableLimit(crossing)
    return ManualIntervention(f"the price {price} was refused, and nothing that is known speaks against it")


def _limit_instead(asked: Asked, refused: Asked, market: Market, config: FallbackConfig) -> Fallback:
    """A limit order that trades, instead of a bare market order."""
    if refused.order_type is not OrderType.MARKET:
        return ManualIntervention(f"there are no market orders, and this one is of type {refused.order_type}")
    price = marketable_price(asked, market, config)
    return ManualIntervention(_out_of_reach(asked, market, config)) if price is None else MarketableLimit(price)


def marketable_price(asked: Asked, market: Market, config: FallbackConfig) -> Decimal | None:
    """The limit that stands for a market order at a broker that takes none.

    It is near the price that the order was valued at; where it has none, near the best opposite price.

    Returns:
        The price; None where there is none to trade at, or it is further away than ``max_price_adjustment``.
    """
    near = asked.price or (None if market.quote is None else market.quote.touch(asked.side))
    if near is None:
        return None
    worst = worst_price(asked.side, near, config.max_price_adjustment)
    return crossing_price(asked.side, worst, config.marketable_allowance, market)


def waiting_price(side: Side, near: Decimal, market: Market, config: FallbackConfig) -> Decimal:
    """Where an order waits for whoever comes that is to trade at any price, and nobody is there to trade with.

    That is the worst price that the user allows and the exchange takes, and where there is none, `near` itself.
    """
    worst = worst_price(side, near, config.max_price_adjustment)
    found = fitted(side, worst, worst, market)
    return near if found is None else found


def _what_means_allow(refused: Asked, market: Market, config: FallbackConfig, means: Means) -> Fallback:
    """As much as money or holding allow, and less than what was refused, whatever they allow."""
    instrument, price = market.instrument, refused.price
    if refused.side is Side.SELL:
        most = means.holding
    elif means.money is None or price is None:
        most = None
    else:
        most = affordable(means.money, price, means.fee_rate, instrument.lot_size)
    if most is None:
        return ManualIntervention("there is not enough to trade with, and how much there is is not known")
    quantity = _reduced(refused, min(most, instrument.max_quantity), market, config)
    if quantity is None:
        enough = max(most, Decimal(0))
        if refused.side is Side.SELL:
            return ManualIntervention(f"the broker has {plain(enough)} shares of it to sell, which makes no order")
        return ManualIntervention(f"what there is, enough for {plain(enough)}, does not pay for any order")
    return QuantityReduction(quantity)


def _other_quantity(refused: Asked, kind: RefusalKind, market: Market, config: FallbackConfig) -> Fallback:
    """Parts of a size that is taken, or whole lots."""
    instrument, quantity = market.instrument, refused.quantity
    largest = instrument.max_quantity
    if kind is RefusalKind.QUANTITY_TOO_LARGE and quantity <= largest and config.split_threshold is not None:
        largest = min(largest, config.split_threshold)
    if quantity > largest:
        parts = _parts(quantity, largest, market, config.max_parts)
        if parts is not None:
            return Splitting(parts)
    elif quantity % instrument.lot_size == 0:
        value = "" if refused.price is None else f", {plain(quantity * refused.price)} in all,"
        words = f"the quantity {plain(quantity)}{value} was refused, and nothing that is known speaks against it"
        return ManualIntervention(words)
    less = _reduced(refused, largest, market, config)
    return (
        ManualIntervention(f"no other quantity than {quantity} is at hand") if less is None else QuantityReduction(less)
    )


def _reduced(refused: Asked, most: Decimal, market: Market, config: FallbackConfig) -> Decimal | None:
    """The largest order of at most `most`, and smaller than the refused one; None where that is no order."""
    instrument = market.instrument
    below = refused.quantity - config.min_quantity_reduction
    quantity = cut_to_lot(min(most, below), instrument.lot_size)
    return quantity if quantity > 0 and quantity >= instrument.min_quantity else None


def _parts(quantity: Decimal, largest: Decimal, market: Market, most: int) -> tuple[Decimal, ...] | None:
    """`quantity` in as few and as equal parts as can be; None where that cannot be done exactly."""
    lot = market.instrument.lot_size
    lots, rest = divmod(quantity, lot)
    in_one = largest // lot
    if rest or in_one < 1:
        return None
    # Decimal cuts towards zero, so the usual double minus does not round up.
    count = int((lots + in_one - 1) // in_one)
    if count > most:
        return None
    each, more = divmod(lots, count)
    if each * lot < market.instrument.min_quantity:
        return None
    return tuple((each + (number < more)) * lot for number in range(count))


def _out_of_reach(asked: Asked, market: Market, config: FallbackConfig) -> str:
    band = market.instrument.band
    touch = None if market.quote is None else market.quote.touch(asked.side)
    return (
        f"no price within {config.max_price_adjustment} of {asked.price} will do: the band is {band.low} to "
        f"{band.high}, the best opposite price {'unknown' if touch is None else touch}"
    )
