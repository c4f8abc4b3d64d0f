from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbell.config import FallbackSettings
from firstbell.model.instrument import Instrument
from firstbell.model.order import Order
from firstbell.model.order_request import OrderRequest
from firstbell.model.price_band import PriceBand
from firstbell.model.quote import Level, Quote
from firstbell.model.refusals import RefusalKind
from firstbell.model.terms import OrderType, Side
from firstbell.oms.policies.fallback import (
    FallbackConfig,
    ManualIntervention,
    MarketableLimit,
    Means,
    PriceAdjustment,
    QuantityReduction,
    Splitting,
    applied,
    marketable_price,
    propose,
)
from firstbell.oms.policies.pricing import Market
from firstbell.oms.sizing import cost

D = Decimal
R = RefusalKind
BUY, SELL = Side
AT = datetime(2026, 11, 21, 5, 15, tzinfo=UTC)
BAND = PriceBand(D(4600), D(5400))
INSTRUMENT = Instrument("I", "", "", BAND, D(10), D(1000), D(5))
MARKET = Market("XTEH", INSTRUMENT, Quote("I", AT, (Level(D(4980), D(1)),), (Level(D(5020), D(1)),)))
CONFIG = FallbackConfig()


def order(side=BUY, price=5000, quantity=100, kind=OrderType.LIMIT):
    return Order("n", "A", "gs", "I", side, D(price), D(quantity), date(2026, 11, 21), kind)


def tried(kind, asked, refused=None, *, refusals=1, market=MARKET, config=CONFIG, **means):
    return propose(asked, refused or asked, kind, refusals, market, config, Means(**means))


def reason(fallback):
    assert isinstance(fallback, ManualIntervention)
    return fallback.reason


@pytest.mark.parametrize("kind", [None, R.MARKET_CLOSED, R.RATE, R.AUTHENTICATION, R.OTHER])
def test_what_no_other_terms_would_help_stays_refused(kind):
    assert tried(kind, order()) is None
    assert tried(kind, order(), refusals=9) is None


@pytest.mark.parametrize("kind", RefusalKind)
def test_turned_off_nothing_is_tried(kind):
    assert tried(kind, order(), config=FallbackConfig(enabled=False)) is None


def test_one_that_is_there_already_is_for_a_person_to_look_at():
    assert "already" in reason(tried(R.DUPLICATE, order()))


def test_after_so_many_refusals_a_person_has_to_look():
    config = FallbackConfig(manual_intervention_threshold=3)
    assert isinstance(tried(R.PRICE, order(price=5001), refusals=2, config=config), PriceAdjustment)
    assert "refused 3 times" in reason(tried(R.PRICE, order(price=5001), refusals=3, config=config))


@pytest.mark.parametrize(
    ("side", "asked", "price"),
    [
        (BUY, 5003, 5000),
        (SELL, 5003, 5010),
        (BUY, 5600, 5400),
        (SELL, 4400, 4600),
        (BUY, 4400, 4600),
        (SELL, 5600, 5400),
    ],
)
def test_a_price_that_the_exchange_does_not_take_is_made_one(side, asked, price):
    assert tried(R.PRICE, order(side, asked)) == PriceAdjustment(D(price))


@pytest.mark.parametrize(("side", "asked"), [(BUY, 4300), (SELL, 5700)])
def test_a_price_that_would_have_to_go_too_far_is_for_a_person(side, asked):
    assert "0.05" in reason(tried(R.PRICE, order(side, asked)))
    told = reason(tried(R.PRICE, order(side, asked), market=Market("XTEH", INSTRUMENT)))
    assert told == (
        f"no price within 0.05 of {asked} will do: the band is 4600 to 5400, the best opposite price unknown"
    )


@pytest.mark.parametrize(("side", "price"), [(BUY, 5070), (SELL, 4931)])
def test_a_price_that_should_have_been_taken_becomes_one_that_trades(side, price):
    assert tried(R.PRICE, order(side)) == MarketableLimit(D(price))


