"""The venue: phases, refusals, reservations, changes."""

from __future__ import annotations

from decimal import Decimal

import pytest

from firstbell.errors import SimulatorError
from firstbell.market import Phase
from firstbell.model.identifiers import InstrumentId
from firstbell.model.instrument import Instrument
from firstbell.model.order_status import OrderStatus
from firstbell.model.price_band import PriceBand
from firstbell.model.terms import Side
from firstbell.simulator.exchange import Exchange
from firstbell.simulator.listings import tehran_instruments
from firstbell.simulator.orders import ExchangeOrder, OrderRequest
from firstbell.simulator.rules import Reason, Refusal, Rules
from firstbell.simulator.schedule import Schedule

MS = 1_000_000
MHRN = InstrumentId("IRO1MHRN0001")
INSTRUMENT = Instrument(
    MHRN, "مهرگان", "", PriceBand(Decimal(4980), Decimal(5860)), Decimal(2), Decimal(200_000), Decimal(2), Decimal(5690)
)
BELL, NO_CANCEL, OPEN, PAUSE, AT_CLOSE, END = (n * 1_000 * MS for n in (10, 20, 30, 40, 50, 60))
DAY = Schedule(
    (
        (BELL, Phase.ORDER_ENTRY),
        (NO_CANCEL, Phase.NO_CANCEL),
        (OPEN, Phase.AUCTION),
        (OPEN, Phase.CONTINUOUS),
        (PAUSE, Phase.CLOSED),
        (AT_CLOSE, Phase.AT_CLOSE),
        (END, Phase.CLOSED),
    )
)
BUY_FEE, SELL_FEE = Decimal("1.003712"), Decimal("0.9912")
EASY = Rules(min_interval_ns=0, min_value=Decimal(0))


@pytest.fixture
def venue() -> Exchange:
    """A venue with two accounts of a billion rials and a thousand shares each, and no interval or least value."""
    return opened(EASY)


def opened(rules: Rules | None = None) -> Exchange:
    exchange = Exchange([INSTRUMENT], DAY, rules=rules)
    for name in ("ali", "zahra"):
        exchange.open_account(name, Decimal(1_000_000_000), {MHRN: Decimal(1_000)})
    return exchange


def asked(side: Side, price: int | str, quantity: int | str, isin: str = MHRN) -> OrderRequest:
    return OrderRequest(InstrumentId(isin), side, Decimal(price), Decimal(quantity))


def buy(price: int | str, quantity: int | str) -> OrderRequest:
    return asked(Side.BUY, price, quantity)


def sell(price: int | str, quantity: int | str) -> OrderRequest:
    return asked(Side.SELL, price, quantity)


def taken(result: ExchangeOrder | Refusal) -> ExchangeOrder:
    assert isinstance(result, ExchangeOrder), result
    return result


def why(result: ExchangeOrder | Refusal) -> Reason:
    assert isinstance(result, Refusal), result
    return result.reason


# --- phases


def test_orders_are_taken_from_the_bell_on_and_not_a_nanosecond_before(venue: Exchange) -> None:
    assert why(venue.submit("ali", buy(5690, 10), BELL - 1)) is Reason.MARKET_CLOSED
    assert taken(venue.submit("ali", buy(5690, 10), BELL)).created_at == BELL


@pytest.mark.parametrize(
    ("now", "taking"), [(NO_CANCEL, True), (OPEN, True), (PAUSE, False), (END, False), (END + 10**12, False)]
)
def test_each_phase_takes_orders_or_does_not(venue: Exchange, now: int, taking: bool) -> None:
    result = venue.submit("ali", buy(5690, 10), now)
    assert isinstance(result, ExchangeOrder) is taking
    assert taking or why(result) is Reason.MARKET_CLOSED


def test_before_the_auction_nothing_can_be_changed_or_canceled(venue: Exchange) -> None:
    order = taken(venue.submit("ali", buy(5690, 10), BELL))
    assert why(venue.cancel("ali", order.serial, NO_CANCEL)) is Reason.NO_CHANGES_NOW
    assert why(venue.edit("ali", order.serial, Decimal(5690), Decimal(8), OPEN - 1)) is Reason.NO_CHANGES_NOW
    assert taken(venue.cancel("ali", order.serial, OPEN)).status is OrderStatus.CANCELED


