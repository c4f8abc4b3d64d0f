from __future__ import annotations

import re
from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from validation_scene import BOUNDS, BY_NAME, INSTRUMENT, ISIN, RULES, SATURDAY, SELL, TEHRAN, TEN, Scene, at

from firstbell.config import RiskSettings, ValidationSettings
from firstbell.market import always_open
from firstbell.market.hours import market_day
from firstbell.model.order_request import OrderRequest
from firstbell.model.price_band import PriceBand
from firstbell.model.quote import Level
from firstbell.model.terms import OrderType, Side, TimeInForce
from firstbell.risk.validation import CHECKS, WITHOUT_INSTRUMENT, Bounds, valued_at
from firstbell.risk.verdict import ErrorCode, Verdict

D = Decimal
PAGE = Path(__file__).parents[2] / "docs" / "validation.md"


def spoilt(*names: str, **changes) -> Scene:
    scene = Scene(**changes)
    # Moving the hour moves what hangs on it: it comes last.
    for name in sorted(names, key="market hours".__eq__):
        BY_NAME[name].spoil(scene)
    return scene


def stop(side=Side.SELL, trigger=5650, **more) -> OrderRequest:
    asked = {"instrument": ISIN, "side": side, "order_type": OrderType.STOP, "quantity": 100, "trigger_price": trigger}
    return OrderRequest(**{**asked, **more})


def market(side=Side.SELL, **more) -> OrderRequest:
    return stop(side, None, order_type=OrderType.MARKET, **more)


# --- each rule by itself, and all of them together ---


def test_what_is_right_passes_at_its_very_limits():
    assert Scene().said() == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_each_rule_names_itself_and_both_numbers_and_no_other_speaks(rule):
    scene = spoilt(rule.name)
    assert scene.said() == [rule.words]
    assert [(verdict.rule, verdict.code) for verdict in scene.judged()] == [(rule.name, rule.code)]
    assert rule.check(scene.request, scene.known()) == scene.judged()[0]


def test_every_check_has_its_rule_and_stands_in_that_order():
    assert tuple(rule.check for rule in RULES) == tuple(CHECKS)
    assert tuple(CHECKS[: len(WITHOUT_INSTRUMENT)]) == tuple(WITHOUT_INSTRUMENT)


@given(st.sets(st.sampled_from(sorted(BY_NAME))))
def test_of_whatever_is_wrong_exactly_that_is_told_in_the_checks_order(names):
    # Of two rules that spoil the same piece, one.
    slots = {BY_NAME[name].slot or name: name for name in sorted(names)}
    verdicts = spoilt(*slots.values()).judged()
    wrong = [rule for rule in RULES if rule.name in slots.values()]
    assert [(verdict.rule, verdict.code) for verdict in verdicts] == [(rule.name, rule.code) for rule in wrong]


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.limit.startswith("`")], ids=lambda rule: rule.name)
def test_a_limit_that_nobody_set_is_none(rule):
    scene = spoilt(rule.name)
    scene.bound(**{rule.name: None})
    assert scene.said() == []


def test_without_any_limit_of_the_users_what_the_broker_says_still_holds():
    scene = spoilt(*{BY_NAME[name].slot or name: name for name in BY_NAME}.values(), bounds=Bounds())
    scene.bounds = Bounds()
    told = {verdict.rule for verdict in scene.judged()}
    assert told == {rule.name for rule in RULES if "`[" not in rule.limit or rule.name == "instrument state"} - {
        "expires_at",  # shares its piece with another
        "limit and trigger",
    }


# --- what is missing ---


def test_an_unknown_instrument_is_told_once():
    assert Scene(instrument=None).said() == [f"instrument: {ISIN}, allowed what the broker knows"]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("price band", "price band: not known, allowed a known one"),
        ("tick size", "tick size: not known, allowed a known one"),
        ("order size", "order size: not known, allowed a known one"),
        ("lot size", "lot size: not known, allowed a known one"),
    ],
)
def test_a_check_that_needs_the_instrument_denies_by_itself_too(rule, words):
    assert str(BY_NAME[rule].check(SELL, Scene(instrument=None).known())) == words


def test_without_hours_nothing_may_leave():
    scene = Scene(day=None)
    scene.describe(tick_size=D(10))
    assert scene.said() == ["market hours: not known, allowed while the market takes orders"]
    scene.ask(time_in_force=TimeInForce.AT_THE_CLOSE)
    assert "time in force: at_the_close, allowed while AT_CLOSE is still to come" in scene.said()


