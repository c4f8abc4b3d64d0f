from __future__ import annotations

import timeit
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from firstbell.config import RiskSettings, Settings, ValidationSettings
from firstbell.market import always_open, calendar
from firstbell.market.hours import Hours
from firstbell.model.instrument import Instrument
from firstbell.model.order_request import OrderRequest
from firstbell.model.price_band import PriceBand
from firstbell.model.quote import Level, Quote
from firstbell.oms.orders.validator import OrderValidator, Validation, bounds_of
from firstbell.risk.validation import Bounds
from firstbell.risk.verdict import ErrorCode, Verdict

D = Decimal
ISIN = "IRO1MHRN0001"
TEHRAN = calendar("XTEH")
TEN = TEHRAN.at(date(2026, 11, 21), time(10))
FRIDAY = TEHRAN.at(date(2026, 11, 27), time(10))
INSTRUMENT = Instrument(
    ISIN, "", "", PriceBand(D(5520), D(5860)), D(1), D(400_000), D(1), D(5690), D(5700), "A", date(2026, 12, 19)
)
QUOTE = Quote(
    ISIN, TEN, (Level(D(5690), D(7)),), (Level(D(5700), D(3)),), D(5700), volume=D(1_000), open_interest=D(90)
)
CONFIG = Settings(
    file=Path("config.ini"),
    validation=ValidationSettings(
        min_price=1, max_price=10_000, max_spread="0.05", min_volume=100, min_open_interest=50
    ),
    risk=RiskSettings(max_order_value=1_000_000_000, max_order_quantity=100_000),
)
BUY = OrderRequest(instrument=ISIN, side="buy", order_type="limit", quantity=25, price=5700)
VALIDATOR = OrderValidator(CONFIG)


class Counted:
    """A calendar that counts how often it is asked."""

    market, tz = TEHRAN.market, TEHRAN.tz

    def __init__(self):
        self.asked = 0

    def __getattr__(self, name):
        self.asked += 1
        return getattr(TEHRAN, name)


def judged(request=BUY, validator=VALIDATOR, **changes) -> Validation:
    known = {"instrument": INSTRUMENT, "quote": QUOTE, "now": TEN, **changes}
    return validator.validate_order(request, **known)


def test_a_right_request_is_valid_and_has_nothing_to_say():
    result = judged()
    assert result.is_valid
    assert result.verdicts == ()
    assert result.message == ""


def test_everything_that_is_wrong_is_told_at_once_one_line_each():
    result = judged(replace(BUY, quantity=500_000, price=5555), now=FRIDAY)
    assert not result.is_valid
    assert [verdict.code for verdict in result.verdicts] == [
        ErrorCode.MARKET_HOURS_ERROR,
        ErrorCode.PRICE_ERROR,
        ErrorCode.QUANTITY_ERROR,
        ErrorCode.QUANTITY_ERROR,
        ErrorCode.QUANTITY_ERROR,
    ]
    assert result.message.splitlines() == [
        "market hours: closed on 2026-11-27: a Friday, allowed from 2026-11-28 08:45:00+03:30 on [MARKET_HOURS_ERROR]",
        "tick size: 5,555, allowed multiples of 10 [PRICE_ERROR]",
        "order size: 500,000, allowed 1 to 400,000 [QUANTITY_ERROR]",
        "max_order_quantity: 500,000, allowed at most 100,000 [QUANTITY_ERROR]",
        "max_order_value: 2,777,500,000, allowed at most 1,000,000,000 [QUANTITY_ERROR]",
    ]


def test_an_instrument_that_the_broker_does_not_know_is_one_verdict():
    assert judged(instrument=None, quote=None).verdicts == (
        Verdict(ErrorCode.SYMBOL_ERROR, "instrument", ISIN, "what the broker knows"),
    )


def test_every_limit_comes_from_its_own_key():
    validation = ValidationSettings(
        min_price=2,
        max_price=3,
        price_tolerance="0.4",
        max_spread="0.5",
        min_volume=6,
        min_open_interest=7,
        max_quote_age="8s",
        tradable_states="x, Y",
    )
    risk = RiskSettings(max_order_value=9, max_order_quantity=10)
    assert bounds_of(Settings(file=Path("c"), validation=validation, risk=risk)) == Bounds(
        max_order_value=D(9),
        max_order_quantity=D(10),
        min_price=D(2),
        max_price=D(3),
        price_tolerance=D("0.4"),
        max_spread=D("0.5"),
        min_volume=D(6),
        min_open_interest=D(7),
        max_quote_age=timedelta(seconds=8),
        tradable_states=("x", "y"),
    )