def test_nothing_can_be_changed_while_the_market_is_closed(venue: Exchange) -> None:
    order = taken(venue.submit("ali", buy(5690, 10), BELL))
    assert why(venue.cancel("ali", order.serial, PAUSE)) is Reason.MARKET_CLOSED
    assert why(venue.edit("ali", order.serial, Decimal(5690), Decimal(8), PAUSE)) is Reason.MARKET_CLOSED


def test_crossing_orders_wait_for_the_auction_and_trade_at_its_one_price(venue: Exchange) -> None:
    high = taken(venue.submit("ali", buy(5860, 10), BELL))
    low = taken(venue.submit("zahra", sell(5520, 10), BELL + 1))
    venue.advance(OPEN - 1)
    assert venue.trades == []
    venue.advance(OPEN)
    assert [(t.price, t.quantity, t.at, t.buy, t.sell) for t in venue.trades] == [
        (Decimal(5690), Decimal(10), OPEN, high.serial, low.serial)
    ]
    assert high.status is low.status is OrderStatus.FILLED


def test_in_continuous_trading_orders_trade_as_they_meet(venue: Exchange) -> None:
    first = taken(venue.submit("zahra", sell(5700, 10), OPEN))
    second = taken(venue.submit("ali", buy(5710, 4), OPEN + 1))
    assert (first.status, first.filled_qty, first.leaves_qty) == (OrderStatus.PARTIALLY_FILLED, 4, 6)
    assert (second.status, second.filled_value) == (OrderStatus.FILLED, 4 * 5700)
    assert venue.listings[MHRN].last_price == 5700


def test_at_the_close_orders_name_the_closing_price_and_trade_at_it(venue: Exchange) -> None:
    venue.submit("zahra", sell(5700, 10), OPEN)
    venue.submit("ali", buy(5700, 10), OPEN)
    venue.submit("zahra", sell(5740, 20), OPEN)
    venue.submit("ali", buy(5740, 20), OPEN)
    waiting = taken(venue.submit("ali", buy(5680, 10), OPEN))
    better = taken(venue.submit("zahra", sell(5760, 10), OPEN))
    # (10 × 5,700 + 20 × 5,740) / 30 = 5,726.7, and the tick is 10.
    venue.advance(AT_CLOSE)
    assert venue.listings[MHRN].closing_price == 5730
    assert why(venue.submit("ali", buy(5740, 10), AT_CLOSE)) is Reason.NOT_CLOSING_PRICE
    venue.submit("ali", buy(5730, 10), AT_CLOSE)
    venue.submit("zahra", sell(5730, 6), AT_CLOSE)
    assert [(t.price, t.quantity) for t in venue.trades[2:]] == [(Decimal(5730), Decimal(6))]
    assert waiting.status is better.status is OrderStatus.ACCEPTED


def test_a_resting_order_with_a_better_limit_trades_at_the_closing_price(venue: Exchange) -> None:
    resting = taken(venue.submit("ali", buy(5750, 10), OPEN))
    venue.submit("zahra", sell(5690, 10), AT_CLOSE)
    assert venue.listings[MHRN].closing_price == 5690
    assert (resting.filled_qty, resting.filled_value) == (10, 56_900)


def test_what_still_works_at_the_days_end_expires_and_releases(venue: Exchange) -> None:
    bought = taken(venue.submit("ali", buy(5600, 10), OPEN))
    sold = taken(venue.submit("zahra", sell(5700, 10), OPEN))
    venue.advance(END)
    assert bought.status is sold.status is OrderStatus.EXPIRED
    assert bought.canceled_qty == 10
    assert venue.accounts["ali"].buying_power == 1_000_000_000
    assert venue.accounts["zahra"].sellable(MHRN) == 1_000


