"""Reading before the bell: when, how often, how long, and what is done without."""

from __future__ import annotations

from datetime import timedelta
from itertools import count

import pytest
from sniper_house import CONFIG, PLAIN, SECOND, D, S

from firstbell.brokers.base import Holding, Token
from firstbell.errors import CaptchaError, NoAnswer, Refused, RunError, WrongPassword
from firstbell.model.instant import instant
from firstbell.oms.logins import login_key, logins_of
from firstbell.sniper.reading import Reading

SELL = CONFIG.format(a="side = sell", risk="")


@pytest.fixture
def read(house):
    """The reads of a config's first login, with so many seconds left to the bell."""

    runs = count(1)

    def read_(left_s=300, text=PLAIN):
        context = house.context(text, bell_in_s=left_s, name="run" if (number := next(runs)) == 1 else f"run {number}")
        login = logins_of(context.settings.enabled)[0]
        return Reading(context, login, house.broker), context.settings.enabled

    return read_


@pytest.mark.parametrize(("left_s", "until_s"), [(300, 290), (18, 8), (17.5, 8), (5, 8), (-5, 8)])
def test_reads_are_repeated_until_ten_seconds_before_the_bell_or_for_eight(read, left_s, until_s):
    reading, _ = read(left_s)
    assert reading.patience_ns() == until_s * S


@pytest.mark.parametrize(("left_s", "logged_in_at"), [(61, [0]), (60.5, [0]), (60, []), (30, [])])
def test_with_more_than_a_minute_left_it_logs_in_at_once_and_waits(house, read, left_s, logged_in_at):
    reading, _ = read(left_s)
    reading.log_in_early()
    assert house.broker.times("login") == logged_in_at
    assert house.clock.now_ns == max(0, round((left_s - 60) * S))


def test_a_run_that_is_stopped_while_it_waits_says_so(house, read):
    reading, _ = read()
    house.interrupt.stop_at_ns = 7 * S
    with pytest.raises(RunError, match="^stopped before the bell$"):
        reading.log_in_early()
    assert house.clock.now_ns == 7 * S


def failing(house, times, error=None):
    """The money cannot be read so many times."""
    house.broker.trouble = [error or NoAnswer(f"trouble {number}") for number in range(times)]


def test_a_read_is_repeated_each_second(house, read):
    failing(house, 3)
    reading, accounts = read()
    facts, _ = reading.read(accounts)
    assert house.broker.times("money") == [0, 1, 2, 3]
    assert facts.buying_power == house.broker.money


def test_the_last_try_is_a_second_before_there_is_no_time(house, read):
    failing(house, 1000)
    reading, accounts = read(20)
    with pytest.raises(NoAnswer, match="trouble 9"):
        reading.read(accounts)
    assert house.broker.times("money") == list(range(10))


def test_a_stopped_run_does_not_read_on(house, read):
    failing(house, 1000)
    reading, accounts = read()
    house.interrupt.stop_at_ns = round(1.5 * S)
    with pytest.raises(NoAnswer, match="trouble 1"):
        reading.read(accounts)


def test_what_repeating_cannot_mend_is_not_repeated(house, read):
    failing(house, 5, WrongPassword("wrong"))
    reading, accounts = read()
    with pytest.raises(WrongPassword):
        reading.read(accounts)
    assert len(house.broker.times("money")) == 1


def test_the_list_is_tried_three_times_and_then_done_without(house, read):
    house.broker.list_fails = True
    reading, accounts = read(text=PLAIN + SECOND)
    _, known = reading.read(accounts)
    assert known is None
    assert house.broker.times("orders") == [0, 1, 2]
    words = "the list of the day could not be read before the bell (the list is down); sent anyway"
    assert house.notes("warning") == [("Order_A", words), ("Order_B", words)]


def test_an_instrument_that_cannot_be_read_is_named_and_stops_no_other(house, read):
    instrument = house.broker.instrument

    def broken(isin, *, fresh=False):
        if isin == "IRO1MHRN0001":
            raise Refused("the broker does not know it")
        return instrument(isin, fresh=fresh)

    house.broker.instrument = broken
    reading, accounts = read(text=PLAIN + SECOND)
    facts, _ = reading.read(accounts)
    assert facts.unreadable == {"IRO1MHRN0001": "the broker does not know it"}
    assert set(facts.instruments) == {"IRO1BORS0001"}