def test_without_a_quote_every_limit_that_needs_one_denies():
    scene = Scene(quote=None)
    assert scene.said() == [
        "max_spread: not known, allowed at most 0.01",
        "min_volume: not known, allowed at least 1,000",
        "min_open_interest: not known, allowed at least 500",
    ]
    scene.request = market()
    assert scene.said()[-1] == "max_quote_age: not known, allowed at most 10 s"


@pytest.mark.parametrize("side", [{"bids": ()}, {"asks": ()}])
def test_half_a_book_has_no_spread(side):
    scene = Scene()
    scene.see(**side)
    assert scene.said() == ["max_spread: not known, allowed at most 0.01"]


def test_nor_has_one_whose_limits_are_no_numbers():
    scene = Scene()
    scene.see(asks=(Level(D("Infinity"), D(1)),))
    assert "max_spread: not known, allowed at most 0.01" in scene.said()


def test_without_any_price_to_compare_with_prices_deny():
    scene = Scene()
    scene.see(last_price=None)
    scene.describe(reference_price=None)
    assert scene.said() == [
        "price_tolerance: no last or reference price, allowed one to compare with",
        "trigger price: no last or reference price, allowed one to compare with",
    ]


def test_a_value_that_nobody_knows_is_denied():
    scene = Scene(request=market(), quote=None, bounds=Bounds(max_order_value=D(1)))
    scene.describe(reference_price=None)
    assert scene.said() == ["max_order_value: no price to value it at, allowed at most 1"]


def test_an_unknown_tick_is_denied():
    scene = Scene(day=market_day(always_open(), TEN))
    assert scene.said() == ["tick size: not known, allowed a known one"]
    scene.describe(tick_size=D(50))
    assert scene.said() == []


# --- the moment ---


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (at(8, 44), "closed at 08:44:00, allowed from 2026-11-21 08:45:00+03:30 on"),
        (at(8, 45), None),
        (at(8, 55), None),
        (at(9), None),
        (at(12, 30), "closed at 12:30:00, allowed from 2026-11-21 12:45:00+03:30 on"),
        (at(12, 45), None),
        (at(13), "closed at 13:00:00, allowed from 2026-11-22 08:45:00+03:30 on"),
        (at(10, day=date(2026, 11, 26)), "closed on 2026-11-26: a Thursday, allowed from 2026-11-28 08:45:00+03:30 on"),
        (at(10, day=date(2026, 6, 24)), "closed on 2026-06-24: Tasua, allowed from 2026-06-27 08:45:00+03:30 on"),
    ],
)
def test_orders_are_taken_in_the_phases_that_take_them(now, words):
    scene = Scene(now=now, day=market_day(TEHRAN, now))
    assert scene.said() == ([] if words is None else [f"market hours: {words}"])


def test_the_time_told_is_the_exchanges_own():
    now = at(12, 35).astimezone(UTC)
    assert Scene(now=now).said() == [BY_NAME["market hours"].words]


def test_a_next_bell_that_nobody_knows_is_said_to_be_unknown():
    scene = Scene(now=at(13))
    scene.day = replace(scene.day, next_bell=None)
    assert scene.said() == [
        "market hours: closed at 13:00:00, allowed from its next bell on, which is not known",
    ]


def test_a_market_that_never_closes_takes_orders_on_any_day():
    now = datetime(2026, 11, 27, 3, tzinfo=UTC)
    scene = Scene(now=now, day=market_day(always_open(market="XTEH"), now))
    assert scene.said() == []


@pytest.mark.parametrize(
    ("kind", "now", "fits"),
    [
        (TimeInForce.AT_THE_OPEN, at(8, 45), True),
        (TimeInForce.AT_THE_OPEN, at(8, 59), True),
        (TimeInForce.AT_THE_OPEN, at(9), False),
        (TimeInForce.AT_THE_CLOSE, at(8, 45), True),
        (TimeInForce.AT_THE_CLOSE, at(10), True),
        (TimeInForce.AT_THE_CLOSE, at(12, 59), True),
        (TimeInForce.IOC, at(8, 50), False),
        (TimeInForce.IOC, at(8, 57), False),
        (TimeInForce.FOK, at(8, 57), False),
        (TimeInForce.FOK, at(9), True),
        (TimeInForce.IOC, at(12, 50), True),
        (TimeInForce.GTC, at(8, 50), True),
    ],
)
def test_an_orders_time_fits_the_hour(kind, now, fits):
    scene = Scene(now=now)
    scene.ask(time_in_force=kind)
    assert [verdict.rule for verdict in scene.judged()] == ([] if fits else ["time in force"])


