from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import ClassVar

import pytest

from firstbell.brokers.base import Answer, Outcome, PreparedOrder
from firstbell.errors import CaptchaError, FirstbellError, NoAnswer, NotSent, WrongPassword
from firstbell.journal.base import Claimed, Intent
from firstbell.journal.owner import this_process
from firstbell.journal.sqlite import SqliteJournal
from firstbell.log import hide
from firstbell.model.instant import instant
from firstbell.model.instrument import Instrument
from firstbell.model.order import Order
from firstbell.model.order_status import OrderStatus
from firstbell.model.price_band import PriceBand
from firstbell.model.terms import AttemptOutcome, OrderOutcome, Side
from firstbell.oms.aim import OurClock
from firstbell.oms.attempts import Attempts, Desk
from firstbell.oms.carrier import PlainCarrier
from firstbell.oms.decision import Budget
from firstbell.oms.final_check import FinalCheck
from firstbell.oms.pace_file import PaceFile
from firstbell.oms.pacing import Pacer
from firstbell.oms.run_budget import RunBudget
from firstbell.risk.checks import Limits, Surroundings
from firstbell.risk.trading_state import TradingState

MS = 1_000_000
NAME = "fb-20261121-0011aabbccdd-0"
ORDER = Order(NAME, "Order_A", "gs", "IRO1MHRN0001", Side.BUY, Decimal(5860), Decimal(100), date(2026, 11, 21))
BAND = PriceBand(Decimal(5520), Decimal(5860))
INSTRUMENT = Instrument("IRO1MHRN0001", "", "", BAND, Decimal(1), Decimal(400_000), Decimal(1))
AROUND = Surroundings(INSTRUMENT, Decimal(10), Limits(), Decimal(0), 0)
ACCEPTED = Outcome(AttemptOutcome.ACCEPTED, venue_order_id="77")
CLOSED = Outcome(AttemptOutcome.REJECTED, 1017, "بازار در وضعیت سفارش گیری نمی باشد.", again=True)
TOO_SOON = Outcome(AttemptOutcome.REJECTED, 1018, "too soon", again=True)
NO_MONEY = Outcome(AttemptOutcome.REJECTED, 1011, "no money")
UNKNOWN = Outcome(AttemptOutcome.UNRESOLVED, 9999, "?")
TOKEN = Outcome(AttemptOutcome.REJECTED, None, "401", again=True, token_ended=True)
LIMITED = Outcome(AttemptOutcome.REJECTED, None, "429", again=True, retry_after=2.0)


class ScriptedBroker:
    """Answers each sending with the next line of its script, 8 ms after it was sent."""

    def __init__(self, clock, script):
        self.clock = clock
        self.script = list(script)
        self.sent_ns = []
        self.tokens = ["first"]
        self.used = []

    def prepare(self, order):
        return PreparedOrder(order, "POST", "http://127.0.0.1", "/o", {"Authorization": self.tokens[-1]}, b"{}")

    def send(self, prepared, *, timeout_s):
        assert timeout_s == 5
        step = self.script.pop(0)
        if isinstance(step, NotSent):
            raise step
        self.sent_ns.append(self.clock.now_ns)
        self.used.append(prepared.headers["Authorization"])
        sent_wall = self.clock.wall_ns()
        self.clock.sleep(0.008)
        if isinstance(step, NoAnswer):
            raise step
        self.last = step
        return Answer(200, {}, self.body, sent_wall, 0, self.clock.wall_ns(), 8 * MS)

    def read_answer(self, *_):
        return self.last

    def forget_token(self):
        self.tokens.append("none")

    login_error = None
    body = b"{}"

    def login(self):
        assert self.tokens[-1] == "none"
        if self.login_error is not None:
            raise self.login_error
        self.tokens.append("second")


class SteppedInterrupt:
    def __init__(self, clock, stop_at_ns=None, late_ns=0):
        self.clock = clock
        self.late_ns = late_ns
        self.stop_at_ns = stop_at_ns

    is_halt = False
    why = "stopped"

    def is_set(self):
        return self.stop_at_ns is not None and self.clock.now_ns >= self.stop_at_ns

    def wait_until(self, monotonic_ns):
        if self.stop_at_ns is not None and monotonic_ns >= self.stop_at_ns:
            self.clock.move_to(self.stop_at_ns)
            return True
        self.clock.move_to(monotonic_ns + self.late_ns)
        return False


