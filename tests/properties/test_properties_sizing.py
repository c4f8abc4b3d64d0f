"""Value and fee never exceed the buying power, and nothing that it pays for is left out; for any numbers there are."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction
from itertools import groupby

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from firstbell.brokers.base import Estimate
from firstbell.config import AccountSettings, OrdersMode
from firstbell.market import fee_rate, tick_size
from firstbell.model.instrument import Instrument
from firstbell.model.money import divided
from firstbell.model.price_band import PriceBand
from firstbell.model.terms import Side
from firstbell.oms.plan import MOST_SLICES, DayUsed, Facts, plan_login
from firstbell.oms.sizing import affordable, cost, cut_to_lot
from firstbell.risk.checks import Limits

D = Decimal
RATE = fee_rate("XTEH", Side.BUY)
DAY = date(2026, 11, 21)
ISINS = ("IRO1MHRN0001", "IRO1BORS0001", "IRO1FOLD0001")
MANY = (*ISINS, "IRO1IKCO0001", "IRO1SIPA0001", "IRO1TAMN0001", "IRO1MSMI0001")
RATES = st.sampled_from([RATE, D(0), D("0.0145"), D("0.00116"), D(1)]) | st.decimals(0, 1, places=8)
MONEY = st.integers(-(10**6), 10**15).map(D) | st.decimals(-100, 10**13, places=3)
PRICES = st.integers(1, 10**8).map(D) | st.decimals("0.000001", 100, places=6).filter(bool)


@given(MONEY, PRICES, RATES, st.integers(1, 5000))
def test_money_pays_for_a_quantity_and_for_no_lot_more(money, price, rate, lot):
    quantity = affordable(money, price, rate, D(lot))
    assert quantity >= 0
    assert quantity % lot == 0
    assert quantity == 0 or cost(quantity, price, rate) <= money
    if price * lot >= 1:
        assert money <= 0 or cost(quantity + lot, price, rate) > money


@given(MONEY, PRICES, RATES, st.integers(1, 5000))
def test_more_money_never_buys_less(money, price, rate, lot):
    if price * lot >= 1:
        assert affordable(money + 1, price, rate, D(lot)) >= affordable(money, price, rate, D(lot))


@st.composite
def instruments(draw, isin):
    low = draw(st.integers(1, 10**5) | st.integers(1, 3))
    high = low + draw(st.integers(0, 10**4))
    tick = int(tick_size("XTEH", D(high)))
    lot = draw(st.sampled_from([1, 1, 10, 100]))
    smallest = lot * draw(st.integers(1, 5))
    largest = smallest + draw(st.integers(0, 400_000) | st.integers(0, 5 * lot))
    band = PriceBand(D(low), D(max(low, high - high % tick)))
    return Instrument(isin, "", "", band, D(smallest), D(largest), D(lot))


@st.composite
def logins(draw):
    """One login's sections, what its broker says, and a calculator that says anything."""
    known = {isin: draw(instruments(isin)) for isin in ISINS}
    accounts = [
        AccountSettings(
            name=f"Order_{number}",
            username="u",
            password=SecretStr("p"),
            broker_code="gs",
            isin=isin,
            side=draw(st.sampled_from(Side)),
            orders=draw(st.sampled_from(OrdersMode)),
            quantity=draw(st.none() | st.integers(1, 10**6).map(D)),
            max_value=draw(st.none() | st.integers(1, 10**12).map(D)),
        )
        for number, isin in enumerate(draw(st.lists(st.sampled_from(ISINS), min_size=1, max_size=4)))
    ]
    money = draw(st.integers(-1000, 10**12) | st.integers(0, 10**6) | st.integers(0, 300))
    holdings = draw(st.dictionaries(st.sampled_from(ISINS), st.integers(-5, 10**6).map(D)))
    words = draw(st.none() | st.builds(Estimate, st.integers(-5, 10**7).map(D), st.none() | MONEY, st.none() | MONEY))
    return accounts, Facts(D(money), known, holdings=holdings), words


