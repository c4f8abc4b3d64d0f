"""What follows an attempt: the whole of it by itself, to the nanosecond and to the word."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from firstbell.brokers.base import Outcome, PreparedOrder
from firstbell.model.instrument import Instrument
from firstbell.model.order import Order
from firstbell.model.price_band import PriceBand
from firstbell.model.terms import AttemptOutcome, Side
from firstbell.oms.decision import Budget, Next, Step, after_not_sent, next_step, out_of, said
from firstbell.oms.final_check import FinalCheck
from firstbell.oms.pacing import Pacer
from firstbell.risk.checks import Limits, Surroundings
from firstbell.risk.trading_state import Halt, TradingState

BUDGET = Budget(3, 1000, 2000)
CLOSED = Outcome(AttemptOutcome.REJECTED, 1017, "closed", again=True)
TOKEN = Outcome(AttemptOutcome.REJECTED, None, "401", again=True, token_ended=True)


@pytest.mark.parametrize(("monotonic_ns", "wall_ns", "over"), [(1000, 2000, False), (1001, 0, True), (0, 2001, True)])
def test_the_time_is_over_by_either_clock(monotonic_ns, wall_ns, over):
    assert BUDGET.is_over(monotonic_ns, wall_ns) is over


@pytest.mark.parametrize(
    ("outcome", "attempts", "again", "expected"),
    [
        (Outcome(AttemptOutcome.ACCEPTED), 9, True, Next(Step.PLACED)),
        (Outcome(AttemptOutcome.UNRESOLVED), 1, False, Next(Step.ASK)),
        # An answer that says "again" of what it does not say is refused is not believed.
        (Outcome(AttemptOutcome.UNRESOLVED, again=True), 1, False, Next(Step.ASK)),
        (Outcome(AttemptOutcome.REJECTED, 1011, "no money"), 1, False, Next(Step.REFUSED, 0, "1011 no money")),
        (CLOSED, 1, False, Next(Step.AGAIN, 500)),
        (CLOSED, 2, True, Next(Step.AGAIN, 500)),
        (TOKEN, 1, False, Next(Step.LOG_IN_AND_AGAIN, 500)),
        (TOKEN, 1, True, Next(Step.REFUSED, 0, "the broker refused the token again after a new log-in")),
        (
            CLOSED,
            3,
            False,
            Next(
                Step.GIVE_UP, 0, "the budget of 3 attempts per order is spent; the last answer: 1017 closed", spent=True
            ),
        ),
    ],
)
def test_the_whole_decision(outcome, attempts, again, expected):
    assert next_step(outcome, attempts, again, 500, BUDGET) == expected


LATE = "the time to give up came before another attempt was allowed"


def test_an_attempt_has_to_be_allowed_before_the_time_is_over():
    assert next_step(CLOSED, 1, False, 999, BUDGET) == Next(Step.AGAIN, 999)
    assert next_step(CLOSED, 1, False, 1000, BUDGET) == Next(Step.GIVE_UP, 0, f"{LATE}; the last answer: 1017 closed")
    assert after_not_sent("refused", 1, 999, BUDGET) == Next(Step.AGAIN, 999)
    assert after_not_sent("refused", 1, 1000, BUDGET) == Next(Step.GIVE_UP, 0, f"{LATE}; nothing left: refused")
    assert not after_not_sent("refused", 3, 0, BUDGET).spent
    assert out_of(3, 1000, BUDGET).startswith("the budget of 3")


@pytest.mark.parametrize(
    ("code", "message", "words"),
    [
        (1011, "no money", "1011 no money"),
        (None, "no money", "no money"),
        (1011, None, "1011 no words"),
        (None, "", "no words"),
    ],
)
def test_a_refusal_in_one_line(code, message, words):
    assert said(Outcome(AttemptOutcome.REJECTED, code, message)) == words


@pytest.mark.parametrize("bad", [0, -1])
def test_without_an_interval_there_is_no_pace(bad):
    with pytest.raises(ValueError, match="is none"):
        Pacer(bad)


def test_a_pace_of_a_nanosecond_is_one():
    pacer = Pacer(1)
    assert (pacer.interval_ns, pacer.last_ns, pacer.earliest(5)) == (1, None, 5)
    pacer.sent(5)
    assert (pacer.last_ns, pacer.earliest(5), pacer.earliest(7)) == (5, 6, 7)


def test_of_pauses_that_were_asked_for_the_longest_holds():
    pacer = Pacer(10)
    assert pacer.pause_left_ns(0) == 0
    pacer.pause(100)
    pacer.pause(70)
    pacer.sent(60)
    assert (pacer.earliest(0), pacer.earliest(120)) == (100, 120)
    assert (pacer.pause_left_ns(40), pacer.pause_left_ns(100), pacer.pause_left_ns(101)) == (60, 0, 0)
    pacer.sent(95)
    assert pacer.earliest(0) == 105


ORDER = Order("a", "A", "gs", "IRO1MHRN0001", Side.BUY, Decimal(5860), Decimal(100), date(2026, 11, 21))
OTHER = Order("b", "A", "gs", "IRO1MHRN0001", Side.BUY, Decimal(5860), Decimal(100), date(2026, 11, 21))
BAND = PriceBand(Decimal(5520), Decimal(5860))
AROUND = Surroundings(
    Instrument("IRO1MHRN0001", "", "", BAND, Decimal(1), Decimal(400_000), Decimal(1)),
    Decimal(10),
    Limits(),
    Decimal(0),
    0,
)


def checked(prepared_for=ORDER, around=AROUND, state=TradingState.ACTIVE, halt=None):
    check = FinalCheck({} if around is None else {"a": around}, lambda: state, Pacer(350_000_000, 0), lambda: halt)
    return check.why_not(ORDER, PreparedOrder(prepared_for, "POST", "http://127.0.0.1", "/", {}, b""), 350_000_000)


def test_bytes_of_another_order_never_leave():
    assert checked() is None
    assert checked(OTHER) == "final check: bytes of b, allowed this order's"


def test_without_anything_to_judge_it_against_nothing_leaves():
    assert checked(around=None) == (
        "final check: nothing to judge it against, allowed a known instrument and known limits"
    )


def test_every_reason_stands_in_one_line():
    assert checked(OTHER, state=TradingState.HALTED) == (
        "trading state: HALTED, allowed cancels only; final check: bytes of b, allowed this order's"
    )


def test_who_halted_and_why_is_said():
    halt = Halt(datetime(2026, 1, 5, 5, 15, tzinfo=UTC), "the trader", "wrong price")
    assert checked(state=TradingState.HALTED, halt=halt) == (
        "trading state: HALTED since 2026-01-05 08:45:00+03:30 by the trader (wrong price), allowed cancels only"
    )
    assert checked(halt=halt) is None, "it was ended between the two looks"
    assert checked(state=TradingState.HALTED, halt=replace(halt, state=TradingState.REDUCING)) == (
        "trading state: HALTED, allowed cancels only"
    )