class Heard:
    def __init__(self):
        self.attempts = []

    def attempted(self, _order, attempt, _answer, _outcome):
        self.attempts.append(attempt.outcome)


@pytest.fixture
def fire(tmp_path, stepped_clock):
    journals = []

    def fire_(
        script,
        *,
        stop_at_ns=None,
        give_up_ns=30_000 * MS,
        max_attempts=100,
        fire_at_ns=100 * MS,
        late_ns=0,
        around=AROUND,
        state=TradingState.ACTIVE,
        last_ns=None,
        run_attempts=100,
        aim=None,
        body=b"{}",
        login_error=None,
        shared=None,
        longest_pause_ns=None,
    ):
        journal = SqliteJournal(tmp_path / "journal.db", stepped_clock)
        journals.append(journal)
        bell_ns = stepped_clock.wall_ns() + 100 * MS
        claimed = journal.claim(Intent(ORDER, "login", NAME, bell_ns, frozenset()), "run", this_process())
        assert isinstance(claimed, Claimed)
        broker = ScriptedBroker(stepped_clock, script)
        broker.body, broker.login_error = body, login_error
        heard = Heard()
        wall_ns = stepped_clock.wall_ns()
        ends_ns = fire_at_ns + give_up_ns
        budget = Budget(max_attempts, ends_ns, wall_ns + ends_ns, longest_pause_ns=longest_pause_ns)
        interrupt = SteppedInterrupt(stepped_clock, stop_at_ns, late_ns)
        pacer = Pacer(350 * MS, last_ns, shared, ahead=shared is not None)
        broker.halts = []
        broker.run_budget = run_budget = RunBudget(run_attempts, "run", journal, stepped_clock)
        broker.pacer = pacer
        desk = Desk(
            broker=broker,
            carrier=PlainCarrier(broker, stepped_clock, interrupt, budget, pacer),
            journal=journal,
            writer=journal,
            clock=stepped_clock,
            pacer=pacer,
            budget=budget,
            run_budget=run_budget,
            check=FinalCheck(
                {} if around is None else {NAME: around},
                state if callable(state) else lambda: state,
                pacer,
                lambda: None,
            ),
            interrupt=interrupt,
            halt=broker.halts.append,
            aim=OurClock(bell_ns) if aim is None else aim(bell_ns),
            run_id="run",
            watcher=heard,
        )
        state = Attempts(desk, ORDER, broker.prepare(ORDER)).run(fire_at_ns)
        assert journal.entry(NAME).state == state
        assert heard.attempts == [attempt.outcome for attempt in state.attempts]
        return state, broker

    yield fire_
    for journal in journals:
        journal.close()


def test_one_attempt_at_the_bell_and_no_more_after_the_accept(fire):
    state, broker = fire([ACCEPTED])
    assert (state.status, state.venue_order_id) == (OrderStatus.ACCEPTED, "77")
    assert broker.sent_ns == [100 * MS]
    (attempt,) = state.attempts
    assert (attempt.lateness_us, attempt.round_trip_us, attempt.number) == (0, 8000, 1)


def test_too_early_and_too_soon_are_sent_again_no_faster_than_the_interval(fire):
    state, broker = fire([CLOSED, TOO_SOON, CLOSED, ACCEPTED])
    assert state.outcome is OrderOutcome.ACCEPTED
    assert broker.sent_ns == [100 * MS, 450 * MS, 800 * MS, 1150 * MS]
    assert [a.code for a in state.attempts] == [1017, 1018, 1017, None]
    assert state.attempts[1].lateness_us == 350_000


@pytest.mark.parametrize(("turns_ms", "attempts"), [(1000, 1), (2200, 2)])
def test_a_buy_that_waits_for_its_next_attempt_sees_that_trading_has_begun_to_reduce(
    fire, stepped_clock, turns_ms, attempts
):
    def state():
        return TradingState.ACTIVE if stepped_clock.now_ns < turns_ms * MS else TradingState.REDUCING

    found, broker = fire([LIMITED, ACCEPTED], state=state)
    assert len(broker.sent_ns) == attempts
    assert (found.outcome is OrderOutcome.ACCEPTED) is (attempts == 2)
    if attempts == 1:
        assert "trading state: REDUCING" in found.reason


