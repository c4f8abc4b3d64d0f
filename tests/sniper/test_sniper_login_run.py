"""One login's part of a run, on a clock that only moves when somebody waits: arming, firing, asking, confirming."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import ClassVar

import pytest

from firstbell.brokers.base import Answer, Capabilities, Outcome, PreparedCall, PreparedOrder, Token, VenueOrder
from firstbell.config import load
from firstbell.errors import NoAnswer, NotSent, WrongPassword
from firstbell.journal.base import Intent, Owner
from firstbell.journal.owner import this_process
from firstbell.journal.sqlite import SqliteJournal
from firstbell.model.identifiers import client_order_id
from firstbell.model.instant import instant
from firstbell.model.instrument import Instrument
from firstbell.model.order import Order
from firstbell.model.price_band import PriceBand
from firstbell.model.terms import AttemptOutcome, Side
from firstbell.oms.carrier import PlainCarrier
from firstbell.oms.run_budget import RunBudget
from firstbell.sniper import results
from firstbell.sniper.aiming import HostAim
from firstbell.sniper.context import RunContext, record_of
from firstbell.sniper.firing import Gear, LoginRun
from firstbell.sniper.logins import login_key, logins_of

S = 1_000_000_000
D = Decimal
MONEY, LARGEST = D(1_000_003_827), D(200_000)
ABLE = Capabilities(300, client_order_ids=False, replace=True)
BELL_IN_S = 300
REFUSED_FOR_GOOD = Outcome(AttemptOutcome.REJECTED, 1011, "no money")
CONFIG = """
[risk]
{risk}
[Order_A]
username = u
password = secret
broker_code = shahr
isin = IRO1MHRN0001
{a}
"""
PLAIN = CONFIG.format(a="", risk="")
SECOND = """
[Order_B]
username = u
password = secret
broker_code = shahr
isin = IRO1BORS0001
"""


@dataclass
class Broker:
    """A broker that keeps its own list and does as it is told."""

    clock: object
    money: Decimal = MONEY
    largest: Decimal = LARGEST
    answers: list = field(default_factory=list)
    list_fails: bool = False
    hide: bool = False
    token_life_s: int = 3600
    trouble: list = field(default_factory=list)
    login_error: Exception | None = None
    calls: list = field(default_factory=list)
    book: list = field(default_factory=list)
    code: str = "shahr"
    capabilities: Capabilities = ABLE
    logged_in_at: int | None = None

    def _call(self, name):
        self.calls.append((name, self.clock.now_ns / S))

    is_logged_in = True

    def login(self, *, lasting_until=None):
        self._call("login")
        if self.login_error:
            raise self.login_error
        ends_ns = (self.logged_in_at or 0) + self.token_life_s * S
        if self.logged_in_at is None or (lasting_until and instant(ends_ns) < lasting_until):
            self._call("new token")
            self.logged_in_at = self.clock.wall_ns()
        return Token("t", instant(self.logged_in_at + self.token_life_s * S))

    def forget_token(self):
        self._call("forget")
        self.logged_in_at = None

    def buying_power(self, *, fresh=False):
        assert fresh
        self._call("money")
        if self.trouble:
            raise self.trouble.pop(0)
        return self.money

    def instrument(self, isin, *, fresh=False):
        assert fresh
        self._call("instrument")
        band = PriceBand(D(5520), D(5860)) if isin == "IRO1MHRN0001" else PriceBand(D(3393), D(3601))
        return Instrument(isin, "", "", band, D(1), self.largest, D(1))

    def estimate(self, *_):
        return None

    def positions(self):
        return ()

    def prepare(self, order):
        return PreparedOrder(order, "POST", "http://127.0.0.1", "/", {}, b"")

    def prepare_proof(self):
        return PreparedCall("GET", "http://127.0.0.1", "/", {}, None)

    def send(self, prepared, *, timeout_s):
        del timeout_s
        self._call(f"send {prepared.order.quantity}")
        answer = self.answers.pop(0) if self.answers else Outcome(AttemptOutcome.ACCEPTED)
        if isinstance(answer, NotSent):
            raise answer
        there = isinstance(answer, NoAnswer) or answer.outcome is not AttemptOutcome.REJECTED
        if there and not self.hide:
            order = prepared.order
            venue = str(len(self.book) + 1000)
            self.book.append(
                VenueOrder(
                    venue,
                    order.instrument,
                    order.side,
                    order.price,
                    order.quantity,
                    D(0),
                    working=True,
                    refused=False,
                    created_at=None,
                    status="2",
                )
            )
        sent = self.clock.wall_ns()
        self.clock.sleep(0.005)
        if isinstance(answer, NoAnswer):
            raise answer
        self.read = answer
        return Answer(200, {}, b"{}", sent, 0, self.clock.wall_ns(), 5_000_000)

    def read_answer(self, *_):
        return self.read

    def orders(self, _day):
        self._call("orders")
        if self.list_fails:
            raise NoAnswer("the list is down")
        return tuple(self.book)

    def _never(self, *_):
        raise AssertionError("a run at the bell does not call this")

    submit = cancel = replace = fills = _never

    def open_orders(self):
        return ()

    def times(self, name):
        return [at for called, at in self.calls if called.startswith(name)]


class Interrupt:
    def __init__(self, clock):
        self.clock = clock

    is_halt = False
    why = "stopped"

    def is_set(self):
        return False

    def wait_until(self, monotonic_ns):
        self.clock.move_to(monotonic_ns)
        return False


class NoHostClock:
    """A host whose clock nobody has read."""

    url, reading, model, problem = "http://127.0.0.1", None, None, "not read"


class Aims:
    """The aims of a process that reads no clocks."""

    def __init__(self, context):
        self.context = context
        self.began = 0

    def of(self, _code, interval_ns):
        context = self.context
        at_once = context.at_once
        return HostAim(
            context.bell_ns, NoHostClock, context.clock, interval_ns=interval_ns, lead_ms=None, at_once=at_once
        )

    def begin(self, _aim, broker):
        assert broker.logged_in_at is not None
        self.began += 1

    def look_roughly(self, _aim):
        assert self.began

    def decide(self, aim):
        return aim.first_ns()


class SteppedCarrier(PlainCarrier):
    """A carrier on the shared transport that proves nothing but when it was asked to."""

    def prove(self, _call, _at_ns):
        self._broker.calls.append(("warm", self._clock.now_ns / S))

    def close(self):
        self._broker.calls.append(("close", self._clock.now_ns / S))


class Nobody:
    def attempted(self, *_):
        pass


@pytest.fixture
def house(tmp_path, stepped_clock):
    journal = SqliteJournal(tmp_path / "journal.db", stepped_clock)

    class House:
        broker = Broker(stepped_clock)
        clock = stepped_clock
        halts: ClassVar[list[str]] = []

        def run(self, text=PLAIN, bell_in_s=BELL_IN_S, name="run"):
            path = tmp_path / "config.ini"
            path.write_text(text)
            path.chmod(0o600)
            settings = load(path)
            bell = instant(stepped_clock.wall_ns()) + timedelta(seconds=bell_in_s)
            self.bell_s = stepped_clock.now_ns / S + bell_in_s
            context = RunContext(
                name,
                settings,
                bell,
                journal,
                stepped_clock,
                lambda _: self.broker,
                Interrupt(stepped_clock),
                Nobody(),
                RunBudget(500, name, journal, stepped_clock),
                self.halts.append,
                stepped_clock.wall_ns(),
            )
            record = record_of(name, bell, settings.enabled, "results")
            journal.begin_run(record)

            def open_carrier(ca_file, budget):
                assert ca_file is None
                return SteppedCarrier(self.broker, stepped_clock, context.interrupt, budget)

            for login in logins_of(settings.enabled):
                LoginRun(context, login, Gear(open_carrier, journal, Aims(context))).run()
            view = results.view(journal, record, ended=True, now_ns=stepped_clock.wall_ns())
            assert view.finished
            return results.document(view, bell.tzinfo)["orders"]

    House.journal = journal
    yield House()
    journal.close()


def test_everything_is_read_again_in_the_last_minute_and_the_order_leaves_at_the_bell(house):
    (row,) = house.run()
    assert (row["outcome"], row["price"], row["quantity"]) == ("accepted", 5860, 170_018)
    assert row["venue_order_id"] == "1000"
    bell = house.bell_s
    assert house.broker.times("login")[0] == 0
    for name in ("money", "instrument", "orders"):
        assert bell - 60 <= house.broker.times(name)[0] <= bell - 10
    assert house.broker.times("warm") == [pytest.approx(bell - 3, abs=0.1)]
    assert house.broker.times("send") == [bell]
    (attempt,) = row["attempts"]
    assert attempt["lateness_us"] == 0


def test_a_token_that_will_not_last_is_renewed_once(house):
    house.broker.token_life_s = 250
    (row,) = house.run()
    assert row["outcome"] == "accepted"
    assert len(house.broker.times("new token")) == 2


def test_a_read_that_fails_is_repeated_while_there_is_time(house):
    house.broker.trouble = [NoAnswer("down")] * 30
    (row,) = house.run()
    assert row["outcome"] == "accepted"


def test_a_read_that_goes_on_failing_leaves_the_account_out_with_the_reason(house):
    house.broker.trouble = [NoAnswer("the money is unreadable")] * 10_000
    (row,) = house.run()
    assert (row["outcome"], row["reason"]) == ("not_sent", "the money is unreadable")
    assert house.broker.times("send") == []
    assert house.broker.times("money")[-1] <= house.bell_s - 10


def test_a_wrong_password_is_not_tried_again(house):
    house.broker.login_error = WrongPassword("wrong password")
    (row,) = house.run()
    assert (row["outcome"], row["reason"]) == ("not_sent", "wrong password")
    assert len(house.broker.times("login")) == 1


def test_without_the_list_of_the_day_the_order_is_sent_all_the_same(house):
    house.broker.list_fails = True
    (row,) = house.run()
    assert row["outcome"] == "accepted"
    assert house.journal.entry(row["client_order_id"]).intent.known_ids is None
    assert any(note.kind == "warning" and "list of the day" in note.text for note in house.journal.notes("run"))


def test_what_was_there_before_the_bell_is_remembered(house):
    house.broker.book.append(
        VenueOrder("7", "IRO1MHRN0001", Side.BUY, D(5860), D(170_018), D(0), True, False, None, "2")
    )
    house.broker.answers = [NoAnswer("cut")]
    (row,) = house.run()
    assert (row["outcome"], row["venue_order_id"]) == ("accepted", "1001")


def test_slices_leave_one_after_another_paced(house):
    house.broker.largest = D(60_000)
    rows = house.run(CONFIG.format(a="orders = all", risk=""))
    assert [row["quantity"] for row in rows] == [60_000, 60_000, 50_018]
    assert {row["outcome"] for row in rows} == {"accepted"}
    sent = house.broker.times("send")
    assert sent[0] == house.bell_s
    assert all(round(later - earlier, 6) >= 0.35 for earlier, later in pairwise(sent))


def test_a_refused_slice_ends_its_account_and_not_its_login(house):
    house.broker.largest = D(60_000)
    house.broker.answers = [REFUSED_FOR_GOOD]
    rows = house.run(CONFIG.format(a="orders = all\nmax_value = 500000000", risk="") + SECOND)
    assert [row["outcome"] for row in rows] == ["rejected", "not_sent", "accepted"]
    assert "the order before it was rejected: 1011" in rows[1]["reason"]


def test_what_stands_behind_a_fault_is_known_not_to_have_left(house):
    house.broker.largest = D(60_000)

    def read_answer(*_):
        raise RuntimeError("a fault of our own")

    house.broker.read_answer = read_answer
    rows = house.run(CONFIG.format(a="orders = all", risk=""))
    assert [row["outcome"] for row in rows] == ["unresolved", "not_sent", "not_sent"]
    assert "the order before it ended in a fault" in rows[1]["reason"]
    assert len(house.broker.times("send")) == 1


def test_an_unresolved_order_blocks_its_login_until_it_is_known(house):
    house.broker.answers = [NoAnswer("cut")]
    house.broker.hide = True
    rows = house.run(CONFIG.format(a="quantity = 10", risk="") + SECOND)
    assert [row["outcome"] for row in rows] == ["unresolved", "not_sent"]
    assert "is unresolved" in rows[1]["reason"]
    assert len(house.broker.times("send")) == 1
    asked = [at for at in house.broker.times("orders") if at > house.bell_s]
    assert asked[0] - house.bell_s < 5
    assert all(later - earlier <= 2.5 for earlier, later in pairwise(asked))
    assert asked[-1] <= house.bell_s + 30


def test_what_an_earlier_run_left_unresolved_is_asked_first(house):
    house.broker.answers = [NoAnswer("cut")]
    house.broker.hide = True
    house.run(CONFIG.format(a="quantity = 10", risk=""))
    house.broker.hide = False
    sent = len(house.broker.times("send"))
    (row,) = house.run(CONFIG.format(a="quantity = 10", risk=""), bell_in_s=5, name="again")
    assert row["outcome"] == "unresolved"
    assert len(house.broker.times("send")) == sent
    house.clock.sleep(100)
    (row,) = house.run(CONFIG.format(a="quantity = 10", risk=""), bell_in_s=200, name="third")
    assert row["outcome"] == "accepted"
    assert row["client_order_id"].endswith("-r2")


def plan_name(house):
    day = instant(house.clock.wall_ns() + BELL_IN_S * S).date()
    return client_order_id(day, "shahr", "u", "IRO1MHRN0001", Side.BUY, 0)


def claim(house, owner, bell_ns):
    name = plan_name(house)
    day = instant(house.clock.wall_ns() + BELL_IN_S * S).date()
    order = Order(name, "Order_A", "shahr", "IRO1MHRN0001", Side.BUY, D(5860), D(170_018), day)
    key = login_key("shahr", "u")
    house.journal.claim(Intent(order, key, name, bell_ns, frozenset()), "other", owner)
    return name


def test_a_second_run_sends_nothing_and_reports_the_first_ones_order(house):
    (first,) = house.run()
    (second,) = house.run(bell_in_s=5, name="again")
    assert second["outcome"] == "accepted"
    assert second["client_order_id"] == first["client_order_id"]
    assert second["attempts"] == []
    assert len(house.broker.times("send")) == 1


def test_another_living_owner_is_named(house):
    owner = Owner("another-machine", 4711, 0.0)
    claim(house, owner, 2**62)
    (row,) = house.run()
    assert row["outcome"] == "not_sent"
    assert "process 4711 on another-machine has claimed this order, in run other" in row["reason"]


def test_a_dead_owner_before_its_bell_is_taken_over(house):
    claim(house, Owner(this_process().host, 2**22 + 1, 0.0), 2**62)
    (row,) = house.run()
    assert row["outcome"] == "accepted"


def test_a_dead_owner_after_its_bell_leaves_it_unresolved(house):
    name = claim(house, Owner(this_process().host, 2**22 + 1, 0.0), 1)
    (row,) = house.run()
    assert (row["outcome"], row["client_order_id"]) == ("unresolved", name)
    assert house.broker.times("send") == []


def test_the_total_over_all_logins_counts_what_others_have_claimed_meanwhile(house):
    day = instant(house.clock.wall_ns() + BELL_IN_S * S).date()
    other = Order("other", "Order_X", "gs", "IRO1MHRN0001", Side.BUY, D(5860), D(170_000), day)

    def estimate(*_):
        # Between this login's plan and its claim, another login claims.
        house.journal.claim(Intent(other, "elsewhere", "other", 2**62, frozenset()), "run", this_process())

    house.broker.estimate = estimate
    (row,) = house.run(CONFIG.format(a="", risk="max_total_value = 1500000000"))
    assert row["outcome"] == "not_sent"
    assert "max_total_value: 1,992,505,480, allowed at most 1,500,000,000" in row["reason"]
    assert house.broker.times("send") == []