def test_what_has_to_trade_at_once_is_told_the_phase():
    scene = Scene(now=at(8, 57))
    scene.ask(time_in_force=TimeInForce.IOC)
    assert scene.said() == ["time in force: ioc, allowed while orders trade, not in NO_CANCEL"]


def test_an_order_may_end_a_moment_later():
    scene = Scene()
    scene.ask(time_in_force=TimeInForce.GTD, expires_at=TEN + timedelta(microseconds=1))
    assert scene.said() == []


# --- the instrument ---


def test_facts_of_another_instrument_are_none():
    scene = Scene(instrument=replace(INSTRUMENT, id="IRO1FOLD0001"))
    assert scene.said() == [f"instrument: facts of 'IRO1FOLD0001', allowed those of {ISIN}"]


@pytest.mark.parametrize("state", ["A", " ar ", "", "  ", "TRADING"])
def test_a_tradable_state_or_none_passes(state):
    scene = Scene()
    scene.describe(state=state)
    assert scene.said() == []


def test_the_user_may_know_more_words():
    scene = spoilt("instrument state")
    scene.bound(tradable_states=("as",))
    assert scene.said() == []


def test_a_strange_state_is_written_on_one_line_and_cut():
    scene = Scene()
    scene.describe(state="x\ny" + "z" * 100)
    assert scene.said() == [f"instrument state: 'x\\ny{'z' * 37}', allowed one that may be traded"]


@pytest.mark.parametrize(("expiry", "lives"), [(SATURDAY, True), (SATURDAY - timedelta(days=1), False), (None, True)])
def test_a_contract_lives_through_its_last_day(expiry, lives):
    scene = Scene(bounds=Bounds())
    scene.describe(expiry=expiry)
    assert (scene.said() == []) is lives


def test_the_day_is_the_exchanges_and_not_greenwichs():
    # Half past two in the morning in Tehran is still yesterday in Greenwich.
    scene = Scene(now=at(2, 30).astimezone(UTC))
    scene.describe(expiry=SATURDAY - timedelta(days=1))
    assert "expiry: 2026-11-20, allowed 2026-11-21 or later" in scene.said()


# --- prices ---


def test_the_ends_of_the_band_are_on_every_tick():
    scene = Scene(request=stop(trigger=5520, order_type=OrderType.STOP_LIMIT, price=5520), bounds=Bounds())
    scene.describe(tick_size=D(7))
    assert scene.said() == []
    scene.ask(trigger_price=5527, price=5527)
    assert scene.said() == ["tick size: 5,527, allowed multiples of 7"]


def test_where_the_broker_says_no_tick_the_markets_holds():
    scene = Scene(bounds=Bounds())
    scene.ask(price=5605)
    assert scene.said() == ["tick size: 5,605, allowed multiples of 10"]
    scene.describe(tick_size=D("0.05"))
    assert scene.said() == []


@pytest.mark.parametrize(("price", "beyond"), [(5643, 5642), (5757, 5758)])
def test_the_tolerance_itself_is_allowed(price, beyond):
    scene = Scene(bounds=Bounds(price_tolerance=D("0.01")))
    scene.describe(tick_size=D(1))
    scene.request = stop(trigger=None, order_type=OrderType.LIMIT, price=price)
    assert scene.said() == []
    scene.ask(price=beyond)
    assert scene.said() == [f"price_tolerance: {beyond:,}, allowed within 57 of 5,700"]


@pytest.mark.parametrize(
    ("last_seen", "last_told", "reference", "found"),
    [(5700, 5600, 5500, 5700), (None, 5600, 5500, 5600), (None, None, 5500, 5500), (0, -1, 5500, 5500)],
)
def test_the_last_price_comes_before_the_reference_price(last_seen, last_told, reference, found):
    scene = Scene()
    scene.see(last_price=None if last_seen is None else D(last_seen))
    scene.describe(last_price=None if last_told is None else D(last_told), reference_price=D(reference))
    assert scene.known().reference == found