def test_time_never_runs_backward(venue: Exchange) -> None:
    venue.advance(OPEN)
    assert venue.advance(BELL) is Phase.CONTINUOUS
    assert taken(venue.submit("ali", buy(5600, 10), BELL)).created_at == OPEN


def test_an_exchange_opened_in_the_middle_of_the_day_is_in_the_middle_of_the_day(venue: Exchange) -> None:
    assert venue.phase is Phase.CLOSED
    assert venue.advance(PAUSE - 1) is Phase.CONTINUOUS
    assert venue.trades == []


# --- refusals


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (buy(5870, 10), Reason.OUTSIDE_BAND),
        (buy(4979, 10), Reason.OUTSIDE_BAND),
        (buy(5695, 10), Reason.OFF_TICK),
        (buy("4990.5", 10), Reason.OFF_TICK),
        (buy(5690, 0), Reason.WRONG_QUANTITY),
        (buy(5690, -2), Reason.WRONG_QUANTITY),
        (buy(5690, 3), Reason.WRONG_QUANTITY),
        (buy(5690, "2.5"), Reason.WRONG_QUANTITY),
        (buy(5690, 200_002), Reason.QUANTITY_TOO_LARGE),
        (buy(5860, 200_000), Reason.NOT_ENOUGH_MONEY),
        (sell(5690, 1_002), Reason.NOT_ENOUGH_SHARES),
        (asked(Side.BUY, 5690, 10, "IRO1NONE0001"), Reason.UNKNOWN_INSTRUMENT),
    ],
)
def test_every_unfit_order_is_refused_with_its_reason(venue: Exchange, request_: OrderRequest, reason: Reason) -> None:
    assert why(venue.submit("ali", request_, BELL)) is reason
    assert venue.orders == {}
    assert venue.accounts["ali"].buying_power == 1_000_000_000
    assert venue.accounts["ali"].sellable(MHRN) == 1_000


def test_the_bands_ends_and_ticks_on_both_sides_of_5000_are_taken(venue: Exchange) -> None:
    for price in (4980, 4999, 5000, 5860):
        taken(venue.submit("ali", buy(price, 2), BELL))


def test_a_buy_has_a_least_value_and_a_sell_has_none() -> None:
    venue = opened(Rules(min_interval_ns=0))
    assert why(venue.submit("ali", buy(5000, 998), BELL)) is Reason.VALUE_TOO_SMALL
    taken(venue.submit("ali", buy(5000, 1_000), BELL))
    taken(venue.submit("ali", sell(5000, 2), BELL))


def test_two_orders_of_one_account_keep_their_distance() -> None:
    venue = opened(Rules(min_value=Decimal(0)))
    taken(venue.submit("ali", buy(5690, 10), BELL))
    assert why(venue.submit("ali", buy(5690, 10), BELL + 300 * MS - 1)) is Reason.TOO_SOON
    taken(venue.submit("zahra", buy(5690, 10), BELL + 1))
    taken(venue.submit("ali", buy(5690, 10), BELL + 300 * MS))


def test_an_order_refused_for_another_reason_starts_the_interval_and_one_that_came_too_soon_does_not() -> None:
    venue = opened(Rules(min_value=Decimal(0)))
    assert why(venue.submit("ali", buy(5690, 10), BELL - 100 * MS)) is Reason.MARKET_CLOSED
    assert why(venue.submit("ali", buy(5690, 10), BELL)) is Reason.TOO_SOON
    assert why(venue.submit("ali", buy(5690, 10), BELL + 100 * MS)) is Reason.TOO_SOON
    taken(venue.submit("ali", buy(5690, 10), BELL + 200 * MS))


def test_an_account_that_owes_money_cannot_buy(venue: Exchange) -> None:
    venue.open_account("debtor", Decimal(-5))
    assert why(venue.submit("debtor", buy(5690, 2), BELL)) is Reason.NOT_ENOUGH_MONEY


