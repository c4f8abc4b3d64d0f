"""Up to six reports on an order, in every order of arrival, some of them twice: always the same state in the end."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import combinations, permutations

import pytest

from firstbell.model.order import Order, OrderState
from firstbell.model.order_status import IllegalMove, OrderStatus, ReportKind
from firstbell.model.report import ExecutionReport, Fill
from firstbell.model.terms import Side

D = Decimal
K = ReportKind
AT = datetime(2026, 11, 21, 5, 15, tzinfo=UTC)
ORDER = Order("n", "A", "gs", "IRO1MHRN0001", Side.BUY, D(5860), D(100), date(2026, 11, 21))


def report(kind, **facts):
    return ExecutionReport("n", "run", kind, AT, **facts)


def trade(number, size, price, kind=K.PARTIALLY_FILLED, **facts):
    return report(kind, fill=Fill(f"t{number}", D(size), D(price)), **facts)


SUBMITTED = report(K.SUBMITTED)
ACCEPTED = report(K.ACCEPTED, venue_order_id="77")
ASKED_TO_CHANGE = report(K.PENDING_REPLACE)
ASKED_TO_CANCEL = report(K.PENDING_CANCEL)

HISTORIES = {
    "one fill": ([], [ACCEPTED, trade(1, 100, 5850, K.FILLED)]),
    "three fills": (
        [],
        [ACCEPTED, trade(1, 33, 5840), trade(2, 33, 5850), trade(3, 34, 5860, K.FILLED)],
    ),
    "five fills": (
        [],
        [ACCEPTED, *(trade(n, 20, 5840 + 5 * n) for n in range(4)), trade(4, 20, 5860, K.FILLED)],
    ),
    "some of it": ([], [ACCEPTED, trade(1, 7, 5841), trade(2, 11, 5843)]),
    "canceled after fills": (
        [],
        [ACCEPTED, trade(1, 10, 5850), trade(2, 20, 5855), trade(3, 30, 5860), report(K.CANCELED)],
    ),
    "expired after fills": ([], [ACCEPTED, trade(1, 10, 5850), trade(2, 20, 5855), report(K.EXPIRED, cum_qty=D(30))]),
    "canceled before any": ([], [ACCEPTED, report(K.CANCELED, cum_qty=D(0))]),
    "canceled while it filled": (
        [ACCEPTED, ASKED_TO_CANCEL],
        [trade(1, 60, 5850), trade(2, 40, 5860, K.FILLED), report(K.CANCEL_REJECTED)],
    ),
    "canceled as asked": (
        [ACCEPTED, ASKED_TO_CANCEL],
        [trade(1, 60, 5850), trade(2, 10, 5860), report(K.CANCELED)],
    ),
    "sums alone": (
        [],
        [ACCEPTED, report(K.PARTIALLY_FILLED, cum_qty=D(40)), report(K.PARTIALLY_FILLED, cum_qty=D(70))],
    ),
    "sums and trades": (
        [],
        [
            ACCEPTED,
            trade(1, 40, 5850),
            report(K.PARTIALLY_FILLED, cum_qty=D(40)),
            trade(2, 60, 5860, K.FILLED),
            report(K.FILLED, cum_qty=D(100)),
        ],
    ),
    "both in one": (
        [],
        [
            ACCEPTED,
            trade(1, 40, 5850, cum_qty=D(40)),
            trade(2, 35, 5853, cum_qty=D(75)),
            trade(3, 25, 5860, K.FILLED, cum_qty=D(100)),
        ],
    ),
    "replaced in price": (
        [ACCEPTED, ASKED_TO_CHANGE],
        [
            trade(1, 30, 5850),
            report(K.REPLACED, price=D(5855)),
            trade(2, 30, 5855),
            trade(3, 40, 5855, K.FILLED),
        ],
    ),
    "replaced in price, then canceled": (
        [ACCEPTED, ASKED_TO_CHANGE],
        [trade(1, 30, 5850), report(K.REPLACED, price=D(5855)), trade(2, 30, 5855), report(K.CANCELED)],
    ),
    "replaced by hand at the broker": (
        [],
        [ACCEPTED, trade(1, 30, 5850), report(K.REPLACED, price=D(5855)), trade(2, 30, 5855)],
    ),
    "replaced by less": (
        [ACCEPTED, ASKED_TO_CHANGE],
        [trade(1, 30, 5850), report(K.REPLACED, quantity=D(60)), trade(2, 30, 5855, K.FILLED)],
    ),
    "replaced by more": (
        [ACCEPTED, ASKED_TO_CHANGE],
        [trade(1, 60, 5850), trade(2, 40, 5855), report(K.REPLACED, quantity=D(150)), trade(3, 20, 5855)],
    ),
    "replaced by more and filled": (
        [ACCEPTED, ASKED_TO_CHANGE],
        [trade(1, 60, 5850), trade(2, 40, 5855), report(K.REPLACED, quantity=D(150)), trade(3, 50, 5855, K.FILLED)],
    ),
    "replaced by more, then canceled": (
        [ACCEPTED, ASKED_TO_CHANGE],
        [trade(1, 60, 5850), report(K.REPLACED, quantity=D(150)), trade(2, 60, 5855), report(K.CANCELED)],
    ),
    "replaced by less, then expired": (
        [ACCEPTED, ASKED_TO_CHANGE],
        [trade(1, 20, 5850), report(K.REPLACED, quantity=D(60)), trade(2, 20, 5855), report(K.EXPIRED)],
    ),
    "not replaced": (
        [ACCEPTED, ASKED_TO_CHANGE],
        [trade(1, 20, 5850), report(K.REPLACE_REJECTED), trade(2, 20, 5855), report(K.CANCELED)],
    ),
}


def end(beginning, arriving):
    """Where an order comes to, reports that do not fit being left out."""
    state = OrderState(ORDER)
    for each in (SUBMITTED, *beginning, *arriving):
        try:
            state = state.after(each)
        except IllegalMove:
            continue
    return state


def facts(state):
    told = state.status, state.filled_qty, state.avg_px, state.trade_ids, state.venue_order_id
    return *told, state.price, state.quantity, state.leaves_qty


def with_duplicates(reports, most=6):
    """The reports as they are, and with one or more of them twice, up to six in all."""
    yield reports
    for count in range(1, most - len(reports) + 1):
        for doubled in combinations(reports, count):
            yield [*reports, *doubled]


@pytest.mark.parametrize("name", HISTORIES)
def test_every_order_of_arrival_ends_in_the_same_state(name):
    beginning, reports = HISTORIES[name]
    truth = facts(end(beginning, reports))
    for told in with_duplicates(reports):
        for arriving in permutations(told):
            assert facts(end(beginning, arriving)) == truth, [str(each.kind) for each in arriving]


@pytest.mark.parametrize("name", [name for name, (_, reports) in HISTORIES.items() if ACCEPTED in reports])
def test_that_it_was_accepted_need_not_be_told_where_something_else_says_so(name):
    """Whatever is lost, what is told afterwards makes up for it; but for the broker's name, which nothing else has."""
    beginning, reports = HISTORIES[name]
    status, *told = facts(end(beginning, reports))
    rest = [each for each in reports if each is not ACCEPTED]
    for arriving in permutations(rest):
        state = end(beginning, arriving)
        assert (state.status, state.filled_qty, state.avg_px) == (status, told[0], told[1])


def test_a_lost_sum_is_made_up_for_by_the_trades_and_a_lost_trade_by_the_sum():
    beginning, reports = HISTORIES["both in one"]
    for lost in permutations(reports[1:], 1):
        for arriving in permutations([each for each in reports if each not in lost]):
            state = end(beginning, arriving)
            last_was_lost = lost[0] is reports[-1]
            assert state.filled_qty == (75 if last_was_lost else 100)
            assert state.status is (OrderStatus.PARTIALLY_FILLED if last_was_lost else OrderStatus.FILLED)