@pytest.mark.parametrize(
    ("side", "trigger", "fits"),
    [
        (Side.BUY, 5710, True),
        (Side.BUY, 5700, False),
        (Side.BUY, 5690, False),
        (Side.SELL, 5690, True),
        (Side.SELL, 5700, False),
        (Side.SELL, 5710, False),
    ],
)
@pytest.mark.parametrize("kind", [OrderType.STOP, OrderType.TRAILING_STOP])
def test_a_trigger_is_on_its_side_of_the_last_price(side, trigger, fits, kind):
    offset = {"trailing_offset": 10} if kind is OrderType.TRAILING_STOP else {}
    scene = Scene(request=stop(side, trigger, order_type=kind, **offset), bounds=Bounds())
    assert [verdict.rule for verdict in scene.judged()] == ([] if fits else ["trigger price"])


@pytest.mark.parametrize(
    ("side", "trigger", "price", "fits"),
    [
        (Side.BUY, 5710, 5710, True),
        (Side.BUY, 5710, 5720, True),
        (Side.BUY, 5720, 5710, False),
        (Side.SELL, 5690, 5690, True),
        (Side.SELL, 5690, 5680, True),
        (Side.SELL, 5680, 5690, False),
    ],
)
def test_a_stop_limits_limit_lets_it_trade_at_its_trigger(side, trigger, price, fits):
    scene = Scene(request=stop(side, trigger, price=price, order_type=OrderType.STOP_LIMIT), bounds=Bounds())
    assert [verdict.rule for verdict in scene.judged()] == ([] if fits else ["limit and trigger"])


def test_a_trailing_stop_stays_as_near_as_a_price_does():
    request = stop(trigger=None, order_type=OrderType.TRAILING_STOP, trailing_offset=1140)
    scene = Scene(request=request, bounds=Bounds(price_tolerance=D("0.20")))
    assert scene.said() == []
    scene.ask(trailing_offset=1141)
    assert scene.said() == ["price_tolerance: 1,141, allowed within 1,140 of 5,700"]


def test_only_the_price_that_is_wrong_is_told():
    scene = Scene()
    scene.bound(min_price=D(5601))
    assert scene.said() == ["min_price: 5,600, allowed at least 5,601"]


def test_a_market_order_names_no_price():
    names_none = {"price band", "tick size", "min_price", "max_price", "price_tolerance", "trigger price"}
    scene = spoilt(*names_none, request=market())
    assert scene.said() == []


# --- quantities ---


@pytest.mark.parametrize(
    ("quantity", "rules"), [(10, []), (400_000, []), (400_010, ["order size"]), (15, ["lot size"])]
)
def test_quantities_of_lots_from_the_smallest_to_the_largest(quantity, rules):
    scene = Scene(bounds=Bounds(), held=None)
    scene.ask(quantity=quantity)
    assert [verdict.rule for verdict in scene.judged()] == rules


def test_the_smallest_order_is_kept():
    scene = Scene(bounds=Bounds())
    scene.describe(min_quantity=D(110))
    assert scene.said() == ["order size: 100, allowed 110 to 400,000"]


def test_a_buy_needs_no_holdings_and_a_sell_none_where_none_are_given():
    assert Scene(request=stop(Side.BUY, 5750), held=D(0), bounds=Bounds()).said() == []
    assert Scene(held=None).said() == []


@pytest.mark.parametrize(
    ("request_", "price"),
    [
        (SELL, 5600),
        (market(Side.BUY), 5710),
        (market(Side.SELL), 5700),
        (stop(Side.BUY, 5750), 5750),
        (stop(Side.SELL, 5650), 5700),
        (stop(trigger=None, order_type=OrderType.TRAILING_STOP, trailing_offset=10), 5700),
    ],
)
def test_an_order_without_a_limit_is_valued_at_the_highest_price_it_may_trade_at(request_, price):
    assert valued_at(request_, Scene().known()) == price


def test_the_value_itself_is_allowed_to_the_last_digit():
    scene = Scene(bounds=Bounds(max_order_value=D("16800.0000000003")))
    scene.describe(tick_size=D("1E-24"), lot_size=D(1), min_quantity=D(1))
    scene.ask(price=D("5600.0000000001"), quantity=3)
    assert scene.said() == []
    # More digits than plain arithmetic would keep.
    scene.ask(price=D("5600.000000000100000000000001"))
    assert [verdict.rule for verdict in scene.judged()] == ["max_order_value"]