def test_strangers_and_unlistable_instruments_are_errors(venue: Exchange) -> None:
    with pytest.raises(SimulatorError, match="no account 'nobody'"):
        venue.submit("nobody", buy(5690, 2), BELL)
    with pytest.raises(SimulatorError, match="already"):
        venue.open_account("ali", Decimal(0))
    priceless = Instrument(MHRN, "", "", INSTRUMENT.band, Decimal(1), Decimal(2), Decimal(1))
    with pytest.raises(SimulatorError, match="reference price"):
        Exchange([priceless], DAY)


# --- reservations


@pytest.mark.parametrize(
    ("money", "price", "quantity"), [(1_000_003_827, 5860, 170_018), (1_000_014_598, 3601, 276_677)]
)
def test_a_buy_reserves_its_cost_with_the_fee_to_the_last_part_of_a_rial(money: int, price: int, quantity: int) -> None:
    listed = next(each for each in tehran_instruments() if each.band.high == price)
    venue = Exchange([listed], DAY, rules=EASY)
    venue.open_account("ali", Decimal(money))
    assert why(venue.submit("ali", asked(Side.BUY, price, quantity + 1, listed.id), BELL)) is Reason.NOT_ENOUGH_MONEY
    taken(venue.submit("ali", asked(Side.BUY, price, quantity, listed.id), BELL))
    assert venue.accounts["ali"].reserved_money == price * quantity * BUY_FEE
    assert 0 <= venue.accounts["ali"].buying_power < price * BUY_FEE


def test_a_fill_at_a_better_price_releases_the_difference(venue: Exchange) -> None:
    venue.submit("zahra", sell(5690, 10), OPEN)
    venue.submit("ali", buy(5860, 20), OPEN)
    ali, zahra = venue.accounts["ali"], venue.accounts["zahra"]
    assert ali.money == 1_000_000_000 - 10 * 5690 * BUY_FEE
    assert ali.reserved_money == 10 * 5860 * BUY_FEE
    assert ali.holdings[MHRN] == 1_010
    assert zahra.money == 1_000_000_000 + 10 * 5690 * SELL_FEE
    assert (zahra.holdings[MHRN], zahra.reserved_shares[MHRN]) == (990, 0)


def test_a_sell_reserves_its_shares_and_a_cancel_gives_them_back(venue: Exchange) -> None:
    order = taken(venue.submit("ali", sell(5690, 800), BELL))
    assert why(venue.submit("ali", sell(5690, 202), BELL)) is Reason.NOT_ENOUGH_SHARES
    venue.cancel("ali", order.serial, BELL)
    assert venue.accounts["ali"].sellable(MHRN) == 1_000


def test_canceling_a_partly_filled_order_keeps_what_has_traded(venue: Exchange) -> None:
    order = taken(venue.submit("ali", buy(5690, 20), OPEN))
    venue.submit("zahra", sell(5690, 6), OPEN)
    venue.cancel("ali", order.serial, OPEN)
    assert (order.status, order.filled_qty, order.canceled_qty) == (OrderStatus.CANCELED, 6, 14)
    assert venue.accounts["ali"].reserved_money == 0
    assert venue.listings[MHRN].book.best(Side.BUY) is None


# --- changes


def test_another_account_cannot_touch_an_order_and_a_done_one_stays_done(venue: Exchange) -> None:
    order = taken(venue.submit("ali", buy(5690, 10), BELL))
    assert why(venue.cancel("zahra", order.serial, BELL)) is Reason.UNKNOWN_ORDER
    assert why(venue.edit("zahra", order.serial, Decimal(5690), Decimal(8), BELL)) is Reason.UNKNOWN_ORDER
    assert why(venue.cancel("ali", order.serial + 1, BELL)) is Reason.UNKNOWN_ORDER
    venue.cancel("ali", order.serial, BELL)
    assert why(venue.cancel("ali", order.serial, BELL)) is Reason.UNKNOWN_ORDER
    assert why(venue.edit("ali", order.serial, Decimal(5690), Decimal(8), BELL)) is Reason.UNKNOWN_ORDER


