"""The oracle of the kills sees every kind of lie."""

from __future__ import annotations

import json

import pytest
from killing import oracle
from killing.matrix import of_recorded
from killing.scenario import SCENARIOS
from killing.strace import Point
from killing.venue import Account

ACCOUNT = Account("Order_Account1_Gs", "", "gs", "practice01", "IRO1MHRN0001")
SEEN = {"serial": 7, "price": 5860, "quantity": 100}
THERE = {ACCOUNT.section: [SEEN]}
NOT_THERE = {ACCOUNT.section: []}


def document(outcome, reason=None, **facts):
    row = {"account": ACCOUNT.section, "outcome": outcome, "reason": reason}
    row |= {"venue_order_id": "7", "price": 5860, "quantity": 100, **facts}
    counts = {each: int(each == outcome) for each in oracle.OUTCOMES}
    return {"summary": {"configured": 1, **counts}, "orders": [row]}


def judged(found, there, *, known=False):
    return oracle.judge(found, [ACCOUNT], there, known=known)


def test_the_truth():
    assert judged(document("accepted"), THERE, known=True) == []
    assert judged(document("rejected", "absent"), NOT_THERE, known=True) == []
    assert judged(document("not_sent", "denied"), NOT_THERE, known=True) == []
    assert judged(document("unresolved", "no answer"), THERE) == []
    assert judged(document("unresolved", "no answer"), NOT_THERE) == []
    assert judged(document("not_sent", "process 1 on vm has claimed this order, in run x"), THERE) == []


@pytest.mark.parametrize(
    ("found", "there", "words"),
    [
        (document("accepted"), NOT_THERE, "is not there"),
        (document("accepted", venue_order_id="8"), THERE, "7 5860 100 is there"),
        (document("accepted", price=5861), THERE, "5861"),
        (document("accepted", quantity=99), THERE, "99"),
        (document("rejected", "absent"), THERE, "and is there"),
        (document("not_sent", "denied"), THERE, "and is there"),
        (document("not_sent"), NOT_THERE, "without a reason"),
        (document("accepted"), {ACCOUNT.section: [SEEN, SEEN]}, "accepted 2 times"),
        ({**document("accepted"), "orders": []}, THERE, "accounts are"),
        ({**document("accepted"), "summary": {"configured": 1}}, THERE, "do not add up"),
    ],
)
def test_a_lie(found, there, words):
    assert words in " ".join(judged(found, there))


def test_what_has_to_be_known_in_the_end():
    assert "still unresolved" in judged(document("unresolved", "no answer"), THERE, known=True)[0]


@pytest.mark.parametrize("text", ["", '{"orders": [', '{"orders": [], "summary": {}}', json.dumps({"orders": []})])
def test_results_that_are_not_whole(tmp_path, text):
    folder = tmp_path / "order_results" / "run"
    folder.mkdir(parents=True)
    assert oracle.files(tmp_path, [ACCOUNT]) == []
    (folder / "orders.json").write_text(json.dumps(document("accepted")))
    assert oracle.files(tmp_path, [ACCOUNT]) == []
    (folder / "orders.json").write_text(text)
    assert oracle.files(tmp_path, [ACCOUNT])


def test_every_call_is_struck_but_of_those_that_change_nothing_only_some():
    recorded = [Point("sendto", 1, at_s=1.0), *(Point("newfstatat", n, at_s=1.0) for n in range(1, 1001))]
    struck = of_recorded(SCENARIOS["plain"], recorded, 0.0)
    assert struck[0] == recorded[0]
    assert len(struck) == 41