@pytest.mark.parametrize("step", [D(-10), D(0), D("-0.05")])
def test_steps_that_go_backwards_or_nowhere_deny(step):
    scene = Scene()
    scene.describe(lot_size=step)
    assert [verdict.rule for verdict in scene.judged()] == ["lot size"]
    if step:
        scene.describe(tick_size=step)
        assert [verdict.rule for verdict in scene.judged()] == ["tick size", "lot size"]


# --- the market's condition ---


@pytest.mark.parametrize(
    ("now", "looked_at"), [(at(8, 50), False), (at(8, 57), False), (at(9), True), (at(12, 50), True)]
)
def test_spread_and_volume_are_looked_at_once_the_market_trades(now, looked_at):
    scene = Scene(now=now)
    scene.see(bids=(Level(D(5720), D(1)),), volume=D(0))
    rules = [verdict.rule for verdict in scene.judged()]
    assert rules == (["max_spread", "min_volume"] if looked_at else [])


def test_a_crossed_book_is_no_narrow_one():
    scene = Scene()
    scene.see(bids=(Level(D(5710), D(1)),))
    assert scene.said() == []
    scene.see(bids=(Level(D(5720), D(1)),))
    assert scene.said() == [
        "max_spread: 5,720 to 5,710, -0.00175 of the price in its middle, allowed 0 to 0.01",
    ]


def test_open_interest_is_of_contracts_alone():
    scene = Scene()
    scene.see(open_interest=None)
    assert [verdict.rule for verdict in scene.judged()] == ["min_open_interest"]
    scene.describe(expiry=None)
    assert scene.said() == []


@pytest.mark.parametrize("age", [timedelta(seconds=10, microseconds=1), timedelta(seconds=-10, microseconds=-1)])
@pytest.mark.parametrize("request_", [market(), stop()])
def test_an_old_quote_or_one_of_tomorrow_denies_orders_without_a_limit(age, request_):
    scene = Scene(request=request_, bounds=Bounds(max_quote_age=timedelta(seconds=10)))
    scene.see(at=TEN - age)
    assert [verdict.rule for verdict in scene.judged()] == ["max_quote_age"]
    scene.see(at=TEN - age / 2)
    assert scene.said() == []
    scene.request = SELL
    scene.see(at=TEN - age)
    assert scene.said() == []


def test_a_quote_without_a_time_zone_is_of_no_known_age():
    scene = Scene(request=market())
    scene.see(at=TEN.replace(tzinfo=None))
    assert scene.said() == ["max_quote_age: not known, allowed at most 10 s"]


# --- whatever comes ---

RIGHT = st.sampled_from([Side.BUY, Side.SELL])


@st.composite
def right_scenes(draw) -> Scene:
    side, last = draw(RIGHT), D(draw(st.integers(1_000, 9_000))) * 10
    width = draw(st.integers(1, 50)) * D(10)
    lot, lots = D(draw(st.integers(1, 500))), D(draw(st.integers(1, 1_000)))
    away = (1 if side is Side.BUY else -1) * D(10)
    trigger = last + away * draw(st.integers(1, int(width / 10)))
    limit = trigger + away * draw(st.integers(0, 5))
    kind = draw(st.sampled_from(OrderType))
    request = OrderRequest(
        instrument=ISIN,
        side=side,
        order_type=kind,
        quantity=lot * lots,
        price=limit if kind.has_limit else None,
        trigger_price=trigger if kind in {OrderType.STOP, OrderType.STOP_LIMIT} else None,
        trailing_offset=width if kind is OrderType.TRAILING_STOP else None,
    )
    scene = Scene(request=request, held=lot * lots, bounds=replace(BOUNDS, max_order_value=None))
    scene.describe(
        band=PriceBand(last - width - 50, last + width + 50), lot_size=lot, min_quantity=lot, max_quantity=lot * lots
    )
    scene.bound(max_order_quantity=None, min_price=None, max_price=last + width + 50, price_tolerance=D("0.06"))
    scene.see(last_price=last, bids=(Level(last, D(1)),), asks=(Level(last + 10, D(1)),))
    return scene


@given(right_scenes())
def test_whatever_is_right_passes(scene):
    assert scene.said() == []


