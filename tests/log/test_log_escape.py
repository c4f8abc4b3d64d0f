from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbell.log import one_line
from firstbell.log.escape import json_line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x1b[31mred\x9b", "\\x1b[31mred\\x9b"),
        ("\u202eevil\u2066", "\\u202eevil\\u2066"),
        ("a\u2028b\u0085c", "a\\u2028b\\x85c"),
        ("\U000e0041", "\\U000e0041"),
        ("\ud800", "\\ud800"),
        ("گروه مالی مهرگان تامین پارس (مهرگان)", "گروه مالی مهرگان تامین پارس (مهرگان)"),
        ("نمی‌باشد", "نمی‌باشد"),
    ],
)
def test_one_line(text: str, line: str) -> None:
    assert one_line(text) == line


@given(st.text())
def test_a_line_has_nothing_that_cannot_be_seen(text: str) -> None:
    line = one_line(text)
    assert len(line.splitlines()) <= 1
    assert not [
        c for c in line if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and c not in "\u200c\u200d"
    ]
    line.encode()


@given(st.text())
def test_an_escaped_document_means_the_same(text: str) -> None:
    line = json_line(json.dumps({"k": text}, ensure_ascii=False))
    assert json.loads(line) == {"k": text}
    assert len(line.splitlines()) == 1
    line.encode()