@settings(max_examples=250)
@given(logins())
def test_all_orders_of_a_login_together_are_paid_for_and_each_can_be_taken(login):
    accounts, facts, words = login
    lines = plan_login(accounts, facts, lambda *_: words, day=DAY, market="XTEH", limits=Limits(), used=DayUsed())
    assert [line.account for line in lines] == [account.name for account in accounts]
    spent, sold = D(0), dict.fromkeys(ISINS, D(0))
    for account, line in zip(accounts, lines, strict=True):
        assert bool(line.orders) != (line.denied is not None)
        assert len(line.orders) <= (1 if account.orders is OrdersMode.ONE else MOST_SLICES)
        assert len({order.client_order_id for order in line.orders}) == len(line.orders)
        total = D(0)
        for order in line.orders:
            instrument = facts.instruments[order.instrument]
            assert instrument.band.holds(order.price)
            assert instrument.min_quantity <= order.quantity <= instrument.max_quantity
            assert order.quantity % instrument.lot_size == 0
            total += order.quantity
            if order.side is Side.BUY:
                spent += cost(order.quantity, order.price, line.sizing.fee_rate)
            else:
                sold[order.instrument] += order.quantity
        assert account.quantity is None or total <= account.quantity
        if account.max_value is not None:
            assert sum(order.value for order in line.orders) <= account.max_value
    assert spent <= max(facts.buying_power, 0)
    for isin, shares in sold.items():
        assert shares <= max(facts.holdings.get(isin, D(0)), 0)


@settings(max_examples=200)
@given(st.integers(1, 10**13) | st.integers(1, 300), instruments(ISINS[0]))
def test_a_plan_without_limits_leaves_nothing_over(money, instrument):
    account = AccountSettings(
        name="Order_A", username="u", password=SecretStr("p"), broker_code="gs", isin=ISINS[0], orders=OrdersMode.ALL
    )
    facts = Facts(D(money), {ISINS[0]: instrument})
    (line,) = plan_login([account], facts, lambda *_: None, day=DAY, market="XTEH", limits=Limits(), used=DayUsed())
    price, lot = instrument.band.high, instrument.lot_size
    left = money - sum(cost(order.quantity, price, RATE) for order in line.orders)
    largest = cut_to_lot(instrument.max_quantity, lot)
    if largest < instrument.min_quantity or len(line.orders) == MOST_SLICES:
        return
    # What is left pays for no further order; each slice's fee is rounded up by itself.
    smallest = cut_to_lot(instrument.min_quantity + lot - 1, lot)
    assert left < cost(smallest, price, RATE) + len(line.orders)


@given(st.integers(1, 300), st.integers(1, 3), st.integers(1, 4))
def test_fees_that_are_rounded_up_slice_by_slice_are_paid_for_too(money, price, largest):
    instrument = Instrument(ISINS[0], "", "", PriceBand(D(price), D(price)), D(1), D(largest), D(1))
    account = AccountSettings(
        name="Order_A", username="u", password=SecretStr("p"), broker_code="gs", isin=ISINS[0], orders=OrdersMode.ALL
    )
    facts = Facts(D(money), {ISINS[0]: instrument})
    (line,) = plan_login([account], facts, lambda *_: None, day=DAY, market="XTEH", limits=Limits(), used=DayUsed())
    assert sum(cost(order.quantity, D(price), RATE) for order in line.orders) <= money


WEIGHTS = st.decimals("0.000001", "999999", places=6) | st.integers(1, 100).map(D)


@given(
    st.decimals(0, 10**15, places=2) | st.integers(0, 10**15).map(D) | st.integers(0, 9).map(D),
    st.lists(WEIGHTS, min_size=1, max_size=6),
)
def test_parts_are_the_whole_to_the_last_rial_and_each_is_what_its_weight_says(amount, weights):
    parts = divided(amount, weights)
    assert len(parts) == len(weights)
    assert sum(parts) == amount
    whole = sum(map(Fraction, weights))
    for part, weight in zip(parts[:-1], weights[:-1], strict=True):
        exactly = Fraction(amount) * Fraction(weight) / whole
        assert part == exactly.__floor__()
    exactly = Fraction(amount) * Fraction(weights[-1]) / whole
    assert exactly <= parts[-1] < exactly + len(weights)