@pytest.mark.parametrize("silence", [NoAnswer("cut"), UNKNOWN])
def test_what_nobody_answered_is_never_sent_again(fire, silence):
    state, broker = fire([CLOSED, silence, ACCEPTED])
    assert state.unresolved
    assert state.outcome is OrderOutcome.UNRESOLVED
    assert len(broker.sent_ns) == 2


def test_a_refusal_for_good_ends_it(fire):
    state, broker = fire([NO_MONEY, ACCEPTED])
    assert state.status is OrderStatus.REJECTED
    assert state.reason == "1011 no money"
    assert len(broker.sent_ns) == 1


def test_what_never_left_may_be_tried_again(fire):
    state, broker = fire([NotSent("refused"), NotSent("refused"), ACCEPTED])
    assert state.outcome is OrderOutcome.ACCEPTED
    assert [a.outcome for a in state.attempts] == ["NOT_SENT", "NOT_SENT", "ACCEPTED"]
    assert state.attempts[0].sent_at is None
    assert broker.sent_ns == [800 * MS]


def test_an_order_of_which_nothing_ever_left_is_not_sent(fire):
    state, _ = fire([NotSent("refused")] * 200, give_up_ns=2_000 * MS)
    assert state.status is OrderStatus.DENIED
    assert state.outcome is OrderOutcome.NOT_SENT
    assert "nothing left: refused" in state.reason


def test_giving_up_on_a_closed_market_is_a_rejection_with_the_last_answer(fire):
    state, broker = fire([CLOSED] * 100, give_up_ns=1_000 * MS)
    assert state.status is OrderStatus.REJECTED
    assert "1017" in state.reason
    assert broker.sent_ns == [100 * MS, 450 * MS, 800 * MS]


def test_the_budget_of_attempts_holds(fire):
    state, broker = fire([CLOSED] * 100, max_attempts=5)
    assert len(broker.sent_ns) == 5
    assert "budget of 5 attempts per order is spent" in state.reason
    assert state.status is OrderStatus.REJECTED
    assert broker.halts == [f"Order_A: {state.reason}"]


def test_the_budget_of_the_run_holds(fire):
    state, broker = fire([CLOSED] * 100, run_attempts=4)
    assert len(broker.sent_ns) == 4
    assert state.reason == "the budget of 4 attempts per run is spent"
    assert state.status is OrderStatus.REJECTED
    assert broker.halts == [f"Order_A: {state.reason}"]


def test_what_never_left_costs_the_run_nothing_and_halts_nobody(fire):
    state, broker = fire([NotSent("refused")] * 5 + [ACCEPTED], run_attempts=1)
    assert state.outcome is OrderOutcome.ACCEPTED
    assert broker.halts == []


def test_a_host_that_is_never_reached_ends_the_order_and_halts_nobody(fire):
    state, broker = fire([NotSent("refused")] * 9, max_attempts=3)
    assert state.status is OrderStatus.DENIED
    assert broker.halts == []


@pytest.mark.parametrize(
    ("around", "state", "rule"),
    [
        (None, TradingState.ACTIVE, "final check: nothing to judge it against"),
        (replace(AROUND, limits=Limits(max_order_value=Decimal(585_999))), TradingState.ACTIVE, "max_order_value: 586"),
        (AROUND, TradingState.HALTED, "trading state: HALTED, allowed cancels only"),
        (AROUND, TradingState.REDUCING, "trading state: REDUCING, allowed sells only"),
    ],
)
def test_what_fails_the_final_check_never_leaves(fire, around, state, rule):
    ended, broker = fire([ACCEPTED], around=around, state=state)
    assert broker.sent_ns == []
    assert ended.status is OrderStatus.DENIED
    assert ended.reason.startswith(rule)
    assert broker.halts == []


def test_the_interval_counts_from_what_an_earlier_run_sent(fire):
    state, broker = fire([ACCEPTED], last_ns=50 * MS)
    assert state.outcome is OrderOutcome.ACCEPTED
    assert broker.sent_ns == [400 * MS]