ANY = st.decimals() | st.sampled_from([D("sNaN"), D("1E+999999"), D("-1E+999999"), D("1E-999999"), D(0), D("-0")])
MAYBE = st.none() | ANY
LEVELS = st.lists(st.builds(Level, ANY, ANY), max_size=2).map(tuple)
NUMBERS = st.builds(lambda digits, places: D(digits).scaleb(places), st.integers(1, 10**9 - 1), st.integers(-27, 18))
MOMENTS = st.datetimes(timezones=st.just(UTC))


def _bands(low: Decimal, high: Decimal) -> PriceBand:
    try:
        return PriceBand(low, high)
    except (ValueError, ArithmeticError):
        return PriceBand(D("1E-999999"), D("Infinity"))


@st.composite
def any_scenes(draw) -> Scene:
    kind = draw(st.sampled_from(OrderType))
    scene = draw(right_scenes())
    end = draw(st.none() | MOMENTS)
    scene.ask(
        order_type=kind,
        quantity=draw(NUMBERS),
        price=draw(NUMBERS) if kind.has_limit else None,
        trigger_price=draw(NUMBERS) if kind in {OrderType.STOP, OrderType.STOP_LIMIT} else None,
        trailing_offset=draw(NUMBERS) if kind is OrderType.TRAILING_STOP else None,
        expires_at=end,
        time_in_force=draw(st.sampled_from(sorted(set(TimeInForce) - {TimeInForce.GTD}))) if end is None else "gtd",
    )
    scene.see(
        at=draw(MOMENTS | st.datetimes()),
        bids=draw(LEVELS),
        asks=draw(LEVELS),
        last_price=draw(MAYBE),
        volume=draw(MAYBE),
        open_interest=draw(MAYBE),
    )
    scene.describe(
        band=_bands(draw(ANY), draw(ANY)),
        min_quantity=draw(ANY),
        max_quantity=draw(ANY),
        lot_size=draw(ANY),
        tick_size=draw(MAYBE),
        last_price=draw(MAYBE),
        reference_price=draw(MAYBE),
        state=draw(st.text(max_size=99)),
        expiry=draw(st.none() | st.dates()),
    )
    scene.now, scene.held = draw(MOMENTS), draw(MAYBE)
    scene.quote = draw(st.sampled_from([None, scene.quote]))
    scene.instrument = draw(st.sampled_from([None, scene.instrument]))
    scene.day = draw(st.sampled_from([None, scene.day]))
    scene.bounds = draw(st.sampled_from([BOUNDS, Bounds(), scene.bounds]))
    return scene


@given(any_scenes())
def test_whatever_comes_nothing_raises_and_all_of_it_can_be_read(scene):
    for verdict in scene.judged():
        assert isinstance(verdict, Verdict)
        assert verdict.code in ErrorCode
        assert str(verdict).isprintable()
        assert len(str(verdict)) < 300


@given(any_scenes(), st.sampled_from(["max_quantity", "min_quantity", "lot_size"]), st.sampled_from(["NaN", "sNaN"]))
def test_a_number_that_is_none_denies(scene, name, nothing):
    scene.instrument = INSTRUMENT
    scene.describe(**{name: D(nothing)})
    rule = "lot size" if name == "lot_size" else "order size"
    assert rule in {verdict.rule for verdict in scene.judged()}


# --- the page ---


def test_the_page_shows_the_rules_as_they_are():
    rows = [
        f"| {rule.name} | `{rule.code}` | {rule.check.__doc__.partition(chr(10))[0].rstrip('.')} | {rule.limit} |"
        for rule in RULES
    ]
    table = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    head = "| rule | code | what is compared | where the limit stands |"
    assert table[: len(rows) + 1] == [head, *rows], "\n".join([head, "|---|---|---|---|", *rows])


def test_the_keys_that_the_page_names_are_those_of_the_config():
    models = {"validation": ValidationSettings, "risk": RiskSettings}
    named = [match for rule in RULES for match in re.findall(r"`\[(\w+)\] (\w+)`", rule.limit)]
    assert all(key in models[section].model_fields for section, key in named)
    # Whether the calendar is asked at all is no limit.
    limits = set(ValidationSettings.model_fields) - {"market_hours"}
    assert {key for section, key in named if section == "validation"} == limits
    assert "market_hours = no" in PAGE.read_text(encoding="utf-8")
    assert {key for _, key in named} == {each.name for each in fields(Bounds)}


def test_the_page_explains_every_code():
    text = PAGE.read_text(encoding="utf-8")
    assert all(f"| `{code}` |" in text for code in ErrorCode)
