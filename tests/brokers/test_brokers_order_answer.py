"""What the broker's answer to an order means: the table that money depends on, line by line."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbell.brokers.base import Outcome
from firstbell.brokers.ephoenix.orders import AGAIN, KINDS, STOP, UNSAID_PAUSE_S, read_order_answer
from firstbell.model.refusals import RefusalKind
from firstbell.model.terms import AttemptOutcome

ACCEPTED, REJECTED, UNRESOLVED = AttemptOutcome.ACCEPTED, AttemptOutcome.REJECTED, AttemptOutcome.UNRESOLVED


def read(body: object, status: int = 200, **headers: str) -> Outcome:
    raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    return read_order_answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, raw)


@pytest.mark.parametrize(
    "body",
    [
        {"serialNumber": 4711},
        {"isSuccess": True, "errorCode": 0, "message": None, "serialNumber": 4711, "trackingNumber": 3},
        {"SerialNumber": "4711"},
        {"serialnumber": "۴۷۱۱"},
        {"serialNo": 4711},
        {"serial": 4711, "Code": 0},
        {"result": {"serialNumber": 4711}},
        {"data": {"serial": 4711, "tracking": 9}},
        {"isSuccess": True, "Result": {"SerialNumber": 4711, "errorCode": 0}},
        {"serialNumber": 4711, "result": {"serialNumber": 4711}},
        {"serialNumber": 4711.0},
        {"serialNumber": 4711, "errorCode": None, "Code": ""},
        {"isSuccess": "true", "serialNumber": 4711},
    ],
)
def test_an_order_with_its_serial_is_accepted(body: object) -> None:
    outcome = read(body)
    assert (outcome.outcome, outcome.venue_order_id) == (ACCEPTED, "4711")
    assert (outcome.code, outcome.again, outcome.token_ended) == (None, False, False)


@pytest.mark.parametrize(
    "body",
    [
        {"trackingNumber": 3},
        {"tracking": 3},
        {"result": {"trackingNumber": "3"}},
        {"isSuccess": True},
        {"isSuccess": True, "result": None, "errorCode": 0},
        {"isSuccess": True, "serialNumber": 0},
        {"serialNumber": 1, "serial": 2},
        {"isSuccess": True, "result": 1017},
        {"trackingNumber": 3, "serialNumber": "none yet"},
    ],
)
def test_an_accepted_order_whose_serial_is_not_said_has_none(body: object) -> None:
    """A tracking number repeats, so it is nobody's name: the lists will tell."""
    assert read(body) == Outcome(ACCEPTED)


@pytest.mark.parametrize("status", [200, 201, 204, 400, 403, 409, 422, 499])
@pytest.mark.parametrize("code", [*AGAIN, *STOP])
@pytest.mark.parametrize("key", ["Code", "code", "errorCode", "ErrorCode"])
def test_known_refusals(status: int, code: int, key: str) -> None:
    outcome = read({"Message": "بازار در وضعیت سفارش گیری نمی باشد.", key: code}, status)
    message = "بازار در وضعیت سفارش گیری نمی باشد."
    expected = Outcome(REJECTED, code, message, again=code in (1017, 1018), too_early=code == 1017, kind=KINDS[code])
    assert outcome == expected


def test_the_known_refusals_are_these() -> None:
    """Each new code must be known to be harmless; adding one here is a decision about money."""
    assert set(AGAIN) == {1017, 1018}
    assert set(STOP) == {1011, 1001, 1006}
    assert {
        1017: RefusalKind.MARKET_CLOSED,
        1018: RefusalKind.RATE,
        1011: RefusalKind.FUNDS,
        1001: RefusalKind.QUANTITY,
        1006: RefusalKind.QUANTITY,
    } == KINDS


@pytest.mark.parametrize(
    "body",
    [
        {"isSuccess": False, "errorCode": 1017},
        {"isSuccess": False, "Code": "1017"},
        {"isSuccess": False, "result": {"Code": 1017}},
        {"isSuccess": False, "error": {"code": "۱۰۱۷"}},
        {"Code": 1017, "errorCode": 1017},
        {"Code": 1017, "errorCode": 0},
        {"Code": 1017, "serialNumber": 0},
        {"Code": 1017, "trackingNumber": 3},
        {"isError": True, "code": 1017},
    ],
)
def test_a_refusal_written_in_other_ways(body: object) -> None:
    outcome = read(body)
    assert (outcome.outcome, outcome.code, outcome.again) == (REJECTED, 1017, True)


@pytest.mark.parametrize("code", [None, 0, "0", "", "absent"])
def test_no_success_without_a_code_is_a_refusal_at_200_alone(code: object) -> None:
    body = {"isSuccess": False, "message": "نه", "Code": code}
    if code == "absent":
        del body["Code"]
    assert read(body) == Outcome(REJECTED, None, "نه")
    for status in (201, 202, 400, 403, 404):
        assert read(body, status).outcome is UNRESOLVED


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", {"Code": 1011, "Message": "x"}, [1], b'{"a":1,"a":2}'])
def test_401_is_refused_and_asks_for_a_new_log_in(body: object) -> None:
    outcome = read(body, 401)
    assert (outcome.outcome, outcome.again, outcome.token_ended) == (REJECTED, True, True)
    assert outcome.kind is RefusalKind.AUTHENTICATION