def test_an_ended_token_costs_one_log_in_and_no_more(fire):
    state, broker = fire([TOKEN, ACCEPTED])
    assert state.outcome is OrderOutcome.ACCEPTED
    assert broker.used == ["first", "second"]
    assert broker.sent_ns[1] - broker.sent_ns[0] >= 350 * MS


def test_a_token_refused_twice_ends_it(fire):
    state, broker = fire([TOKEN, TOKEN, ACCEPTED])
    assert state.status is OrderStatus.REJECTED
    assert len(broker.sent_ns) == 2


def test_a_turn_behind_a_long_pause_is_reserved_once_it_is_near(fire, tmp_path):
    """Nobody believes what is written of an instant far ahead, so another process could send just before it."""
    kept = []

    class Kept(PaceFile):
        def reserve(self, at_ns, now_ns, interval_ns):
            slot_ns = super().reserve(at_ns, now_ns, interval_ns)
            other = PaceFile(tmp_path / "pace").take(slot_ns - 10 * MS, interval_ns)
            kept.append(other >= slot_ns + interval_ns)
            return slot_ns

        def take(self, now_ns, interval_ns):
            del interval_ns  # A lane asks no more.
            return now_ns

    pause = replace(LIMITED, retry_after=20.0)
    state, broker = fire([pause, ACCEPTED], give_up_ns=60_000 * MS, shared=Kept(tmp_path / "pace"))
    assert state.outcome is OrderOutcome.ACCEPTED
    assert broker.sent_ns == [100 * MS, 20_108 * MS]
    assert kept == [True, True]


def test_retry_after_is_obeyed(fire):
    _, broker = fire([LIMITED, ACCEPTED])
    assert broker.sent_ns[1] - broker.sent_ns[0] >= 2_000 * MS


@pytest.mark.parametrize("asked_s", [10, 60], ids=["within its time", "beyond it"])
def test_how_long_a_pause_is_that_is_not_waited_out_is_told(fire, asked_s):
    pause = replace(LIMITED, retry_after=float(asked_s))
    state, broker = fire([pause, ACCEPTED], longest_pause_ns=5_000 * MS)
    assert len(broker.sent_ns) == 1
    assert state.reason.startswith(f"the broker asks for a pause of {asked_s} s; the last answer: ")


def test_a_process_that_was_held_up_past_its_time_sends_nothing(fire):
    state, broker = fire([ACCEPTED], late_ns=31_000 * MS)
    assert broker.sent_ns == []
    assert state.status is OrderStatus.DENIED
    assert "time to give up had passed" in state.reason


def test_stopped_before_the_bell_nothing_leaves(fire):
    state, broker = fire([ACCEPTED], stop_at_ns=50 * MS)
    assert broker.sent_ns == []
    assert state.status is OrderStatus.DENIED
    assert state.reason == "stopped before the bell"


def test_stopped_between_attempts_no_new_one_leaves(fire):
    state, broker = fire([CLOSED, ACCEPTED], stop_at_ns=200 * MS)
    assert len(broker.sent_ns) == 1
    assert state.status is OrderStatus.REJECTED
    assert state.reason == "stopped before the next attempt"


class Elsewhere(OurClock):
    """An exchange that is 2 ms away, and where again is later than it need be."""

    heard: ClassVar[list[int]] = []
    later_ns = 0

    def arrival_ns(self, sent_ns, sent_monotonic_ns):
        del sent_monotonic_ns
        return sent_ns + 2 * MS

    def again_ns(self, not_before_ns):
        return not_before_ns + self.later_ns

    def was_too_early(self, sent_monotonic_ns):
        self.heard.append(sent_monotonic_ns)