@pytest.mark.parametrize(
    ("price", "quantity", "keeps"), [(5690, 6, True), (5690, 10, True), (5690, 12, False), (5700, 10, False)]
)
def test_a_change_loses_the_place_where_the_price_changes_or_the_quantity_grows(
    venue: Exchange, price: int, quantity: int, keeps: bool
) -> None:
    first = taken(venue.submit("ali", buy(5690, 10), BELL))
    second = taken(venue.submit("zahra", buy(5690, 10), BELL))
    changed = taken(venue.edit("ali", first.serial, Decimal(price), Decimal(quantity), BELL))
    assert changed is first
    assert (first.price, first.quantity, first.edited) == (price, quantity, True)
    level = next(level for level in venue.listings[MHRN].book.levels(Side.BUY) if level.price == 5690)
    assert (next(iter(level.orders)) == first.serial) is keeps
    assert second.serial in level.orders
    assert venue.accounts["ali"].reserved_money == price * quantity * BUY_FEE


def test_a_change_that_crosses_trades_at_once(venue: Exchange) -> None:
    order = taken(venue.submit("ali", buy(5690, 10), OPEN))
    venue.submit("zahra", sell(5700, 4), OPEN)
    venue.edit("ali", order.serial, Decimal(5710), Decimal(10), OPEN)
    assert (order.filled_qty, order.filled_value, order.status) == (4, 4 * 5700, OrderStatus.PARTIALLY_FILLED)


def test_a_change_counts_what_has_traded(venue: Exchange) -> None:
    order = taken(venue.submit("ali", buy(5690, 10), OPEN))
    venue.submit("zahra", sell(5690, 4), OPEN)
    assert why(venue.edit("ali", order.serial, Decimal(5690), Decimal(4), OPEN)) is Reason.WRONG_QUANTITY
    venue.edit("ali", order.serial, Decimal(5690), Decimal(6), OPEN)
    assert (order.leaves_qty, order.quantity) == (2, 6)
    assert venue.accounts["ali"].reserved_money == 2 * 5690 * BUY_FEE


def test_a_change_is_covered_or_refused_and_then_nothing_has_changed(venue: Exchange) -> None:
    bought = taken(venue.submit("ali", buy(5000, 199_000), BELL))
    before = venue.accounts["ali"].reserved_money
    assert why(venue.edit("ali", bought.serial, Decimal(5860), Decimal(199_000), BELL)) is Reason.NOT_ENOUGH_MONEY
    assert why(venue.edit("ali", bought.serial, Decimal(5870), Decimal(199_000), BELL)) is Reason.OUTSIDE_BAND
    assert (bought.price, bought.edited, venue.accounts["ali"].reserved_money) == (5000, False, before)
    sold = taken(venue.submit("zahra", sell(5690, 600), BELL))
    assert why(venue.edit("zahra", sold.serial, Decimal(5690), Decimal(1_002), BELL)) is Reason.NOT_ENOUGH_SHARES
    taken(venue.edit("zahra", sold.serial, Decimal(5690), Decimal(1_000), BELL))


def test_a_change_keeps_the_interval_too_and_a_cancel_need_not() -> None:
    venue = opened(Rules(min_value=Decimal(0)))
    order = taken(venue.submit("ali", buy(5690, 10), BELL))
    assert why(venue.edit("ali", order.serial, Decimal(5690), Decimal(8), BELL + MS)) is Reason.TOO_SOON
    assert taken(venue.cancel("ali", order.serial, BELL + MS)).status is OrderStatus.CANCELED


def test_orders_are_numbered_at_the_exchange_and_within_their_account() -> None:
    venue = Exchange([INSTRUMENT], DAY, rules=EASY, first_serial=700)
    for name in ("ali", "zahra"):
        venue.open_account(name, Decimal(1_000_000))
    orders = [taken(venue.submit(name, buy(5690, 2), BELL)) for name in ("ali", "zahra", "ali")]
    assert [(o.serial, o.number_of_account) for o in orders] == [(700, 1), (701, 1), (702, 2)]
    assert list(venue.orders_of("ali")) == [orders[0], orders[2]]
    assert list(venue.orders_of("zahra")) == [orders[1]]
