"""Sections with several instruments, and logins that buy and sell, from their config to their results."""

from __future__ import annotations

from itertools import pairwise

import pytest
from sniper_house import BELL_IN_S, MONEY, REFUSED_FOR_GOOD, D

from firstbell.brokers.base import Holding, Outcome
from firstbell.config import load
from firstbell.errors import NoAnswer, WrongPassword
from firstbell.market import fee_rate
from firstbell.model.instant import instant
from firstbell.model.order_status import ReportKind
from firstbell.model.report import ExecutionReport
from firstbell.model.terms import AttemptOutcome, Side
from firstbell.oms.logins import logins_of
from firstbell.oms.sizing import affordable, cost
from firstbell.sniper.users import make_user_classes
from firstbell.sniper.warmup import read_facts

RATE = fee_rate("XTEH", Side.BUY)
A, B, C = "IRO1MHRN0001", "IRO1BORS0001", "IRO1FOLD0001"
PRICES = {A: D(5860), B: D(3601), C: D(3601)}
LOGIN = "username = u\npassword = secret\nbroker_code = shahr\n"
BASKET = f"[Order_A]\n{LOGIN}isin = {A}, {B}, {C}\nweights = 60, 30, 10\n"
SELL = f"[Order_S]\n{LOGIN}isin = {A}, IRO1IKCO0001\nside = sell\n"
ACCEPTED = Outcome(AttemptOutcome.ACCEPTED)
BUY = f"[Order_B]\n{LOGIN}isin = {B}\n"


def bought_for(isin, money):
    return affordable(money, PRICES[isin], RATE)


def test_one_line_an_instrument_each_bought_for_its_share(house):
    house.broker.largest = D(10**9)
    rows = house.run(BASKET)
    shares = {A: 600_002_296, B: 300_001_148, C: 100_000_383}
    assert [row["account"] for row in rows] == [f"Order_A.{isin}" for isin in (A, B, C)]
    assert [row["instrument"] for row in rows] == [A, B, C]
    assert [(row["outcome"], row["quantity"]) for row in rows] == [
        ("accepted", bought_for(isin, D(share))) for isin, share in shares.items()
    ]
    assert len({row["client_order_id"] for row in rows}) == 3
    # The interval of the login lies between them.
    assert all(later - earlier >= 0.3 for earlier, later in pairwise(house.broker.times("send")))
    again = house.run(BASKET, name="again")
    assert [(row["account"], row["outcome"], row["attempts"]) for row in again] == [
        (row["account"], "accepted", []) for row in rows
    ]
    assert len(house.broker.times("send")) == 3


def test_started_again_the_rest_of_the_money_goes_to_the_rest_of_the_basket(house):
    house.broker.largest = D(10**9)
    house.broker.answers += [ACCEPTED, REFUSED_FOR_GOOD, REFUSED_FOR_GOOD]
    first = house.run(BASKET)
    assert [row["outcome"] for row in first] == ["accepted", "rejected", "rejected"]
    left = MONEY - cost(D(first[0]["quantity"]), PRICES[A], RATE)
    house.broker.money = left
    again = house.run(BASKET, name="again")
    assert [row["outcome"] for row in again] == ["accepted"] * 3
    share = left * 30 // 40
    assert [row["quantity"] for row in again[1:]] == [bought_for(B, share), bought_for(C, left - share)]


def test_a_bought_instrument_that_was_taken_back_has_its_share_again(house):
    house.broker.largest = D(10**9)
    house.broker.answers += [ACCEPTED, REFUSED_FOR_GOOD, REFUSED_FOR_GOOD]
    first = house.run(BASKET)
    name = first[0]["client_order_id"]
    house.journal.append([ExecutionReport(name, "run", ReportKind.CANCELED, instant(house.clock.wall_ns()))])
    again = house.run(BASKET, name="again")
    # Its own line stays what it was; the others get what their weights say of all of the money.
    assert [row["attempts"] for row in again[:1]] == [[]]
    assert [row["quantity"] for row in again[1:]] == [bought_for(B, D(300_001_148)), bought_for(C, D(100_000_383))]


def test_a_refused_instrument_leaves_the_others_their_shares(house):
    house.broker.largest = D(10**9)
    house.broker.answers += [REFUSED_FOR_GOOD]
    rows = house.run(BASKET)
    assert [row["outcome"] for row in rows] == ["rejected", "accepted", "accepted"]
    assert rows[1]["quantity"] == bought_for(B, D(300_001_148))