def test_prices_stay_near_what_was_asked_for_at_first_however_often_one_is_refused():
    assert tried(R.PRICE, order(price=4790), order(price=4600)) == MarketableLimit(D(5020))
    config = FallbackConfig(max_price_adjustment=D("0.01"))
    assert "nothing that is known" in reason(tried(R.PRICE, order(price=4960), order(price=5000), config=config))
    assert "0.01" in reason(tried(R.PRICE, order(price=4500), order(price=4590), config=config))


def test_a_price_without_a_limit_is_for_a_person():
    told = reason(tried(R.PRICE, order(kind=OrderType.MARKET)))
    assert told == "the price of an order without one was refused"
    market_order = OrderRequest(instrument="I", side="buy", order_type="market", quantity=10)
    assert "without one" in reason(tried(R.PRICE, market_order))
    stop = order(kind=OrderType.STOP_LIMIT)
    assert "nothing that is known" in reason(tried(R.PRICE, stop))


@pytest.mark.parametrize(("side", "price"), [(BUY, 5070), (SELL, 4931)])
def test_where_there_are_no_market_orders_a_limit_that_trades_takes_their_place(side, price):
    asked = order(side, kind=OrderType.MARKET)
    fallback = tried(R.NO_MARKET_ORDERS, asked)
    assert fallback == MarketableLimit(D(price))
    assert applied(asked, fallback) == (replace(asked, price=D(price), order_type=OrderType.LIMIT),)
    request = OrderRequest(instrument="I", side=side, order_type="market", quantity=10)
    (made,) = applied(request, tried(R.NO_MARKET_ORDERS, request))
    assert (made.order_type, made.price, made.quantity) == (OrderType.LIMIT, price, 10)


def test_a_market_that_has_run_away_is_for_a_person():
    asked = order(price=4700, kind=OrderType.MARKET)
    assert "5020" in reason(tried(R.NO_MARKET_ORDERS, asked))
    empty = Market("XTEH", INSTRUMENT, Quote("I", AT))
    assert "unknown" in reason(tried(R.NO_MARKET_ORDERS, order(kind=OrderType.MARKET), market=empty))
    assert "of type limit" in reason(tried(R.NO_MARKET_ORDERS, order()))
    assert "of type stop" in reason(tried(R.NO_MARKET_ORDERS, order(kind=OrderType.STOP)))


def test_without_any_price_to_be_near_to_there_is_no_marketable_one():
    request = OrderRequest(instrument="I", side="buy", order_type="market", quantity=10)
    assert marketable_price(request, MARKET, CONFIG) == 5070
    assert marketable_price(request, Market("XTEH", INSTRUMENT), CONFIG) is None


def test_a_buy_is_cut_to_what_the_money_pays_for():
    found = tried(R.FUNDS, order(), money=D(300_000), fee_rate=D("0.003712"))
    assert found == QuantityReduction(D(55))
    assert cost(D(55), D(5000), D("0.003712")) <= 300_000 < cost(D(60), D(5000), D("0.003712"))


def test_a_sale_is_cut_to_what_is_held():
    assert tried(R.FUNDS, order(SELL), holding=D(43)) == QuantityReduction(D(40))


def test_where_all_seems_paid_for_a_little_less_is_tried():
    assert tried(R.FUNDS, order(), money=D(10_000_000)) == QuantityReduction(D(95))
    config = FallbackConfig(min_quantity_reduction=D(30))
    assert tried(R.FUNDS, order(), money=D(10_000_000), config=config) == QuantityReduction(D(70))


@pytest.mark.parametrize(("side", "means"), [(BUY, {}), (SELL, {}), (BUY, {"holding": D(9)}), (SELL, {"money": D(9)})])
def test_where_nobody_knows_what_there_is_a_person_has_to_look(side, means):
    told = reason(tried(R.FUNDS, order(side), **means))
    assert told == "there is not enough to trade with, and how much there is is not known"