@pytest.mark.parametrize("status", [401, 429])
@pytest.mark.parametrize(
    "body",
    [
        {"isSuccess": True},
        {"serialNumber": 4711},
        {"Code": 1017, "result": {"serial": "4711"}},
        {"result": {"order": [{"serialNumber": 4711}]}},
        {"isSuccess": {}, "serialNumber": 4711},
        {"serialNumber": 10**28},
        {"serialNumber": "fb-4711"},
        {"serialNumber": [4711]},
        [{"serialNumber": 4711}],
    ],
)
def test_a_refusing_status_with_an_accepting_body_is_no_certain_refusal(status: int, body: object) -> None:
    outcome = read(body, status, retry_after="1")
    assert (outcome.outcome, outcome.again, outcome.token_ended) == (UNRESOLVED, False, False)


@pytest.mark.parametrize(
    "body",
    [
        {"isSuccess": True, "serialNumber": 4711, "details": {"isSuccess": True, "errorCode": 0, "isError": False}},
        {"isSuccess": True, "serialNumber": 4711, "details": {"errorCode": None, "Code": 7, "serialNumber": 0}},
    ],
)
def test_what_stands_deeper_and_does_not_contradict_changes_nothing(body: object) -> None:
    assert read(body) == Outcome(ACCEPTED, None, None, "4711")


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ({}, UNSAID_PAUSE_S),
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": "0"}, 0.0),
        ({"retry_after": "1.5"}, 1.5),
        ({"retry_after": "soon"}, UNSAID_PAUSE_S),
        ({"retry_after": "-5"}, UNSAID_PAUSE_S),
        ({"retry_after": "9999999"}, 86_400.0),
        ({"retry_after": "Sat, 21 Nov 2026 08:45:10 GMT"}, UNSAID_PAUSE_S),
        ({"retry_after": "Sat, 21 Nov 2026 08:45:10 GMT", "date": "Sat, 21 Nov 2026 08:45:00 GMT"}, 10.0),
        ({"retry_after": "Sat, 21 Nov 2026 08:44:00 GMT", "date": "Sat, 21 Nov 2026 08:45:00 GMT"}, 0.0),
        ({"retry_after": "Sat, 99 Nov 2026 08:44:00 GMT", "date": "x"}, UNSAID_PAUSE_S),
    ],
)
def test_429_is_refused_and_never_hurried(said: dict[str, str], seconds: float) -> None:
    for body in (b"", b"<html>", {"Message": "x", "Code": 429}):
        outcome = read(body, 429, **said)
        assert outcome.kind is RefusalKind.RATE
        assert (outcome.outcome, outcome.again, outcome.retry_after) == (REJECTED, True, seconds)


@pytest.mark.parametrize(
    "body",
    [
        # Nothing in it says anything.
        {},
        {"result": None},
        {"result": 0},
        {"result": -1},
        {"result": 4711},
        {"result": 1020, "message": "x"},
        {"result": True},
        {"result": "ok"},
        {"serialNumber": 0},
        {"serialNumber": -3},
        {"serialNumber": None},
        {"serialNumber": "abc"},
        {"serialNumber": 1.5},
        {"message": "ثبت شد"},
        {"isSuccess": None},
        {"status": "accepted"},
        {"result": 1017},
        # Codes that nobody knows.
        {"Code": 1},
        {"Code": 1016, "Message": "x"},
        {"isSuccess": False, "errorCode": 9999},
        {"isSuccess": False, "errorCode": -1},
        {"errorCode": -1000, "serialNumber": 5},
        {"Code": 1017.5},
        {"isSuccess": False, "Code": 1017.5},
        {"Code": "E1017"},
        {"isSuccess": False, "Code": "E1017"},
        {"Code": [1017]},
        {"Code": True},
        {"isSuccess": False, "Code": {}},
        # Yes and no at once.
        {"isSuccess": True, "errorCode": 1017},
        {"isSuccess": True, "isError": True},
        {"isSuccess": True, "result": {"isSuccess": False}},
        {"isSuccess": False, "serialNumber": 4711},
        {"Code": 1017, "serialNumber": 4711},
        {"Code": 1011, "result": {"serialNumber": 4711}},
        {"Code": 1017, "serialNumber": 4711, "result": {"serialNumber": 4712}},
        {"Code": 1017, "serialNumber": 10**28},
        {"Code": 1017, "serialNumber": "fb-4711"},
        {"Code": 1018, "details": {"order": [{"SerialNo": "۴۷۱۱"}]}},
        {"Code": 1017, "details": {"isSuccess": "true"}},
        {"isSuccess": True, "serialNumber": 4711, "details": [{"isSuccess": False}]},
        {"isSuccess": True, "serialNumber": 4711, "result": {"result": {"errorCode": 1017}}},
        {"isSuccess": True, "serialNumber": 4711, "result": {"inner": {"isError": True}}},
        {"isSuccess": True, "serialNumber": 4711, "result": {"inner": {"errorCode": "E7"}}},
        {"serialNumber": 1, "SerialNumber": True},
        {"Code": 1017, "errorCode": 1018},
        {"Code": 1017, "result": {"Code": 1011}},
        {"isSuccess": True, "IsSuccess": False},
        {"code": 1017, "Code": 1018},
        # Unreadable.
        {"isSuccess": "perhaps"},
        {"isSuccess": 7, "serialNumber": 4711},
        {"isError": True},
        {"isError": "yes", "serialNumber": 4711},
        [],
        [{"serialNumber": 4711}],
        "serialNumber",
        4711,
        None,
        True,
        b"",
        b"   ",
        b"<html><body>4711</body></html>",
        b'{"serialNumber": 4711',
        b'{"serialNumber": 4711, "serialNumber": 4712}',
        b'{"serialNumber": NaN}',
        b'{"serialNumber": Infinity}',
        b'{"serialNumber": 1e999999}',
        b'{"serialNumber": ' + b"9" * 100 + b"}",
        b'{"serialNumber": 4711, "x": 1e99999999999999999999}',
        b'{"serialNumber": 4711, "x": 1e-99999999999999999999}',
        b'{"isSuccess": true, "x": ' + b"[" * 5000 + b"]" * 5000 + b"}",
        b"\xff\xfe",
    ],
)
def test_whatever_else_comes_at_200_is_unresolved(body: object) -> None:
    outcome = read(body)
    assert outcome.outcome is UNRESOLVED
    assert (outcome.venue_order_id, outcome.again, outcome.token_ended) == (None, False, False)


