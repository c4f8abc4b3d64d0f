from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from firstbell.journal.base import Owner
from firstbell.journal.owner import this_process
from firstbell.model.terms import AttemptOutcome
from firstbell.oms.run_budget import RunBudget

ELSEWHERE = Owner("elsewhere#1", 7, 1.0)
S = 1_000_000_000


@dataclass
class Read:
    """What the journal says of a run: how often it is asked, and each order's owner and attempts."""

    orders: list
    asked: int = 0

    def entries(self, *, run_id):
        assert run_id == "run"
        self.asked += 1
        return [
            SimpleNamespace(
                owner=owner, state=SimpleNamespace(attempts=[SimpleNamespace(outcome=each) for each in outcomes])
            )
            for owner, outcomes in self.orders
        ]


@pytest.fixture
def journal():
    return Read([])


def test_it_is_spent_to_the_last_attempt(journal, stepped_clock):
    budget = RunBudget(3, "run", journal, stepped_clock)
    assert [budget.take() for _ in range(4)] == [None, None, None, "the budget of 3 attempts per run is spent"]
    budget.give_back()
    assert budget.take() is None
    assert budget.take() is not None
    assert journal.asked == 0


def test_what_other_processes_sent_counts_and_what_never_left_does_not(journal, stepped_clock):
    budget = RunBudget(5, "run", journal, stepped_clock, shared=True)
    assert budget.take() is None
    journal.orders = [
        (ELSEWHERE, [AttemptOutcome.REJECTED, AttemptOutcome.NOT_SENT, AttemptOutcome.UNRESOLVED]),
        (ELSEWHERE, [AttemptOutcome.REJECTED]),
        (this_process(), [AttemptOutcome.REJECTED] * 9),
    ]
    stepped_clock.move_to(S)
    assert budget.take() is None
    assert budget.take() is not None


def test_the_journal_is_asked_once_a_second_and_never_for_the_first_attempt(journal, stepped_clock):
    stepped_clock.move_to(5 * S)
    budget = RunBudget(100, "run", journal, stepped_clock, shared=True)
    stepped_clock.move_to(50 * S)
    budget.take()
    assert journal.asked == 0
    for at_ns in (50 * S, 50 * S + 1, 51 * S - 1):
        stepped_clock.move_to(at_ns)
        budget.take()
    assert journal.asked == 1
    stepped_clock.move_to(51 * S)
    budget.take()
    assert journal.asked == 2