def test_a_login_buys_and_sells(house):
    house.broker.held = {A: D(1500)}
    rows = house.run(SELL + BUY)
    assert [(row["account"], row["side"], row["price"], row["quantity"], row["outcome"]) for row in rows] == [
        (f"Order_S.{A}", "sell", 5520, 1500, "accepted"),
        ("Order_S.IRO1IKCO0001", "sell", None, None, "not_sent"),
        ("Order_B", "buy", 3601, 200_000, "accepted"),
    ]
    assert rows[1]["reason"] == "nothing to sell: 0 shares of IRO1IKCO0001 held"
    # Read again in the last minute.
    assert house.broker.times("positions")[-1] >= BELL_IN_S - 60


def test_all_that_is_held_is_sold_in_slices(house):
    house.broker.held, house.broker.largest = {A: D(500)}, D(200)
    rows = house.run(f"[Order_S]\n{LOGIN}isin = {A}\nside = sell\norders = all\n")
    assert [(row["price"], row["quantity"], row["outcome"]) for row in rows] == [
        (5520, 200, "accepted"),
        (5520, 200, "accepted"),
        (5520, 100, "accepted"),
    ]


def test_holdings_that_cannot_be_read_stop_the_sells_and_not_the_buys(house):
    house.broker.holdings_error = NoAnswer("the back office is down")
    rows = house.run(SELL + BUY)
    assert [(row["outcome"], row["reason"]) for row in rows] == [
        ("not_sent", "what is held could not be read: the back office is down"),
        ("not_sent", "what is held could not be read: the back office is down"),
        ("accepted", None),
    ]
    # It was tried until there was no more time.
    tried = house.broker.times("positions")
    assert len(tried) > 40
    assert tried[-1] <= BELL_IN_S - 10
    assert house.broker.times("send")[0] >= BELL_IN_S - 1


def test_money_that_cannot_be_read_stops_the_buys_and_not_the_sells(house):
    house.broker.held = {A: D(1500)}
    house.broker.trouble = [NoAnswer("the api is busy")] * 1000
    rows = house.run(SELL + BUY)
    assert [row["outcome"] for row in rows] == ["accepted", "not_sent", "not_sent"]
    assert rows[2]["reason"] == "the api is busy"


def test_holdings_that_nobody_else_waits_for_are_an_error_of_the_login(house):
    house.broker.holdings_error = NoAnswer("the back office is down")
    rows = house.run(SELL)
    assert {row["reason"] for row in rows} == {"the back office is down"}
    house.broker.holdings_error = WrongPassword("no")
    rows = house.run(SELL + BUY, name="again")
    assert {row["reason"] for row in rows} == {"no"}


class Warm:
    """A broker that is asked once, through the cache."""

    def __init__(self, money=None, held=None):
        self.money, self.held = money, held

    def buying_power(self):
        if isinstance(self.money, Exception):
            raise self.money
        return self.money

    def positions(self):
        if isinstance(self.held, Exception):
            raise self.held
        return [Holding(A, self.held)]

    def instrument(self, isin):
        return isin


@pytest.fixture
def accounts(house):
    return lambda text: house.context(text).settings.enabled


DOWN = "down: try again, and ask the broker where it stays so"


def test_warming_up_knows_the_same(accounts):
    both, down = accounts(SELL + BUY), NoAnswer("down")
    facts = read_facts(Warm(down, D(5)), both)
    assert (facts.buying_power, facts.no_money, facts.holdings, facts.no_holdings) == (None, DOWN, {A: 5}, None)
    facts = read_facts(Warm(D(7), down), both)
    assert (facts.buying_power, facts.no_money, facts.holdings, facts.no_holdings) == (7, None, {}, DOWN)
    sells = [account for account in both if account.side is Side.SELL]
    buys = [account for account in both if account.side is Side.BUY]
    for broker, asked in ((Warm(held=down), sells), (Warm(down), buys), (Warm(down, down), both)):
        with pytest.raises(NoAnswer, match="down"):
            read_facts(broker, asked)
    for broker in (Warm(WrongPassword("no"), D(1)), Warm(D(1), WrongPassword("no"))):
        with pytest.raises(WrongPassword):
            read_facts(broker, both)


def test_every_line_is_a_user_with_a_name_that_can_be_written(tmp_path):
    path = tmp_path / "config.ini"
    path.write_text(BASKET + SELL.replace(A, C) + BUY.replace(B, "IRO1MSMI0001").replace("= u", "= v"))
    path.chmod(0o600)
    settings = load(path)
    classes = make_user_classes(settings, logins_of(settings.enabled), lambda: None)
    assert list(classes) == [
        f"Order_A_{A}_User1",
        f"Order_A_{B}_User2",
        f"Order_A_{C}_User3",
        f"Order_S_{C}_User4",
        "Order_S_IRO1IKCO0001_User5",
        "Order_B_User6",
    ]
    assert all(name.isidentifier() for name in classes)
    assert [cls.account for cls in classes.values()] == list(settings.enabled)
    # The first line speaks for its login.
    assert {cls.login.leader.name for cls in classes.values()} == {f"Order_A.{A}", "Order_B"}
