from __future__ import annotations

import configparser
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbell.config.ini import decode, parse


def told(text: str) -> list[str]:
    return [str(problem) for _, problem in parse(text).problems]


def test_sections_keys_and_values_with_their_lines() -> None:
    file = parse("# c\n[a]\nKey = v = w # no comment\n\n; c\n[b]\r\n x\r\nempty=\r\n".replace(" x\r\n", ""))
    assert not file.problems
    assert [(section.name, section.line) for section in file.sections] == [("a", 2), ("b", 6)]
    assert {key: (entry.value, entry.line) for key, entry in file.sections[0].entries.items()} == {
        "key": ("v = w # no comment", 3)
    }
    assert file.sections[1].entries["empty"].value == ""


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a = 1", "line 1: stands before the first section; write [firstbell] or [Order_NAME] above it"),
        ("[a]\nsekret", "[a] line 2: has no '='; write key = value, or # before a comment"),
        ("[a]\n= sekret", "[a] line 2: has no key before '='"),
        ("[a]\nk = 1\n  sekret", "[a] line 3: begins with a space; a value is one line, and a key begins its line"),
        ("[a]\nk = sek\x00ret", "[a] line 2: holds a control character; remove it"),
        ("[a] ; sekret", "line 1: a section is its name in brackets, alone on its line: [firstbell]"),
        ("[a\n[b]\n]", "line 1: a section is its name in brackets, alone on its line: [firstbell]"),
        ("[a]\nk = 1\nK = 2\nk = 3", "[a] k: found it on lines 2 and 3 and 4; keep one of them"),
        ("[a]\nk = 1\n[b]\n[a]\nj = 1", "[a]: found it on lines 1 and 4; keep one of them"),
    ],
)
def test_what_is_wrong_with_a_line_is_told_without_its_text(text: str, problem: str) -> None:
    problems = told(text)
    assert problem in problems
    assert "sek" not in "".join(problems)


def test_everything_wrong_is_told() -> None:
    assert len(told("x\n[a]\nk = 1\nk = 2\n y\nz\n[b\n")) == 5


def test_a_repeated_section_still_has_all_its_keys() -> None:
    (section,) = parse("[a]\nk = 1\n[a]\nj = 2\nk = 3").sections
    assert {key: entry.value for key, entry in section.entries.items()} == {"k": "1", "j": "2"}


VALUES = st.text(string.ascii_letters + string.digits + "%;#=[]'\"\\$:،گذر ", max_size=20)
KEYS = st.text(string.ascii_lowercase + "_", min_size=1, max_size=8)
NAMES = st.text(string.ascii_letters + "_.", min_size=1, max_size=8)


@given(st.dictionaries(NAMES, st.dictionaries(KEYS, VALUES, max_size=4), max_size=4))
def test_it_reads_what_pythons_own_parser_reads(content: dict[str, dict[str, str]]) -> None:
    lines = ["; a comment", ""]
    for name, entries in content.items():
        lines += [f"[{name}]", *(f"{key} = {value}" for key, value in entries.items()), "# a comment"]
    text = "\n".join(lines)
    python = configparser.RawConfigParser(delimiters=("=",), default_section="\0", interpolation=None)
    python.read_string(text)
    file = parse(text)
    assert not file.problems
    assert {s.name: {k: e.value for k, e in s.entries.items()} for s in file.sections} == {
        name: dict(python[name]) for name in python.sections()
    }


@given(st.text())
def test_no_text_breaks_it(text: str) -> None:
    parse(text)


@given(st.binary())
def test_no_bytes_break_decoding(data: bytes) -> None:
    text, problem = decode(data)
    assert problem is None or not text


def test_encodings() -> None:
    assert decode("\ufeff[گ]".encode()) == ("[گ]", None)
    assert "UTF-16" in str(decode("[a]".encode("utf-16"))[1])
    assert "line 3" in str(decode(b"[a]\nk = 1\nx = \xff\n")[1])
