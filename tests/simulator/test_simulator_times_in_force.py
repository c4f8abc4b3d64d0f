"""What the venue does with orders that do not stay a day, with names, with days that follow, and with coming back."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbell.errors import SimulatorError
from firstbell.market import Phase
from firstbell.model.identifiers import InstrumentId
from firstbell.model.instrument import Instrument
from firstbell.model.order_status import OrderStatus
from firstbell.model.price_band import PriceBand
from firstbell.model.terms import Side, TimeInForce
from firstbell.simulator.exchange import Exchange
from firstbell.simulator.listings import read_instruments, tehran_instruments
from firstbell.simulator.orders import ExchangeOrder, OrderRequest, Trade
from firstbell.simulator.rules import Reason, Refusal, Rules
from firstbell.simulator.schedule import Schedule

S = 10**9
D = Decimal
MHRN = InstrumentId("IRO1MHRN0001")
INSTRUMENT = Instrument(MHRN, "مهرگان", "", PriceBand(D(5000), D(5860)), D(1), D(200_000), D(1), D(5690))
BELL, OPEN, END = 10 * S, 30 * S, 60 * S
BUY_FEE = D("1.003712")


def day(number: int) -> Schedule:
    later = number * 100 * S
    return Schedule(
        (
            (BELL + later, Phase.ORDER_ENTRY),
            (OPEN + later, Phase.AUCTION),
            (OPEN + later, Phase.CONTINUOUS),
            (END + later, Phase.CLOSED),
        )
    )


def opened(**more: object) -> Exchange:
    rules = Rules(min_interval_ns=0, min_value=D(0))
    exchange = Exchange([INSTRUMENT], day(0), rules=rules, **more)  # type: ignore[arg-type]
    for name in ("ali", "zahra"):
        exchange.open_account(name, D(1_000_000_000), {MHRN: D(1_000)})
    return exchange


@pytest.fixture
def venue() -> Exchange:
    return opened()


def asked(
    side: Side, price: int, quantity: int, lasts: TimeInForce = TimeInForce.DAY, name: str | None = None
) -> OrderRequest:
    return OrderRequest(MHRN, side, D(price), D(quantity), lasts, name)


def taken(result: ExchangeOrder | Refusal) -> ExchangeOrder:
    assert isinstance(result, ExchangeOrder), result
    return result


def why(result: ExchangeOrder | Refusal) -> Reason:
    assert isinstance(result, Refusal), result
    return result.reason


@pytest.mark.parametrize(
    ("lasts", "offered", "filled"),
    [
        (TimeInForce.IOC, 0, 0),
        (TimeInForce.IOC, 6, 6),
        (TimeInForce.IOC, 10, 10),
        (TimeInForce.FOK, 9, 0),
        (TimeInForce.FOK, 10, 10),
    ],
)
def test_at_once_or_not_at_all(venue: Exchange, lasts: TimeInForce, offered: int, filled: int) -> None:
    for price, part in ((5690, offered // 2), (5700, offered - offered // 2)):
        if part:
            venue.submit("zahra", asked(Side.SELL, price, part), OPEN)
    venue.submit("zahra", asked(Side.SELL, 5710, 100), OPEN)
    order = taken(venue.submit("ali", asked(Side.BUY, 5700, 10, lasts), OPEN))
    assert order.filled_qty == filled
    assert order.status is (OrderStatus.FILLED if filled == 10 else OrderStatus.CANCELED)
    assert order.ended_at == OPEN
    assert order.serial not in venue.listings[MHRN].book
    assert venue.accounts["ali"].reserved_money == 0
    assert venue.accounts["ali"].buying_power == 1_000_000_000 - order.filled_value * BUY_FEE


@pytest.mark.parametrize(
    ("lasts", "now"),
    [
        (TimeInForce.IOC, BELL),
        (TimeInForce.FOK, BELL),
        (TimeInForce.AT_THE_OPEN, OPEN),
        (TimeInForce.GTD, OPEN),
        (TimeInForce.AT_THE_CLOSE, BELL),
    ],
)
def test_what_cannot_be_done_now_is_refused(venue: Exchange, lasts: TimeInForce, now: int) -> None:
    assert why(venue.submit("ali", asked(Side.BUY, 5690, 10, lasts), now)) is Reason.WRONG_TIME_IN_FORCE


def test_what_is_for_the_opening_ends_with_it(venue: Exchange) -> None:
    order = taken(venue.submit("ali", asked(Side.BUY, 5690, 10, TimeInForce.AT_THE_OPEN), BELL))
    other = taken(venue.submit("ali", asked(Side.BUY, 5680, 10), BELL))
    venue.submit("zahra", asked(Side.SELL, 5690, 4), BELL)
    venue.advance(OPEN)
    assert (order.filled_qty, order.status, order.ended_at) == (4, OrderStatus.CANCELED, OPEN)
    assert other.working


def test_a_name_may_be_given_once_and_is_free_again_when_its_order_is_forgotten(venue: Exchange) -> None:
    order = taken(venue.submit("ali", asked(Side.BUY, 5690, 10, name="a"), BELL))
    again = venue.submit("ali", asked(Side.BUY, 5600, 99, name="a"), BELL)
    assert why(again) is Reason.DUPLICATE
    assert f"order {order.serial}" in again.detail  # type: ignore[union-attr]
    assert taken(venue.submit("zahra", asked(Side.BUY, 5690, 10, name="a"), BELL)).serial != order.serial
    assert venue.named("ali", "a") is order
    with pytest.raises(SimulatorError):
        venue.forget(order)
    venue.cancel("ali", order.serial, OPEN)
    assert why(venue.submit("ali", asked(Side.BUY, 5690, 10, name="a"), OPEN)) is Reason.DUPLICATE
    venue.forget(order)
    assert venue.named("ali", "a") is None
    assert venue.orders_of("ali") == ()
    assert taken(venue.submit("ali", asked(Side.BUY, 5690, 10, name="a"), OPEN)).number_of_account == 2


def test_the_next_day_keeps_what_is_good_till_canceled_and_its_place(venue: Exchange) -> None:
    of_day = taken(venue.submit("ali", asked(Side.BUY, 5690, 10), OPEN))
    lasting = taken(venue.submit("ali", asked(Side.BUY, 5690, 10, TimeInForce.GTC), OPEN))
    venue.submit("zahra", asked(Side.SELL, 5690, 3), OPEN)
    venue.next_day(day(1))
    assert (of_day.status, of_day.ended_at, lasting.status) == (OrderStatus.EXPIRED, END, OrderStatus.ACCEPTED)
    listing = venue.listings[MHRN]
    assert (listing.reference, listing.volume, listing.value) == (5690, 0, 0)
    assert why(venue.submit("zahra", asked(Side.SELL, 5690, 4), 105 * S)) is Reason.MARKET_CLOSED
    # Before the second day's own opening nothing trades.
    venue.submit("zahra", asked(Side.SELL, 5600, 4), 115 * S)
    assert lasting.filled_qty == 0
    venue.advance(131 * S)
    assert lasting.filled_qty == 4
    venue.advance(161 * S)
    assert lasting.working
    assert venue.accounts["ali"].reserved_money == 6 * 5690 * BUY_FEE


def test_whoever_listens_is_told_of_every_change_and_every_trade() -> None:
    orders: list[tuple[int, str]] = []
    trades: list[Trade] = []
    venue = opened(on_order=lambda order: orders.append((order.serial, order.status.value)), on_trade=trades.append)
    first = taken(venue.submit("ali", asked(Side.BUY, 5690, 10), OPEN))
    venue.submit("zahra", asked(Side.SELL, 5690, 4), OPEN)
    venue.edit("ali", first.serial, D(5690), D(8), OPEN)
    venue.cancel("ali", first.serial, OPEN)
    assert orders[0] == (1, "ACCEPTED")
    assert {status for serial, status in orders if serial == 1} == {"ACCEPTED", "PARTIALLY_FILLED", "CANCELED"}
    assert orders[-1] == (1, "CANCELED")
    assert [(trade.number, trade.quantity) for trade in trades] == [(1, 4)]
    # What is told is not kept as well.
    assert venue.trades == []


def test_whoever_is_unbound_needs_neither_money_nor_shares_nor_pauses() -> None:
    venue = Exchange([INSTRUMENT], day(0))
    venue.open_account("crowd", D(0)).unbound = True
    for _ in range(3):
        taken(venue.submit("crowd", asked(Side.SELL, 5690, 200_000), OPEN))
    taken(venue.submit("crowd", asked(Side.BUY, 5680, 200_000), OPEN))


def test_an_instruments_own_tick_goes_before_the_markets(venue: Exchange) -> None:
    fine = replace(INSTRUMENT, id=InstrumentId("OPT"), band=PriceBand(D("0.05"), D(900)), tick_size=D("0.05"))
    venue.list_instrument(replace(fine, reference_price=D(100)))
    venue.open_account("x", D(10**9))
    bid = OrderRequest(fine.id, Side.BUY, D("100.05"), D(10))
    assert taken(venue.submit("x", bid, OPEN)).price == D("100.05")
    assert why(venue.submit("x", replace(bid, price=D("100.01")), OPEN)) is Reason.OFF_TICK
    assert why(venue.submit("x", replace(bid, price=D("100.05"), instrument=MHRN), OPEN)) is Reason.OUTSIDE_BAND
    listing = venue.list_instrument(replace(fine, reference_price=D(200)))
    assert (listing.reference, len(listing.book)) == (100, 1)
    with pytest.raises(SimulatorError):
        venue.list_instrument(replace(fine, id=InstrumentId("X"), reference_price=None))


def test_a_table_may_have_ticks_and_expiries() -> None:
    head = "isin,symbol,name,reference_price,band_low,band_high,min_order,max_order,lot_size"
    (found,) = read_instruments(f"{head},tick_size,expiry\nOPT,O,an option,100,1,900,25,900,25,0.05,2026-12-24\n")
    assert (found.tick_size, found.expiry is not None and found.expiry.isoformat()) == (D("0.05"), "2026-12-24")
    (plain,) = read_instruments(f"{head}\nABC,A,,10,5,15,1,900,1\n")
    assert (plain.tick_size, plain.expiry) == (None, None)
    assert all(each.tick_size is None for each in tehran_instruments())


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ali", "zahra"]),
        st.sampled_from(list(Side)),
        st.integers(565, 572),
        st.integers(1, 90),
        st.sampled_from([TimeInForce.DAY, TimeInForce.GTC, TimeInForce.IOC]),
        st.integers(0, 4),
    ),
    max_size=20,
)


@given(STEPS, STEPS)
def test_a_venue_that_came_back_goes_on_as_if_it_had_never_left(
    before: list[tuple[str, Side, int, int, TimeInForce, int]],
    after: list[tuple[str, Side, int, int, TimeInForce, int]],
) -> None:
    first = opened()
    _live(first, before)
    second = Exchange([INSTRUMENT], day(0), rules=first.rules)
    second.restore(
        deepcopy(list(first.accounts.values())),
        deepcopy(list(first.orders.values())),
        now=first.now,
        next_serial=first.next_serial,
        next_trade=first.next_trade,
        opened=first.opened,
    )
    first.trades.clear()
    for venue in (first, second):
        _live(venue, after)
    assert first.orders == second.orders
    assert first.accounts == second.accounts
    assert first.trades == second.trades


def _live(venue: Exchange, steps: list[tuple[str, Side, int, int, TimeInForce, int]]) -> None:
    now = max(venue.now, OPEN)
    for name, side, tens, quantity, lasts, then in steps:
        order = venue.submit(name, asked(side, tens * 10, quantity, lasts), now)
        working = [each for each in venue.orders_of(name) if each.working]
        if then == 1 and working:
            venue.cancel(name, working[0].serial, now)
        elif then == 2 and working:
            venue.edit(name, working[-1].serial, working[-1].price, working[-1].quantity + 5, now)
        del order