def test_with_no_config_of_its_own_there_is_the_tolerance_and_the_age_of_quotes():
    assert bounds_of(Settings(file=Path("c"))) == Bounds(price_tolerance=D("0.20"), max_quote_age=timedelta(seconds=10))


@pytest.mark.parametrize(
    ("holdings", "valid"), [(None, True), ({ISIN: D(25)}, True), ({ISIN: D(24)}, False), ({}, False)]
)
def test_no_more_is_sold_than_is_held_where_holdings_are_given(holdings, valid):
    sell = replace(BUY, side="sell")
    assert judged(sell, holdings=holdings).is_valid is valid
    assert judged(BUY, holdings=holdings).is_valid


def test_where_the_config_leaves_the_hours_to_the_broker_nothing_is_denied_for_them():
    night = FRIDAY + timedelta(hours=13)
    left = CONFIG.model_copy(update={"validation": CONFIG.validation.model_copy(update={"market_hours": False})})
    assert not judged(now=night).is_valid
    assert judged(validator=OrderValidator(left), now=night).is_valid
    assert OrderValidator(left).validate_change(now=night).is_valid


def test_a_paper_market_takes_orders_on_a_friday_night():
    night = FRIDAY + timedelta(hours=13)
    hours = Hours(always_open(TEHRAN.tz, market="XTEH"))
    assert not judged(now=night).is_valid
    assert judged(now=night, hours=hours).is_valid
    assert judged(validator=OrderValidator(CONFIG, hours), now=night).is_valid
    assert VALIDATOR.validate_change(now=night, hours=hours).is_valid
    assert OrderValidator(CONFIG, hours).validate_change(now=night).is_valid


@pytest.mark.parametrize(
    ("clock_time", "message"),
    [
        (time(8, 50), ""),
        (time(8, 57), "market hours: NO_CANCEL, allowed changes and cancels in other phases only [MARKET_HOURS_ERROR]"),
        (time(9), ""),
        (
            time(13),
            "market hours: closed at 13:00:00, allowed from 2026-11-22 08:45:00+03:30 on [MARKET_HOURS_ERROR]",
        ),
    ],
)
def test_changes_and_cancels_have_their_hours_too(clock_time, message):
    assert VALIDATOR.validate_change(now=TEHRAN.at(TEN.date(), clock_time)).message == message


def test_a_moment_without_a_time_zone_is_a_mistake_of_the_caller():
    naive = datetime(2026, 11, 21, 10)  # noqa: DTZ001 - on purpose
    with pytest.raises(ValueError, match="no time zone"):
        judged(now=naive)
    with pytest.raises(ValueError, match="no time zone"):
        VALIDATOR.validate_change(now=naive)


@pytest.mark.parametrize("now", [datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)])
def test_a_moment_that_no_calendar_knows_denies(now):
    assert judged(now=now).verdicts[0].rule == "market hours"
    assert not VALIDATOR.validate_change(now=now).is_valid


def test_the_calendar_is_not_asked_while_orders_are_judged():
    counted = Counted()
    validator = OrderValidator(CONFIG, Hours(counted))
    judged(validator=validator)
    asked = counted.asked
    assert asked
    for minute in range(100):
        judged(validator=validator, now=TEN + timedelta(minutes=minute))
    assert counted.asked == asked


def test_half_of_all_validations_take_less_than_a_tenth_of_a_millisecond():
    # The middle one: what a busy machine does to the slowest says nothing of us.
    spent = sorted(timeit.repeat(judged, number=1, repeat=501))
    assert spent[250] < 100e-6


def test_of_what_is_not_held_not_even_one_is_sold():
    assert not judged(replace(BUY, side="sell", quantity=1), holdings={}).is_valid


def test_without_hours_of_its_own_a_validator_goes_by_those_of_the_configs_market():
    validator = OrderValidator(CONFIG)
    assert judged(validator=validator).is_valid
    assert not judged(validator=validator, now=FRIDAY).is_valid