@st.composite
def divided_logins(draw):
    """One login's sections, some of which have several instruments, and what its broker says."""
    known = {isin: draw(instruments(isin)) for isin in MANY}
    left, accounts = list(MANY), []
    for number in range(draw(st.integers(1, 3))):
        isins = tuple(left.pop() for _ in range(draw(st.integers(1, 3))) if left)
        if not isins:
            break
        several = len(isins) > 1
        weights = draw(st.none() | st.tuples(*[WEIGHTS] * len(isins))) if several else None
        facts = {
            "username": "u",
            "password": SecretStr("p"),
            "broker_code": "gs",
            "orders": draw(st.sampled_from(OrdersMode)),
            "quantity": draw(st.none() | st.integers(1, 10**6).map(D)),
        }
        caps = draw(st.none() | st.tuples(*[st.integers(1, 10**11).map(D)] * len(isins)))
        accounts += [
            AccountSettings(
                **facts,
                name=f"Order_{number}.{isin}" if several else f"Order_{number}",
                isin=isin,
                isins=isins if several else (),
                weights=weights,
                max_value=None if caps is None else caps[place],
            )
            for place, isin in enumerate(isins)
        ]
    money = draw(st.integers(-1000, 10**12) | st.integers(0, 10**6) | st.integers(0, 300))
    words = draw(st.none() | st.builds(Estimate, st.integers(-5, 10**7).map(D), st.none() | MONEY, st.none() | MONEY))
    return accounts, Facts(D(money), known), words


@settings(max_examples=250)
@given(divided_logins())
def test_sections_that_divide_their_money_keep_to_it_and_so_does_each_of_their_instruments(login):
    accounts, facts, words = login
    lines = plan_login(accounts, facts, lambda *_: words, day=DAY, market="XTEH", limits=Limits(), used=DayUsed())
    left = max(facts.buying_power, D(0))
    for section, own in groupby(zip(accounts, lines, strict=True), key=lambda pair: pair[0].section):
        pairs = list(own)
        shares = dict(zip(pairs[0][0].basket, divided(left, list(pairs[0][0].basket.values())), strict=True))
        for account, line in pairs:
            spent = sum((cost(o.quantity, o.price, line.sizing.fee_rate) for o in line.orders), D(0))
            assert spent <= shares[account.isin], section
            assert account.max_value is None or spent <= account.max_value
            left -= spent
        assert left >= 0


@settings(max_examples=200)
@given(divided_logins())
def test_one_lot_more_would_not_be_paid_for_from_its_share(login):
    accounts, facts, _ = login
    accounts = [account.model_copy(update={"quantity": None, "orders": OrdersMode.ONE}) for account in accounts]
    asked = {}

    def calculator(isin, _side, money, _price):
        asked[isin] = money

    lines = plan_login(accounts, facts, calculator, day=DAY, market="XTEH", limits=Limits(), used=DayUsed())
    for account, line in zip(accounts, lines, strict=True):
        instrument = facts.instruments[account.isin]
        share, price, lot = asked.get(account.isin, D(0)), instrument.band.high, instrument.lot_size
        ordered = sum((order.quantity for order in line.orders), D(0))
        more = max(ordered + lot, cut_to_lot(instrument.min_quantity + lot - 1, lot))
        assert more > instrument.max_quantity or cost(more, price, RATE) > share


@settings(max_examples=100)
@given(divided_logins(), st.data())
def test_whatever_has_been_bought_and_whoever_takes_part_the_rest_is_paid_for(login, data):
    """Some of a section's accounts are placed already, others were left out by their users' names."""
    accounts, facts, words = login
    bought = data.draw(st.frozensets(st.sampled_from(MANY)))
    chosen = [account for account in accounts if account.isin not in bought and data.draw(st.booleans())]
    used = DayUsed(bought=bought)
    lines = plan_login(chosen, facts, lambda *_: words, day=DAY, market="XTEH", limits=Limits(), used=used)
    spent = sum(
        (cost(o.quantity, o.price, line.sizing.fee_rate) for line in lines for o in line.orders),
        D(0),
    )
    assert spent <= max(facts.buying_power, D(0))
