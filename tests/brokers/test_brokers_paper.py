"""The paper broker: its market by hand and by itself, what orders come to on it, and what it answers."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from brokers_paper import FOLD, D, HandClock, asked, market_order, paper
from hypothesis import given
from hypothesis import strategies as st

from firstbell.brokers.paper import dialect
from firstbell.brokers.paper.broker import PaperBroker
from firstbell.brokers.paper.latency import Latency
from firstbell.errors import NoAnswer, NotSent, Refused
from firstbell.market import calendar, fee_rate
from firstbell.model.identifiers import InstrumentId, VenueOrderId
from firstbell.model.instrument import Instrument
from firstbell.model.price_band import PriceBand
from firstbell.model.refusals import RefusalKind
from firstbell.model.terms import AttemptOutcome, OrderType, Side, TimeInForce
from firstbell.simulator.rules import Reason

if TYPE_CHECKING:
    from decimal import Decimal

ACCEPTED, REJECTED, UNRESOLVED = AttemptOutcome.ACCEPTED, AttemptOutcome.REJECTED, AttemptOutcome.UNRESOLVED
OPTION = Instrument(
    InstrumentId("BANKNIFTY2412545000CE"),
    "BANKNIFTY2412545000CE",
    "",
    PriceBand(D("0.05"), D(10_000)),
    D(25),
    D(900),
    D(25),
    reference_price=D("100.05"),
    tick_size=D("0.05"),
)


def row_of(broker: PaperBroker, name: VenueOrderId | None):
    (found,) = [row for row in (*broker.orders(broker_day(broker)),) if row.venue_order_id == name]
    return found


def broker_day(broker: PaperBroker):
    return broker.market.quote(FOLD).at.astimezone(broker.market.days.tz).date()


# Moved by hand


def test_a_quote_by_hand_is_what_is_shown() -> None:
    house = paper()
    house.market.set_quote(FOLD, bid=D(4860), ask=D(4880), bid_quantity=D(500), ask_quantity=D(700))
    quote = house.ali.quote(FOLD)
    assert (quote.bid, quote.ask, quote.bids[0].quantity, quote.asks[0].quantity) == (4860, 4880, 500, 700)
    house.market.set_quote(FOLD, ask=D(4881))
    quote = house.ali.quote(FOLD)
    assert (quote.bid, quote.ask) == (None, 4881)


def test_a_trade_by_hand_fills_whoever_stands_there_in_parts_and_at_the_price_he_asked_for() -> None:
    house = paper()
    name = house.ali.submit(asked(price=4870, quantity=1000)).venue_order_id
    house.market.trade(FOLD, D(4870), D(300))
    house.market.trade(FOLD, D(4860), D(400))
    row = row_of(house.ali, name)
    assert (row.filled_qty, row.working, row.avg_px) == (700, True, 4870)
    assert house.ali.quote(FOLD).last_price == 4860
    house.market.trade(FOLD, D(4871), D(10_000))
    assert row_of(house.ali, name).filled_qty == 700
    house.market.trade(FOLD, D(4870), D(10_000))
    fills = house.ali.fills(house.day)
    assert [each.fill.last_qty for each in fills] == [300, 400, 300]
    assert {each.venue_order_id for each in fills} == {name}
    assert [each.fill.fee for each in fills] == [q * 4870 * fee_rate("XTEH", Side.BUY) for q in (300, 400, 300)]
    assert house.ali.quote(FOLD).volume == 300 + 400 + 10_000 + 10_000
    # All of the crowd's orders that have ended are forgotten.
    assert len(house.market._venue.exchange.orders) == 1


def test_by_hand_only_what_the_exchange_takes() -> None:
    house = paper()
    with pytest.raises(ValueError, match="outside the band"):
        house.market.set_quote(FOLD, bid=D(9999))
    with pytest.raises(LookupError):
        house.market.trade(InstrumentId("NONE"), D(1), D(1))


def test_an_instrument_of_ones_own_with_a_tick_of_its_own() -> None:
    house = paper()
    house.market.list_instrument(OPTION)
    assert house.ali.instrument(OPTION.id).tick_size == D("0.05")
    wanted = asked(price="100.05", quantity=25, instrument=OPTION.id)
    assert house.ali.submit(wanted).outcome is ACCEPTED
    with pytest.raises(ValueError, match=r"move in steps of 0\.05"):
        house.ali.submit(asked(price="100.01", quantity=25, instrument=OPTION.id))
    house.market.list_instrument(replace(OPTION, lot_size=D(50)))
    outcome = house.ali.submit(asked(price="100.05", quantity=25, instrument=OPTION.id))
    assert (outcome.outcome, outcome.kind) == (REJECTED, RefusalKind.QUANTITY)


def test_a_symbol_leads_to_the_isin() -> None:
    house = paper()
    assert house.ali.instrument(InstrumentId("فولاد")).id == FOLD
    assert house.ali.quote(InstrumentId("فولاد")).instrument == FOLD
    outcome = house.ali.submit(asked(instrument=InstrumentId("فولاد")))
    assert row_of(house.ali, outcome.venue_order_id).instrument == FOLD


# Types and times in force


def test_a_market_order_takes_what_is_there_and_its_rest_is_canceled() -> None:
    house = paper()
    house.market.set_quote(FOLD, bid=D(4860), ask=D(4880), bid_quantity=D(500), ask_quantity=D(700))
    assert house.zahra.submit(asked(Side.SELL, 4900, 200)).outcome is ACCEPTED
    bought = row_of(house.ali, house.ali.submit(market_order(Side.BUY, 1000)).venue_order_id)
    assert (bought.filled_qty, bought.working, bought.status) == (900, False, "CANCELED")
    assert bought.avg_px == (700 * D(4880) + 200 * D(4900)) / 900
    sold = row_of(house.ali, house.ali.submit(market_order(Side.SELL, 500)).venue_order_id)
    assert (sold.filled_qty, sold.status) == (500, "FILLED")


def test_a_market_order_that_meets_nobody_is_refused() -> None:
    house = paper()
    outcome = house.ali.submit(market_order(Side.BUY, 1000))
    assert (outcome.outcome, outcome.code, outcome.again) == (REJECTED, dialect.NOBODY_THERE, False)
    assert outcome.kind is RefusalKind.NO_MARKET_ORDERS
    assert house.ali.orders(house.day) == ()


def test_a_market_order_is_never_paid_for_with_more_than_the_book_asks() -> None:
    """What it was valued at is ours alone, and does not go to the broker."""
    house = paper(money=D(5_000_000))
    house.market.set_quote(FOLD, ask=D(4880))
    assert b'"price":null' in dialect.new_order(market_order(Side.BUY, 1000))
    assert house.ali.submit(market_order(Side.BUY, 1000)).outcome is ACCEPTED
    assert house.ali.buying_power() == 5_000_000 - 1000 * 4880 * (1 + fee_rate("XTEH", Side.BUY))
    outcome = house.ali.submit(market_order(Side.BUY, 1000))
    assert (outcome.outcome, outcome.kind) == (REJECTED, RefusalKind.FUNDS)


@pytest.mark.parametrize(
    ("lasts", "filled", "status"),
    [
        (TimeInForce.DAY, 700, "PARTIALLY_FILLED"),
        (TimeInForce.GTC, 700, "PARTIALLY_FILLED"),
        (TimeInForce.IOC, 700, "CANCELED"),
        (TimeInForce.FOK, 0, "CANCELED"),
    ],
)
def test_what_meets_too_little(lasts: TimeInForce, filled: int, status: str) -> None:
    house = paper()
    house.market.set_quote(FOLD, ask=D(4880), ask_quantity=D(700))
    before = house.ali.buying_power()
    row = row_of(house.ali, house.ali.submit(asked(price=4880, time_in_force=lasts)).venue_order_id)
    assert (row.filled_qty, row.status, row.working) == (filled, status, status != "CANCELED")
    held = 1000 if row.working else filled
    assert before - house.ali.buying_power() == held * 4880 * (1 + fee_rate("XTEH", Side.BUY))


def test_all_or_none_is_all_where_there_is_enough() -> None:
    house = paper()
    house.market.set_quote(FOLD, ask=D(4880), ask_quantity=D(700))
    house.zahra.submit(asked(Side.SELL, 4885, 300))
    wanted = asked(price=4885, time_in_force=TimeInForce.FOK)
    assert row_of(house.ali, house.ali.submit(wanted).venue_order_id).filled_qty == 1000


def test_the_day_ends_at_midnight_and_only_what_is_good_till_canceled_stays() -> None:
    house = paper()
    day = house.day
    of_day = house.ali.submit(asked(price=4860)).venue_order_id
    lasting = house.ali.submit(asked(price=4861, time_in_force=TimeInForce.GTC)).venue_order_id
    house.clock.pass_by(timedelta(days=1))
    assert [row.venue_order_id for row in house.ali.open_orders()] == [lasting]
    rows = {row.venue_order_id: row.status for row in house.ali.orders(day)}
    assert rows == {of_day: "EXPIRED", lasting: "ACCEPTED"}
    assert [row.venue_order_id for row in house.ali.orders(house.day)] == [lasting]
    house.market.trade(FOLD, D(4861), D(5000))
    assert row_of(house.ali, lasting).status == "FILLED"
    assert [each.venue_order_id for each in house.ali.fills(house.day)] == [lasting]
    assert house.ali.fills(day) == ()
    house.clock.pass_by(timedelta(days=30))
    assert house.ali.orders(house.day) == house.ali.orders(day) == ()
    assert house.market._venue.exchange.orders == {}
    held = {each.instrument: each.quantity for each in house.ali.positions()}
    assert held == {FOLD: 1_001_000}


def test_before_the_bell_the_market_takes_no_orders_and_after_it_an_order_waits_for_the_opening() -> None:
    clock = HandClock()
    clock.pass_by(-timedelta(hours=3, minutes=20))
    house = paper(clock, days=calendar("XTEH"))
    early = house.ali.submit(asked())
    assert (early.outcome, early.again, early.too_early, early.kind) == (
        REJECTED,
        True,
        True,
        RefusalKind.MARKET_CLOSED,
    )
    clock.pass_by(timedelta(minutes=6))
    opening = asked(price=4880, quantity=700, time_in_force=TimeInForce.AT_THE_OPEN)
    name = house.ali.submit(opening).venue_order_id
    now = house.ali.submit(asked(time_in_force=TimeInForce.IOC))
    assert (now.outcome, now.code) == (REJECTED, dialect.CODES[Reason.WRONG_TIME_IN_FORCE])
    house.zahra.submit(asked(Side.SELL, 4870, 300))
    clock.pass_by(timedelta(minutes=20))
    row = row_of(house.ali, name)
    assert (row.filled_qty, row.status) == (300, "CANCELED")
    late = house.ali.submit(asked(time_in_force=TimeInForce.AT_THE_OPEN))
    assert (late.outcome, late.code) == (REJECTED, dialect.CODES[Reason.WRONG_TIME_IN_FORCE])


# Names, changes, intervals


def test_the_same_name_twice_is_said_to_be_there_and_that_is_no_refusal() -> None:
    """Whoever lost the first answer would take a refusal for proof that nothing is there."""
    house = paper()
    wanted = asked()
    house.ali.submit(wanted)
    again = house.ali.submit(wanted)
    assert (again.outcome, again.code) == (UNRESOLVED, dialect.CODES[Reason.DUPLICATE])
    assert len(house.ali.orders(house.day)) == 1
    # Another account may use the same name, and a market order with nobody there is still a duplicate.
    assert house.zahra.submit(wanted).outcome is ACCEPTED
    market = replace(wanted, order_type=OrderType.MARKET, side=Side.SELL)
    assert house.ali.submit(replace(market, side=Side.BUY)).code == dialect.CODES[Reason.DUPLICATE]


def test_a_change_keeps_what_has_traded_in_the_quantity() -> None:
    house = paper()
    wanted = asked(price=4870, quantity=1000)
    name = house.ali.submit(wanted).venue_order_id
    assert name is not None
    house.market.trade(FOLD, D(4870), D(300))
    assert house.ali.replace(name, replace(wanted, price=D(4865), quantity=D(800))).outcome is ACCEPTED
    (row,) = house.ali.open_orders()
    assert (row.price, row.quantity, row.filled_qty) == (4865, 800, 300)
    outcome = house.ali.replace(name, replace(wanted, quantity=D(300)))
    assert (outcome.outcome, outcome.kind) == (REJECTED, RefusalKind.QUANTITY)
    house.ali.cancel(name)
    assert house.ali.replace(name, wanted).code == dialect.CODES[Reason.UNKNOWN_ORDER]
    with pytest.raises(Refused) as caught:
        house.ali.cancel(name)
    assert caught.value.code == dialect.CODES[Reason.UNKNOWN_ORDER]
    with pytest.raises(ValueError, match="not the number of an order"):
        house.ali.cancel(VenueOrderId("x"))


def test_nobody_can_touch_anothers_order() -> None:
    house = paper()
    name = house.ali.submit(asked()).venue_order_id
    assert name is not None
    with pytest.raises(Refused):
        house.zahra.cancel(name)
    assert house.zahra.replace(name, asked()).outcome is REJECTED
    assert house.zahra.orders(house.day) == ()


def test_two_orders_of_one_account_keep_their_distance() -> None:
    house = paper(min_interval_ns=300_000_000)
    house.ali.submit(asked())
    soon = house.ali.submit(asked())
    assert (soon.outcome, soon.again, soon.kind) == (REJECTED, True, RefusalKind.RATE)
    assert house.zahra.submit(asked()).outcome is ACCEPTED
    house.clock.sleep(0.3)
    assert house.ali.submit(asked()).outcome is ACCEPTED


@pytest.mark.parametrize(
    ("order", "kind"),
    [
        (asked(price=5020), RefusalKind.PRICE),
        (asked(quantity=400_001), RefusalKind.QUANTITY_TOO_LARGE),
        (asked(Side.SELL, quantity=300_000, instrument=InstrumentId("IRO1MHRN0001"), price=5690), None),
        (asked(instrument=InstrumentId("IRO1NONE0001")), RefusalKind.OTHER),
        (asked(time_in_force=TimeInForce.AT_THE_CLOSE), RefusalKind.OTHER),
    ],
)
def test_what_a_refusal_is_about(order, kind) -> None:
    house = paper()
    outcome = house.ali.submit(order)
    assert outcome.outcome is REJECTED
    assert outcome.message
    assert outcome.kind is (kind or RefusalKind.QUANTITY_TOO_LARGE)
    assert house.ali.orders(house.day) == ()


def test_a_stop_is_not_for_paper() -> None:
    house = paper()
    with pytest.raises(ValueError, match="no order of type stop"):
        house.ali.submit(asked(order_type=OrderType.STOP))


# Time and tokens


def test_a_call_takes_its_time_there_and_back() -> None:
    house = paper()
    slow = PaperBroker(house.market, "ali", latency=Latency(5_000_000, 2_000_000, seed=3))
    took = set()
    for _ in range(50):
        began = house.clock.now_ns
        answer = slow.send(_prepared(slow), timeout_s=1)
        took.add(house.clock.now_ns - began)
        assert answer.round_trip_ns == house.clock.now_ns - began
        assert answer.sent_ns == began
    assert len(took) > 40
    assert 3_000_000 <= min(took) < 3_500_000
    assert 6_500_000 < max(took) <= 7_000_001
    with pytest.raises(ValueError, match="cannot vary"):
        Latency(1, 2)


def _prepared(broker: PaperBroker, **changed):
    broker.login()
    return broker.prepare(asked(**changed))


def test_an_answer_that_does_not_come_in_time_leaves_the_order_there() -> None:
    house = paper()
    slow = PaperBroker(house.market, "ali", latency=Latency(5_000_000))
    with pytest.raises(NoAnswer):
        slow.send(_prepared(slow), timeout_s=0.002)
    assert len(house.ali.open_orders()) == 1


def test_a_token_ends_after_an_hour() -> None:
    house = paper()
    first = house.ali.login()
    house.clock.pass_by(timedelta(minutes=59))
    assert house.ali.login() == first
    assert house.ali.login(lasting_until=first.ends_at + timedelta(seconds=1)).text != first.text
    house.clock.pass_by(timedelta(hours=2))
    assert not house.ali.is_logged_in
    with pytest.raises(NotSent):
        house.ali.prepare(asked())


def test_an_estimate_is_what_can_be_paid_in_whole_lots() -> None:
    house = paper()
    said = house.ali.estimate(FOLD, Side.BUY, D(1_000_000), D(4870))
    assert said is not None
    assert (said.quantity, said.net_amount) == (204, 204 * D(4870) * (1 + fee_rate("XTEH", Side.BUY)))
    assert house.ali.estimate(FOLD, Side.BUY, D(-5), D(4870)).quantity <= 0


# By itself


def test_an_order_at_the_touch_fills_in_several_parts_over_time() -> None:
    house = paper(liquidity=D(10_000))
    bid = house.ali.quote(FOLD).bid
    assert bid is not None
    name = house.ali.submit(asked(price=bid, quantity=60_000)).venue_order_id
    seen = []
    for _ in range(1200):
        house.clock.sleep(0.25)
        seen.append(row_of(house.ali, name).filled_qty)
    assert seen[0] < 60_000
    assert seen == sorted(seen)
    assert len(set(seen)) >= 4
    fills = house.ali.fills(house.day)
    assert sum(each.fill.last_qty for each in fills) == seen[-1]
    assert all(each.fill.last_px == bid for each in fills)


def test_the_crowd_shows_five_levels_a_side_and_trades_by_itself() -> None:
    house = paper(liquidity=D(5000))
    volumes = []
    for _ in range(120):
        quote = house.ali.quote(FOLD)
        volumes.append(quote.volume)
        book = house.market._venue.listing(FOLD).book
        assert len(list(book.levels(Side.BUY))) <= 5
        assert len(list(book.levels(Side.SELL))) <= 5
        house.clock.sleep(0.5)
    assert volumes == sorted(volumes)
    assert len(set(volumes)) > 50


def test_it_is_the_same_market_however_often_it_is_looked_at() -> None:
    often, once = paper(liquidity=D(5000)), paper(liquidity=D(5000))
    assert often.ali.quote(FOLD) == once.ali.quote(FOLD)
    for _ in range(40):
        often.clock.sleep(0.25)
        often.ali.quote(FOLD)
    once.clock.sleep(10)
    assert often.ali.quote(FOLD) == once.ali.quote(FOLD)


def test_the_same_seed_makes_the_same_market() -> None:
    def story(seed: int) -> list[tuple[Decimal | None, Decimal | None, Decimal | None]]:
        house = paper(liquidity=D(5000), seed=seed)
        seen = []
        for _ in range(40):
            quote = house.ali.quote(FOLD)
            seen.append((quote.bid, quote.ask, quote.volume))
            house.clock.sleep(0.7)
        return seen

    assert story(1) == story(1) != story(2)


@given(st.lists(st.integers(1, 10**11), max_size=12), st.integers(0, 5))
def test_what_the_crowd_shows_is_always_a_market(passed: list[int], seed: int) -> None:
    """A bid below an ask, inside the band, on ticks, in whole lots; and a long absence is made up for quickly."""
    house = paper(liquidity=D(500), seed=seed)
    for isin in (FOLD, InstrumentId("IRO1MHRN0001")):
        for span in passed:
            house.clock.now_ns += span
            quote = house.ali.quote(isin)
            band = house.ali.instrument(isin).band
            assert quote.bids or quote.asks
            assert quote.bid is None or quote.ask is None or quote.bid < quote.ask
            for level in (*quote.bids, *quote.asks):
                assert band.holds(level.price)
                assert level.price % (10 if level.price >= 5000 else 1) == 0
                assert level.quantity > 0
    # The crowd's own orders are the only ones, and they are few.
    assert len(house.market._venue.exchange.orders) < 200


def test_after_a_trade_by_hand_the_market_is_where_it_was_moved_to() -> None:
    house = paper(liquidity=D(5000))
    house.ali.quote(FOLD)
    house.market.trade(FOLD, D(4750), D(100))
    house.clock.sleep(5)
    bid = house.ali.quote(FOLD).bid
    assert bid is not None
    assert abs(bid - 4750) < 60
    house.market.set_quote(FOLD, bid=D(4900))
    house.clock.sleep(5)
    assert house.ali.quote(FOLD).bid == 4900
    house.market.release(FOLD)
    house.clock.sleep(5)
    assert house.ali.quote(FOLD).ask is not None


AMOUNTS = st.tuples(st.sampled_from(list(Side)), st.integers(4860, 4880), st.integers(1, 900), st.booleans())


@given(st.lists(AMOUNTS, max_size=30))
def test_money_and_shares_are_never_made_or_lost(orders: list[tuple[Side, int, int, bool]]) -> None:
    """What an account has is what it began with and what its fills say, to the last part of a rial."""
    house = paper(money=D(10**9), holdings={FOLD: D(5000)})
    for number, (side, price, quantity, by_ali) in enumerate(orders):
        broker = house.ali if by_ali else house.zahra
        broker.submit(asked(side, price, quantity))
        if number % 3 == 0:
            house.market.trade(FOLD, D(price), D(quantity))
    for broker in (house.ali, house.zahra):
        for row in broker.open_orders():
            broker.cancel(row.venue_order_id)
        money, shares = D(10**9), D(5000)
        for each in broker.fills(house.day):
            sign = 1 if each.side is Side.BUY else -1
            assert each.fill.fee is not None
            money -= sign * each.fill.last_px * each.fill.last_qty + each.fill.fee
            shares += sign * each.fill.last_qty
        assert broker.buying_power() == money
        assert sum(each.quantity for each in broker.positions()) == shares
        filled = sum(row.filled_qty for row in broker.orders(house.day))
        assert filled == sum(each.fill.last_qty for each in broker.fills(house.day))


def test_two_thousand_working_orders_are_all_listed() -> None:
    house = paper(money=D(10**13))
    for _ in range(2000):
        assert house.ali.submit(asked(price=4800, quantity=1)).outcome is ACCEPTED
    assert len(house.ali.open_orders()) == len(house.ali.orders(house.day)) == 2000


# The dialect


def test_an_order_is_written_and_read_back() -> None:
    wanted = asked(price="100.05", quantity=25, time_in_force=TimeInForce.GTC)
    read = dialect.read_new_order(dialect.new_order(wanted))
    assert (read.client_order_id, read.instrument, read.side, read.price, read.quantity) == (
        wanted.client_order_id,
        wanted.instrument,
        wanted.side,
        wanted.price,
        wanted.quantity,
    )
    assert (read.order_type, read.time_in_force) == (OrderType.LIMIT, TimeInForce.GTC)


@pytest.mark.parametrize(
    "changed",
    [
        {"side": "both"},
        {"price": None},
        {"order_type": "market"},
        {"order_type": "stop", "price": None},
        {"price": 4870},
        {"quantity": "NaN"},
        {"instrument": None},
        {"time_in_force": "soon"},
    ],
)
def test_what_is_no_order_is_refused_and_nowhere(changed) -> None:
    house = paper()
    prepared = _prepared(house.ali)
    body = json.dumps({**json.loads(prepared.body), **changed}).encode()
    answer = house.ali.send(replace(prepared, body=body), timeout_s=1)
    outcome = house.ali.read_answer(answer.status, {}, answer.body)
    assert (outcome.outcome, outcome.code, outcome.again) == (REJECTED, dialect.MALFORMED, False)
    assert house.ali.orders(house.day) == ()


YES = {"accepted": True, "order_id": "17"}
NO = {"accepted": False, "code": 111, "message": "m"}


@pytest.mark.parametrize(
    ("status", "said", "outcome"),
    [
        (200, YES, ACCEPTED),
        (201, YES, UNRESOLVED),
        (422, YES, UNRESOLVED),
        (401, YES, UNRESOLVED),
        (200, {**YES, "accepted": "true"}, UNRESOLVED),
        (200, {**YES, "accepted": 1}, UNRESOLVED),
        (200, {**YES, "order_id": 17}, UNRESOLVED),
        (200, {**YES, "order_id": ""}, UNRESOLVED),
        (200, {**YES, "order_id": "0"}, UNRESOLVED),
        (200, {**YES, "order_id": "۱۷"}, UNRESOLVED),
        (200, {**YES, "code": 111}, UNRESOLVED),
        (200, {"accepted": True}, UNRESOLVED),
        (422, NO, REJECTED),
        (200, NO, UNRESOLVED),
        (500, NO, UNRESOLVED),
        (422, {**NO, "code": 999}, UNRESOLVED),
        (422, {**NO, "code": "111"}, UNRESOLVED),
        (422, {**NO, "code": True}, UNRESOLVED),
        (422, {**NO, "order_id": "17"}, UNRESOLVED),
        (422, {**NO, "accepted": None}, UNRESOLVED),
        (422, {**NO, "code": dialect.CODES[Reason.DUPLICATE]}, UNRESOLVED),
        (422, [NO], UNRESOLVED),
        (401, {}, REJECTED),
        (429, {}, UNRESOLVED),
    ],
)
def test_an_answer_means_only_what_it_says(status, said, outcome) -> None:
    assert dialect.read_order_answer(status, json.dumps(said).encode()).outcome is outcome


def test_every_reason_has_a_code_of_its_own_and_only_two_are_worth_another_try() -> None:
    assert set(dialect.CODES) == set(Reason)
    codes = [*dialect.CODES.values(), dialect.MALFORMED, dialect.NOBODY_THERE]
    assert len(set(codes)) == len(codes)
    for code, status in itertools.product(codes, (422,)):
        body = dialect.refused(code, "m")[1]
        outcome = dialect.read_order_answer(status, body)
        assert outcome.again is (code in {101, 102})
        assert outcome.too_early is (code == 101)
