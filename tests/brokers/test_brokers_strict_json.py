import json
import time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbell.brokers import strict_json
from firstbell.errors import Unreadable

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**38), 10**38) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_whatever_is_json_is_read(value: object) -> None:
    assert strict_json.read(json.dumps(value).encode()) == value
    assert strict_json.read(json.dumps(value, ensure_ascii=False).encode()) == value


def test_fractions_are_exact() -> None:
    assert strict_json.read(b"[0.1, 1e3, -2.50]") == [Decimal("0.1"), Decimal(1000), Decimal("-2.50")]


def test_a_byte_order_mark_is_tolerated() -> None:
    assert strict_json.read('\ufeff{"a": "قیمت"}'.encode()) == {"a": "قیمت"}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "not JSON"),
        (b"<html>", "not JSON"),
        (b'{"a": 1', "not JSON"),
        (b'{"a": 1} {"a": 1}', "not JSON"),
        (b"{'a': 1}", "not JSON"),
        (b'"\x01"', "not JSON"),
        (b'{"a": 1, "a": 1}', "twice"),
        (b'[{"b": {"a": 1, "a": 2}}]', "twice"),
        (b"NaN", "NaN"),
        (b'{"price": Infinity}', "Infinity"),
        (b'{"price": -Infinity}', "Infinity"),
        (b"\xff\xfe{\x00}\x00", "UTF-8"),
        (b'"\xff"', "UTF-8"),
        (b"1" * 41, "too long"),
        (b"-" + b"1" * 5000, "too long"),
        (b"1e999999999", "too long"),
        (b"1E-999999999", "too long"),
        (b"1e99999999999999999999", "too long"),
        (b"-0.1E-99999999999999999999", "too long"),
        (b"0." + b"1" * 60, "too long"),
        (b'"\\ud800"', "half a character"),
        (b'{"\\udfff": 1}', "half a character"),
        (b'[["\\uD834\\u0041"]]', "half a character"),
        (b"[" * 33 + b"]" * 33, "deeper"),
        (b"[" * 500_000, "deeper"),
        (b'{"a":' * 100_000, "deeper"),
        (b'["]", ' + b"[" * 33 + b"]" * 34, "deeper"),
        (b" " * (1 << 20) + b"1", "bytes"),
    ],
)
def test_what_cannot_be_trusted_is_unreadable(body: bytes, why: str) -> None:
    with pytest.raises(Unreadable, match=why) as caught:
        strict_json.read(body, host="127.0.0.1:1")
    assert caught.value.host == "127.0.0.1:1"
    assert caught.value.__cause__ is None


def test_brackets_inside_texts_do_not_nest() -> None:
    text = "[{" * 100 + '\\"'
    assert strict_json.read(json.dumps([text]).encode()) == [text]


@pytest.mark.parametrize("piece", [b'\\"', b"\\\\", b'"', b'"\\', b'\\""', b'" "'])
@pytest.mark.parametrize("start", [b"", b'"', b"[" * 40, b"[" * 40 + b'"', b"{" * 40 + b'\\"'])
def test_no_answer_takes_longer_than_its_length(start: bytes, piece: bytes) -> None:
    """Two seconds are a thousand times what a reader needs that looks at each character once."""
    body = (start + piece * (1 << 19))[: (1 << 20) - 40] + b"[" * 40
    began = time.process_time()
    with pytest.raises(Unreadable):
        strict_json.read(body)
    assert time.process_time() - began < 2


def test_whole_characters_outside_the_first_plane_are_read() -> None:
    assert strict_json.read(b'"\\ud83d\\udd14"') == "🔔"


@given(st.binary(max_size=200))
def test_anything_else_is_unreadable_and_nothing_worse(body: bytes) -> None:
    try:
        strict_json.read(body)
    except Unreadable:
        return


@given(JSON, st.data())
def test_half_of_an_answer_is_never_read_as_another(value: object, data: st.DataObject) -> None:
    body = json.dumps({"answer": value}).encode()
    cut = data.draw(st.integers(0, len(body) - 1))
    with pytest.raises(Unreadable):
        strict_json.read(body[:cut])