def test_each_instrument_is_read_once(house, read):
    reading, accounts = read()
    reading.read([accounts[0], replace_name(accounts[0])])
    assert len(house.broker.times("instrument")) == 1


def replace_name(account):
    return account.model_copy(update={"name": "Order_Z"})


def test_who_only_sells_is_not_asked_for_money_and_who_only_buys_not_for_holdings(house, read):
    asked = []
    house.broker.positions = lambda: asked.append("positions") or (Holding("IRO1MHRN0001", D(7)),)
    reading, accounts = read(text=SELL)
    facts, _ = reading.read(accounts)
    assert (facts.buying_power, facts.holdings, asked) == (None, {"IRO1MHRN0001": D(7)}, ["positions"])
    assert house.broker.times("money") == []
    reading, accounts = read(text=PLAIN)
    facts, _ = reading.read(accounts)
    assert (facts.buying_power, facts.holdings, asked) == (house.broker.money, {}, ["positions"])
    both = CONFIG.format(a="side = sell", risk="") + SECOND
    reading, accounts = read(text=both)
    facts, _ = reading.read(accounts)
    assert (facts.buying_power, asked) == (house.broker.money, ["positions", "positions"])


class Tokens:
    """A broker whose tokens end when the test says, and whose second log-in may fail."""

    def __init__(self, broker, ends_at, error=None):
        self.ends_at, self.error, self.asked = ends_at, error, []
        broker.login = self

    def __call__(self, *, lasting_until=None):
        self.asked.append(lasting_until)
        if lasting_until is not None and self.error is not None:
            raise self.error
        return Token("t", self.ends_at)


@pytest.fixture
def bell(house):
    return instant(house.clock.wall_ns()) + timedelta(seconds=300)


GIVE_UP = timedelta(seconds=30)
MOMENT = timedelta(microseconds=1)


def test_a_token_that_lives_through_the_run_is_enough(house, read, bell):
    tokens = Tokens(house.broker, bell + GIVE_UP)
    read()[0].log_in()
    assert tokens.asked == [None]


def test_one_that_ends_sooner_is_renewed(house, read, bell):
    tokens = Tokens(house.broker, bell + GIVE_UP - MOMENT)
    read()[0].log_in()
    assert tokens.asked == [None, bell + GIVE_UP]
    assert house.notes("warning") == []


@pytest.mark.parametrize("error", [NoAnswer("down"), CaptchaError("none")])
def test_where_that_fails_one_that_lives_past_the_bell_is_used_and_said(house, read, bell, error):
    ends_at = bell + MOMENT
    tokens = Tokens(house.broker, ends_at, error)
    read()[0].log_in()
    assert tokens.asked == [None, bell + GIVE_UP]
    words = f"the token ends at {ends_at.isoformat()}, and a new log-in failed: {error}"
    assert house.notes("warning") == [("Order_A", words)]


def test_one_that_ends_at_the_bell_is_none(house, read, bell):
    Tokens(house.broker, bell, CaptchaError("none"))
    with pytest.raises(CaptchaError):
        read()[0].log_in()
    assert house.notes("warning") == []


def test_the_logins_of_a_config_in_their_order(house):
    more = PLAIN + SECOND + SECOND.replace("Order_B", "Order_C").replace("= u", "= U۱").replace("shahr", "gs")
    accounts = house.context(more).settings.enabled
    first, second = logins_of(accounts)
    assert [account.name for account in first.accounts] == ["Order_A", "Order_B"]
    assert (first.leader.name, first.broker_code, second.broker_code) == ("Order_A", "shahr", "gs")
    assert (first.key, second.key) == (login_key("shahr", "u"), login_key("gs", "u1"))
    assert first.key != login_key("gs", "u") != login_key("shahr", "u")
    # It stands in journals, and must be found there by the next version.
    assert login_key("shahr", "0012345678") == "da927201f6bcc8b8"
    assert login_key("ab", "c") != login_key("a", "bc")