@pytest.mark.parametrize(
    ("side", "means"), [(BUY, {"money": D(49_000)}), (BUY, {"money": D(-5)}), (SELL, {"holding": D(9)})]
)
def test_where_there_is_too_little_for_any_order_a_person_has_to_look(side, means):
    words = (
        "does not pay for any order" if side is BUY else "the broker has 9 shares of it to sell, which makes no order"
    )
    assert words in reason(tried(R.FUNDS, order(side), **means))


@pytest.mark.parametrize("kind", [R.QUANTITY_TOO_LARGE, R.QUANTITY])
def test_more_than_the_largest_order_is_split_exactly(kind):
    fallback = tried(kind, order(quantity=2505))
    assert fallback == Splitting((D(835), D(835), D(835)))
    assert [each.quantity for each in applied(order(quantity=2505), fallback)] == [835, 835, 835]
    assert tried(kind, order(quantity=1005)) == Splitting((D(505), D(500)))


def test_the_threshold_counts_where_too_large_is_all_that_is_said():
    config = FallbackConfig(split_threshold=D(42))
    assert tried(R.QUANTITY_TOO_LARGE, order(), config=config) == Splitting((D(35), D(35), D(30)))
    assert "nothing that is known" in reason(tried(R.QUANTITY, order(), config=config))
    assert "nothing that is known" in reason(tried(R.QUANTITY_TOO_LARGE, order()))
    assert "nothing that is known" in reason(tried(R.QUANTITY_TOO_LARGE, order(quantity=40), config=config))


def test_the_largest_order_itself_is_not_split():
    assert "nothing that is known" in reason(tried(R.QUANTITY_TOO_LARGE, order(quantity=1000)))
    # Where the user takes less for too large, it is.
    config = FallbackConfig(split_threshold=D(500))
    assert tried(R.QUANTITY_TOO_LARGE, order(quantity=1000), config=config) == Splitting((D(500), D(500)))


def test_as_many_parts_as_are_allowed_are_made():
    assert tried(R.QUANTITY, order(quantity=2000), config=FallbackConfig(max_parts=2)) == Splitting((D(1000), D(1000)))


def test_money_for_more_than_the_largest_order_pays_for_that_one():
    assert tried(R.FUNDS, order(quantity=2000), money=D(9_000_000)) == QuantityReduction(D(1000))


def test_in_too_many_parts_it_becomes_one_of_the_largest_orders():
    config = FallbackConfig(max_parts=2)
    assert tried(R.QUANTITY_TOO_LARGE, order(quantity=2005), config=config) == QuantityReduction(D(1000))


def test_what_is_no_whole_number_of_lots_is_cut_to_them():
    assert tried(R.QUANTITY, order(quantity=103)) == QuantityReduction(D(100))
    assert tried(R.QUANTITY_TOO_LARGE, order(quantity=1003)) == QuantityReduction(D(1000))


def test_what_cannot_be_made_any_order_is_for_a_person():
    config = FallbackConfig(min_quantity_reduction=D(5))
    assert "no other quantity" in reason(tried(R.QUANTITY, order(quantity=12), config=config))
    assert "no other quantity" in reason(tried(R.QUANTITY, order(quantity=9)))


def test_parts_that_would_be_too_small_are_not_made():
    instrument = replace(INSTRUMENT, min_quantity=D(60), max_quantity=D(100))
    market = replace(MARKET, instrument=instrument)
    assert tried(R.QUANTITY_TOO_LARGE, order(quantity=105), market=market) == QuantityReduction(D(100))


def test_where_not_even_one_lot_is_taken_there_is_no_other_quantity():
    config = FallbackConfig(split_threshold=D(4))
    assert "no other quantity" in reason(tried(R.QUANTITY_TOO_LARGE, order(), config=config))


