"""The words that stand in journals, results and configs: once written they are read for years."""

from __future__ import annotations

import pytest

from firstbell.model.broker_codes import BROKER_CODES, EPHOENIX_CODES, MAIN_CODES, PAPER, PLANNED_CODES
from firstbell.model.order_status import DONE, PLACED, OrderStatus, ReportKind
from firstbell.model.terms import AttemptOutcome, OrderOutcome, OrderRole, OrderType, Side, TimeInForce

STATUSES = (
    "INITIALIZED DENIED SUBMITTED ACCEPTED PARTIALLY_FILLED FILLED REJECTED "
    "PENDING_CANCEL PENDING_REPLACE CANCELED EXPIRED"
)
KINDS = (
    "INITIALIZED DENIED SUBMITTED REFUSED UNRESOLVED ACCEPTED REJECTED PARTIALLY_FILLED FILLED "
    "PENDING_CANCEL CANCEL_REJECTED CANCELED PENDING_REPLACE REPLACE_REJECTED REPLACED TRIGGERED WITHDRAWN "
    "TAKEN_OVER HANDED_OVER EXPIRED"
)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (OrderStatus, STATUSES),
        (ReportKind, KINDS),
        (AttemptOutcome, "ACCEPTED REJECTED UNRESOLVED NOT_SENT"),
        (OrderOutcome, "accepted rejected unresolved not_sent"),
        (Side, "buy sell"),
        (OrderType, "limit market stop stop_limit trailing_stop"),
        (TimeInForce, "day gtc gtd ioc fok at_the_open at_the_close"),
        (OrderRole, "entry exit stop_loss take_profit"),
    ],
)
def test_the_words_of_a_journal_never_change(kind, words):
    assert {each.value for each in kind} == set(words.split())
    assert all(each.name == each.value.upper() for each in kind)


def test_what_is_done_and_what_is_placed():
    working = {
        OrderStatus.ACCEPTED,
        OrderStatus.PARTIALLY_FILLED,
        OrderStatus.PENDING_CANCEL,
        OrderStatus.PENDING_REPLACE,
    }
    ended = {OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.EXPIRED}
    assert working | ended == PLACED
    assert ended | {OrderStatus.DENIED, OrderStatus.REJECTED} == DONE


def test_the_codes_that_a_config_may_name():
    main = ["gs", "bbi", "shahr", "karamad", "tejarat", "shams"]
    siblings = ["ebb", "hbc", "rabin", "ayandeh", "farabi", "ideal", "ib"]
    assert list(EPHOENIX_CODES) == main + siblings
    assert list(MAIN_CODES) == main
    assert PAPER == "paper"
    assert list(BROKER_CODES) == [*main, *siblings, "paper"]
    assert set(BROKER_CODES) > {"paper"} > PLANNED_CODES == set()
    assert {code: BROKER_CODES[code] for code in EPHOENIX_CODES} == dict(EPHOENIX_CODES)


def test_every_firm_has_a_name_of_its_own():
    assert len(set(BROKER_CODES.values())) == len(BROKER_CODES)
    assert [BROKER_CODES[code] for code in ("gs", "bbi", "karamad", "ib", "paper")] == [
        "Ganjineh Sepehr",
        "Bourse Bimeh Iran",
        "Karamad",
        "IB Trader",
        "Paper trading",
    ]