def test_everything_about_an_attempt_is_written_down(fire, stepped_clock):
    hide("t0ken-s3cret")
    refused = replace(CLOSED, message="closed t0ken-s3cret", too_early=True)
    began_ns = stepped_clock.wall_ns()
    Elsewhere.heard.clear()
    state, broker = fire([refused, ACCEPTED], aim=Elsewhere, body=b"t0ken-s3cret \xff answer")
    first, last = state.attempts
    sent_ns = began_ns + 100 * MS
    assert (first.number, first.sent_ns, first.sent_at) == (1, sent_ns, instant(sent_ns))
    assert (first.arrival_ns, first.lateness_us) == (sent_ns + 2 * MS, 2000)
    assert (first.answered_at, first.round_trip_us) == (instant(sent_ns + 8 * MS), 8000)
    assert (first.http_status, first.code, first.too_early) == (200, 1017, True)
    assert first.message.startswith("closed ")
    assert first.raw.endswith(" \ufffd answer")
    assert "s3cret" not in first.message + first.raw
    assert (last.number, last.code, last.message, last.too_early) == (2, None, None, False)
    assert Elsewhere.heard == [100 * MS]
    assert broker.pacer.last_ns == broker.sent_ns[-1]


def test_an_accept_needs_no_reason_whatever_it_says(fire):
    state, _ = fire([replace(ACCEPTED, message="well done")])
    assert state.reason is None
    assert state.attempts[0].message == "well done"


def test_what_nobody_answered_is_written_down_with_when_it_began(fire, stepped_clock):
    hide("t0ken-s3cret")
    began_ns = stepped_clock.wall_ns()
    state, broker = fire([CLOSED, NoAnswer("cut t0ken-s3cret")])
    attempt = state.attempts[-1]
    assert (attempt.number, attempt.outcome) == (2, AttemptOutcome.UNRESOLVED)
    assert attempt.sent_ns == began_ns + 450 * MS
    assert attempt.lateness_us == 350_000
    assert attempt.message.startswith("cut ")
    assert state.reason == attempt.message
    assert "s3cret" not in state.reason
    # The next order of this login waits from when the call ended: it may have left as late as that.
    assert broker.pacer.last_ns == 458 * MS


def test_what_never_left_is_numbered_and_says_why(fire):
    state, _ = fire([NotSent("refused"), NotSent("closed"), ACCEPTED])
    assert [(each.number, each.message) for each in state.attempts] == [(1, "refused"), (2, "closed"), (3, None)]
    assert [each.lateness_us for each in state.attempts[:2]] == [None, None]


@pytest.mark.parametrize("error", [WrongPassword("wrong password"), CaptchaError("no captcha")])
def test_a_log_in_that_fails_ends_the_order_with_its_words(fire, error):
    state, broker = fire([TOKEN, ACCEPTED], login_error=error)
    assert state.status is OrderStatus.REJECTED
    assert state.reason == f"the token ended and a new log-in failed: {error}"
    assert len(broker.sent_ns) == 1


def test_what_was_stopped_or_came_too_late_costs_the_run_nothing(fire):
    _, broker = fire([ACCEPTED], stop_at_ns=50 * MS, run_attempts=1)
    assert broker.run_budget.take() is None


def test_stopped_already_nothing_is_even_looked_at(fire):
    state, broker = fire([ACCEPTED], stop_at_ns=0, around=None)
    assert state.reason == "stopped before the bell"
    assert broker.sent_ns == []


@pytest.mark.parametrize(("later_ns", "second_ns"), [(0, 450 * MS), (50 * MS, 500 * MS), (10_000 * MS, 1095 * MS)])
def test_a_last_attempt_is_made_in_time_rather_than_at_the_best_instant(fire, later_ns, second_ns):
    aim = type("Later", (Elsewhere,), {"later_ns": later_ns})
    _, broker = fire([CLOSED, ACCEPTED], aim=aim, give_up_ns=1_000 * MS)
    assert broker.sent_ns == [100 * MS, second_ns]


def test_one_that_is_allowed_only_at_the_very_end_waits_for_that(fire):
    aim = type("Later", (Elsewhere,), {"later_ns": 10_000 * MS})
    _, broker = fire([CLOSED, ACCEPTED], aim=aim, give_up_ns=352 * MS)
    assert broker.sent_ns == [100 * MS, 450 * MS]


def test_the_words_of_one_that_was_held_up(fire):
    state, _ = fire([ACCEPTED], late_ns=31_000 * MS)
    assert state.reason == "the time to give up had passed before it could leave"


def test_an_order_that_is_gone_from_the_journal_is_a_fault(fire, monkeypatch):
    monkeypatch.setattr(SqliteJournal, "entry", lambda *_: None)
    with pytest.raises(FirstbellError, match="is not in the journal, though it was claimed"):
        fire([ACCEPTED])