def test_nothing_is_no_quantity_though_no_smallest_is_known():
    market = replace(MARKET, instrument=replace(INSTRUMENT, min_quantity=D(0)))
    assert "no other quantity" in reason(tried(R.QUANTITY, order(quantity=3), market=market))


def test_parts_may_be_as_small_as_the_smallest_order_and_of_one_lot_each():
    instrument = replace(INSTRUMENT, min_quantity=D(5), max_quantity=D(5))
    market = replace(MARKET, instrument=instrument)
    assert tried(R.QUANTITY_TOO_LARGE, order(quantity=15), market=market) == Splitting((D(5),) * 3)


def test_a_person_makes_no_orders():
    assert applied(order(), ManualIntervention("why")) == ()


@given(
    st.sampled_from(RefusalKind),
    st.sampled_from(Side),
    st.integers(4400, 5700),
    st.integers(1, 5000),
    st.integers(4500, 5500),
    st.sampled_from([OrderType.LIMIT, OrderType.MARKET, OrderType.STOP_LIMIT]),
    st.none() | st.integers(1, 400).map(D),
    st.integers(-10, 10**7).map(D),
)
def test_whatever_is_proposed_is_within_what_was_asked_for(kind, side, price, quantity, touch, type_, threshold, money):
    asked = order(side, price, quantity, type_)
    quote = Quote("I", AT, (Level(D(touch), D(1)),), (Level(D(touch), D(1)),))
    config = FallbackConfig(split_threshold=threshold)
    market = Market("XTEH", INSTRUMENT, quote)
    fallback = tried(kind, asked, market=market, config=config, money=money, holding=money // 5000)
    made = () if fallback is None else applied(asked, fallback)
    assert sum(each.quantity for each in made) <= quantity
    for each in made:
        assert (each.side, each.instrument) == (side, asked.instrument)
        assert each != asked
        if each.quantity != quantity:
            assert each.quantity % 5 == 0
            assert 10 <= each.quantity <= 1000
        if each.price != asked.price:
            assert market.takes(each.price)
            assert (each.price - price if side is BUY else price - each.price) <= price * D("0.05")
    if isinstance(fallback, Splitting):
        assert sum(fallback.quantities) == quantity
        assert 2 <= len(fallback.quantities) <= config.max_parts
    if isinstance(fallback, MarketableLimit):
        assert made[0].order_type is OrderType.LIMIT
        assert fallback.price >= touch if side is BUY else fallback.price <= touch


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"max_price_adjustment": 5}, "max_price_adjustment"),
        ({"marketable_allowance": -1}, "marketable_allowance"),
        ({"min_quantity_reduction": 0}, "min_quantity_reduction"),
        ({"split_threshold": 0}, "split_threshold"),
        ({"max_parts": 0}, "max_parts"),
        ({"manual_intervention_threshold": 0}, "manual_intervention_threshold"),
        ({"enabled": "no"}, "enabled"),
        ({"enabled": 0}, "enabled"),
        ({"max_parts": "2.5"}, "max_parts"),
        ({"max_parts": None}, "max_parts"),
        ({"split_threshold": "many"}, "split_threshold"),
        ({"min_quantity_reduction": 1.0}, "min_quantity_reduction"),
    ],
)
def test_a_config_that_cannot_be_is_refused(given, name):
    with pytest.raises(ValueError, match=name):
        FallbackConfig(**given)


def test_numbers_may_be_given_as_texts():
    given = FallbackConfig(min_quantity_reduction="1", split_threshold="50", max_parts="10")
    assert given == FallbackConfig(split_threshold=D(50))
    assert [type(each) for each in (given.min_quantity_reduction, given.max_parts)] == [D, int]


def test_a_section_makes_the_config_of_the_same_numbers():
    assert FallbackConfig.of(FallbackSettings()) == FallbackConfig()
    assert FallbackConfig(max_price_adjustment=0.05) == FallbackConfig()
