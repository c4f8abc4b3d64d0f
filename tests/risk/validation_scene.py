"""A sell that is right in every way, and for each rule the one thing that makes it wrong by that rule alone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from firstbell.market import calendar
from firstbell.market.hours import MarketDay, market_day
from firstbell.model.instrument import Instrument
from firstbell.model.order_request import OrderRequest
from firstbell.model.price_band import PriceBand
from firstbell.model.quote import Level, Quote
from firstbell.model.terms import OrderType, Side, TimeInForce
from firstbell.risk import validation
from firstbell.risk.validation import Bounds, Known, conditions, contract, prices, quantities, terms
from firstbell.risk.verdict import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Callable

D = Decimal
ISIN: Final = "IRO1MHRN0001"
TEHRAN: Final = calendar("XTEH")
SATURDAY: Final = date(2026, 11, 21)
FAR: Final = D(10) ** 12


def at(hour: int, minute: int = 0, day: date = SATURDAY) -> datetime:
    return TEHRAN.at(day, time(hour, minute))


TEN: Final = at(10)
HUNDRED: Final = D(100)
INSTRUMENT: Final = Instrument(
    ISIN,
    "",
    "",
    PriceBand(D(5520), D(5860)),
    min_quantity=D(10),
    max_quantity=D(400_000),
    lot_size=D(10),
    reference_price=D(5690),
    state="A",
    expiry=date(2026, 12, 19),
)
QUOTE: Final = Quote(
    ISIN,
    TEN,
    bids=(Level(D(5690), D(70)),),
    asks=(Level(D(5710), D(30)),),
    last_price=D(5700),
    volume=D(1_000),
    open_interest=D(500),
)
SELL: Final = OrderRequest(
    instrument=ISIN,
    side=Side.SELL,
    order_type=OrderType.STOP_LIMIT,
    quantity=D(100),
    price=D(5600),
    trigger_price=D(5650),
)
BOUNDS: Final = Bounds(
    max_order_value=D(570_000),
    max_order_quantity=D(100),
    min_price=D(5600),
    max_price=D(5650),
    price_tolerance=D("0.20"),
    max_spread=D("0.01"),
    min_volume=D(1_000),
    min_open_interest=D(500),
    max_quote_age=timedelta(seconds=10),
)


@dataclass
class Scene:
    """A request and what is known, to be spoilt piece by piece."""

    request: OrderRequest = SELL
    bounds: Bounds = BOUNDS
    instrument: Instrument | None = INSTRUMENT
    quote: Quote | None = QUOTE
    now: datetime = TEN
    held: Decimal | None = HUNDRED
    day: MarketDay | None = field(default_factory=lambda: market_day(TEHRAN, TEN))

    def ask(self, **changes: Any) -> None:
        self.request = replace(self.request, **changes)

    def bound(self, **changes: Any) -> None:
        self.bounds = replace(self.bounds, **changes)

    def describe(self, **changes: Any) -> None:
        self.instrument = replace(self.instrument, **changes)

    def see(self, **changes: Any) -> None:
        self.quote = replace(self.quote, **changes)

    def known(self) -> Known:
        return Known(self.bounds, self.now, self.day, self.instrument, self.quote, self.held)

    def judged(self):
        return validation.judge(self.request, self.known())

    def said(self) -> list[str]:
        return [str(verdict) for verdict in self.judged()]


@dataclass(frozen=True)
class Rule:
    """A rule: the check that holds it, what it is called, and where its limit stands.

    Attributes:
        spoil: Makes the scene wrong by this rule, and by no other.
        words: What is said then of an otherwise right scene.
        slot: Rules that spoil the same piece, and so cannot be broken together.
    """

    name: str
    code: ErrorCode
    check: validation.Check
    limit: str
    spoil: Callable[[Scene], None]
    words: str
    slot: str = ""


def stale(scene: Scene) -> None:
    scene.ask(order_type=OrderType.STOP, price=None)
    scene.see(at=scene.now - timedelta(seconds=11))


def closed(scene: Scene) -> None:
    # The quote is as old as before.
    passed = at(12, 35) - scene.now
    scene.now += passed
    scene.see(at=scene.quote.at + passed)
    if scene.request.expires_at is not None:
        scene.ask(expires_at=scene.request.expires_at + passed)


MISSED, SYMBOL = ErrorCode.MARKET_HOURS_ERROR, ErrorCode.SYMBOL_ERROR
PRICE, QUANTITY = ErrorCode.PRICE_ERROR, ErrorCode.QUANTITY_ERROR

RULES: Final = (
    Rule(
        "expires_at",
        ErrorCode.VALIDATION_ERROR,
        terms.ends_later,
        "the clock",
        lambda scene: scene.ask(time_in_force=TimeInForce.GTD, expires_at=scene.now),
        "expires_at: 2026-11-21 10:00:00+03:30, allowed later than 2026-11-21 10:00:00+03:30",
        slot="time in force",
    ),
    Rule(
        "market hours",
        MISSED,
        terms.market_takes_orders,
        "the market's calendar",
        closed,
        "market hours: closed at 12:35:00, allowed from 2026-11-21 12:45:00+03:30 on",
    ),
    Rule(
        "time in force",
        MISSED,
        terms.time_in_force_fits,
        "the market's calendar",
        lambda scene: scene.ask(time_in_force=TimeInForce.AT_THE_OPEN),
        "time in force: at_the_open, allowed while AUCTION is still to come",
        slot="time in force",
    ),
    Rule(
        "instrument",
        SYMBOL,
        contract.instrument_known,
        "the broker",
        lambda scene: scene.see(instrument="IRO1FOLD0001"),
        "instrument: a quote of 'IRO1FOLD0001', allowed those of IRO1MHRN0001",
    ),
    Rule(
        "instrument state",
        SYMBOL,
        contract.instrument_tradable,
        "the broker's instrument; `[validation] tradable_states` adds words",
        lambda scene: scene.describe(state="AS"),
        "instrument state: 'AS', allowed one that may be traded",
    ),
    Rule(
        "expiry",
        SYMBOL,
        contract.contract_lives,
        "the broker's instrument",
        lambda scene: scene.describe(expiry=SATURDAY - timedelta(days=1)),
        "expiry: 2026-11-20, allowed 2026-11-21 or later",
    ),
    Rule(
        "price band",
        PRICE,
        prices.price_in_band,
        "the broker's instrument",
        lambda scene: scene.describe(band=PriceBand(D(5690), D(5860))),
        "price band: 5,600 and 5,650, allowed 5,690 to 5,860",
    ),
    Rule(
        "tick size",
        PRICE,
        prices.price_on_tick,
        "the broker's instrument, or else the market's rules",
        lambda scene: scene.describe(tick_size=D(7)),
        "tick size: 5,650, allowed multiples of 7",
    ),
    Rule(
        "min_price",
        PRICE,
        prices.price_not_too_low,
        "`[validation] min_price`",
        lambda scene: scene.bound(min_price=FAR),
        "min_price: 5,600 and 5,650, allowed at least 1,000,000,000,000",
    ),
    Rule(
        "max_price",
        PRICE,
        prices.price_not_too_high,
        "`[validation] max_price`",
        lambda scene: scene.bound(max_price=D("0.5")),
        "max_price: 5,600 and 5,650, allowed at most 0.5",
    ),
    Rule(
        "price_tolerance",
        PRICE,
        prices.price_near_reference,
        "`[validation] price_tolerance`",
        lambda scene: scene.bound(price_tolerance=D("0.001")),
        "price_tolerance: 5,600 and 5,650, allowed within 5.7 of 5,700",
    ),
    Rule(
        "trigger price",
        PRICE,
        prices.trigger_beyond_market,
        "the quote, or else the broker's instrument",
        lambda scene: scene.see(last_price=D(5590)),
        "trigger price: 5,650, allowed below 5,590",
    ),
    Rule(
        "limit and trigger",
        PRICE,
        prices.limit_beyond_trigger,
        "the request",
        lambda scene: scene.ask(trigger_price=D(5600), price=D(5650)),
        "limit and trigger: 5,650, allowed at most 5,600",
        slot="order type",
    ),
    Rule(
        "order size",
        QUANTITY,
        quantities.quantity_in_range,
        "the broker's instrument",
        lambda scene: scene.describe(max_quantity=D(90)),
        "order size: 100, allowed 10 to 90",
    ),
    Rule(
        "lot size",
        QUANTITY,
        quantities.quantity_in_lots,
        "the broker's instrument",
        lambda scene: scene.describe(lot_size=D(30)),
        "lot size: 100, allowed multiples of 30",
    ),
    Rule(
        "max_order_quantity",
        QUANTITY,
        quantities.quantity_within_limit,
        "`[risk] max_order_quantity`",
        lambda scene: scene.bound(max_order_quantity=D(99)),
        "max_order_quantity: 100, allowed at most 99",
    ),
    Rule(
        "holdings",
        QUANTITY,
        quantities.quantity_held,
        "what is held",
        lambda scene: setattr(scene, "held", D(99)),
        "holdings: 100, allowed at most 99",
    ),
    Rule(
        "max_order_value",
        QUANTITY,
        quantities.value_within_limit,
        "`[risk] max_order_value`",
        lambda scene: scene.bound(max_order_value=D(559_999)),
        "max_order_value: 560,000, allowed at most 559,999",
    ),
    Rule(
        "max_spread",
        PRICE,
        conditions.spread_narrow,
        "`[validation] max_spread`",
        lambda scene: scene.bound(max_spread=D("0.003")),
        "max_spread: 5,690 to 5,710, 0.00351 of the price in its middle, allowed 0 to 0.003",
    ),
    Rule(
        "min_volume",
        SYMBOL,
        conditions.volume_enough,
        "`[validation] min_volume`",
        lambda scene: scene.bound(min_volume=D(1_001)),
        "min_volume: 1,000, allowed at least 1,001",
    ),
    Rule(
        "min_open_interest",
        SYMBOL,
        conditions.interest_enough,
        "`[validation] min_open_interest`",
        lambda scene: scene.bound(min_open_interest=D(501)),
        "min_open_interest: 500, allowed at least 501",
    ),
    Rule(
        "max_quote_age",
        PRICE,
        conditions.quote_fresh,
        "`[validation] max_quote_age`",
        stale,
        "max_quote_age: 11.0 s, allowed at most 10 s",
        slot="order type",
    ),
)
BY_NAME: Final = {rule.name: rule for rule in RULES}