@pytest.mark.parametrize("status", [0, 99, 100, 101, 199, 300, 301, 302, 303, 307, 308, 500, 502, 503, 504, 599, 999])
@pytest.mark.parametrize(
    "body",
    [{"serialNumber": 4711}, {"isSuccess": True}, {"isSuccess": False}, {"Code": 1017}, {"Code": 1011}, b"", b"<html>"],
)
def test_other_statuses_prove_nothing_whatever_they_say(status: int, body: object) -> None:
    assert read(body, status).outcome is UNRESOLVED


@pytest.mark.parametrize("status", [400, 403, 404, 405, 408, 409, 422])
@pytest.mark.parametrize("body", [{"serialNumber": 4711}, {"isSuccess": True}, {}, {"Code": 7}, b"", b"<html>", []])
def test_4xx_without_a_known_code_is_unresolved(status: int, body: object) -> None:
    assert read(body, status).outcome is UNRESOLVED


def test_words_are_kept_and_bounded() -> None:
    assert read({"Message": " دلیل \n", "Code": 77}).message == "دلیل"
    assert read({"errorMessage": "x", "Code": 77}).message == "x"
    assert read({"result": {"message": "inside"}}, 500).message == "inside"
    assert len(read({"Message": "x" * 100_000, "Code": 1017}).message or "") == 500
    assert read({"Message": {"a": 1}, "Code": 1017}).message is None
    assert read({"Message": "", "Code": 1017}).message is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False).map(str) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
WORDS = """
    isSuccess IsSuccess isError Code code errorCode serialNumber serial trackingNumber result data error Message
"""
NAMES = st.sampled_from(WORDS.split())
VALUES = st.sampled_from([True, False, None, 0, 1, -1, 1017, 1018, 1011, 9999, "1017", "", "۱۰۱۷", "x", 4711]) | JSON


@given(
    st.dictionaries(NAMES, VALUES | st.dictionaries(NAMES, VALUES, max_size=3), max_size=5) | JSON,
    st.integers(0, 999),
)
def test_no_answer_is_ever_an_error_and_each_keeps_the_rules(body: object, status: int) -> None:
    outcome = read(body, status)
    if outcome.outcome is ACCEPTED:
        assert 200 <= status < 300
        assert isinstance(body, dict)
    if outcome.again:
        assert outcome.outcome is REJECTED
        assert status in {401, 429} or outcome.code in AGAIN
    if outcome.outcome is REJECTED and status not in {401, 429}:
        assert outcome.code in {*AGAIN, *STOP} or (status == 200 and outcome.code is None)
    if outcome.venue_order_id is not None:
        assert outcome.outcome is ACCEPTED
        assert Decimal(outcome.venue_order_id) > 0


@given(st.binary(max_size=300), st.integers(0, 999))
def test_no_bytes_are_ever_an_error(body: bytes, status: int) -> None:
    outcome = read_order_answer(status, {}, body).outcome
    # Chance knows the words of the code under test, and may put a whole answer together.
    words = (b"success", b"serial", b"tracking")
    assert outcome is not ACCEPTED or any(word in body.lower() for word in words)


@given(st.integers(0, 400))
def test_half_of_an_acceptance_is_none(cut: int) -> None:
    body = json.dumps(
        {"isSuccess": True, "errorCode": 0, "message": "ثبت شد", "serialNumber": 4711, "state": 1}
    ).encode()
    if cut < len(body):
        assert read_order_answer(200, {}, body[:cut]).outcome is UNRESOLVED
