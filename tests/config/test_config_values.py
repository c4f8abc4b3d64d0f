from __future__ import annotations

from datetime import time, timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbell.config import values


class Color(StrEnum):
    RED = "red"
    BLUE = "blue"


@pytest.mark.parametrize(
    ("text", "number"),
    [("5860", 5860), ("1,000,000", 1_000_000), ("۵۸۶۰", 5860), ("١٢", 12), ("۱٬۰۰۰", 1000), (7, 7), (Decimal(8), 8)],
)
def test_whole_numbers(text: object, number: int) -> None:
    assert values.whole(text) == number
    assert values.whole_int(text) == number


@pytest.mark.parametrize(
    "text",
    ["", "0", "00", "-1", "+1", "1.5", "5,86", "1,0000", ",100", "1e3", "5860 ", "NaN", "9" * 16, 1.5, True, None, "²"],
)
def test_what_is_no_whole_number(text: object) -> None:
    with pytest.raises(ValueError, match="whole number above zero"):
        values.whole(text)


@given(st.integers(1, 10**15 - 1))
def test_numbers_survive_their_groups(number: int) -> None:
    assert values.whole(str(number)) == values.whole(f"{number:,}") == number


@pytest.mark.parametrize(("text", "number"), [("4.5", "4.5"), ("-3", "-3"), ("۴٫۵", "4.5"), ("0", "0")])
def test_milliseconds(text: str, number: str) -> None:
    assert values.milliseconds(text) == Decimal(number)


@pytest.mark.parametrize("text", ["", "4ms", "1e3", ".5", "nan", "1" * 7, None, True])
def test_what_are_no_milliseconds(text: object) -> None:
    with pytest.raises(ValueError, match="milliseconds"):
        values.milliseconds(text)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("08:45", time(8, 45)),
        ("08:45:00", time(8, 45)),
        ("08:45:01.5", time(8, 45, 1, 500_000)),
        ("23:59:59.999999", time(23, 59, 59, 999_999)),
        ("۰۸:۴۵", time(8, 45)),
        (time(9), time(9)),
    ],
)
def test_times(text: object, at: time) -> None:
    assert values.time_of_day(text) == at


@pytest.mark.parametrize(
    "text", ["", "8:45", "24:00", "08:60", "08:45:60", "08:45:00.", "08:45Z", "0845", "8h45", None]
)
def test_what_is_no_time(text: object) -> None:
    with pytest.raises(ValueError, match="HH:MM:SS"):
        values.time_of_day(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("2m", 120), ("1m30s", 90), ("500ms", 0.5), ("1h", 3600), ("۳۰s", 30), ("1s5ms", 1.005)],
)
def test_durations(text: str, seconds: float) -> None:
    assert values.duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "30", "0s", "-1s", "1.5s", "30 s", "s", "30s1m", "25h", "forever", None, timedelta()]
)
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="length of time"):
        values.duration(text)


@pytest.mark.parametrize(
    ("text", "yes"), [("yes", True), ("On", True), ("1", True), ("FALSE", False), ("no", False), (True, True)]
)
def test_yes_and_no(text: object, yes: bool) -> None:
    assert values.yes_or_no(text) is yes


@pytest.mark.parametrize("text", ["", "y", "maybe", "2", None, 1])
def test_neither_yes_nor_no(text: object) -> None:
    with pytest.raises(ValueError, match="yes or no"):
        values.yes_or_no(text)


def test_words() -> None:
    assert values.word("RED", Color) is Color.RED
    assert values.word(Color.BLUE, Color) is Color.BLUE
    with pytest.raises(ValueError, match="write red or blue"):
        values.word("green", Color)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://api-shahr.ephoenix.ir", "https://api-shahr.ephoenix.ir"),
        ("HTTPS://API.example:8443/", "https://api.example:8443"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://127.9.9.9", "http://127.9.9.9"),
        ("http://localhost:1", "http://localhost:1"),
        ("http://[::1]:80", "http://[::1]:80"),
    ],
)
def test_addresses(text: str, url: str) -> None:
    assert values.base_url(text) == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "api.example",
        "ftp://api.example",
        "https://",
        "https://api.example/path",
        "https://api.example?q=1",
        "https://api.example?",
        "https://api.example#f",
        "https://user:pw@api.example",
        "https://api.example:0",
        "https://api.example:99999",
        "https://api.example:",
        "https://api example",
        "https://-x.example",
        "https://بازار.example",
        "http://api.example",
        "http://10.0.0.1",
        "http://127.0.0.1.example",
        "http://localhost.example",
        "https://[::1",
        None,
    ],
)
def test_what_is_no_address(text: object) -> None:
    with pytest.raises(ValueError, match="write"):
        values.base_url(text)


def test_full_addresses() -> None:
    assert values.full_url("https://solver.example/x?key=1") == "https://solver.example/x?key=1"
    with pytest.raises(ValueError, match="this machine itself"):
        values.full_url("http://solver.example/x")


def test_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert values.absolute("a/../b", tmp_path) == tmp_path / "b"
    assert values.absolute("~/b", Path("/elsewhere")) == tmp_path / "b"
    assert values.absolute("/abs", tmp_path) == Path("/abs")
    assert values.absolute("b", None) == Path.cwd() / "b"
    for wrong in ("", "a\0b", None, "~nobody-of-that-name/x"):
        with pytest.raises(ValueError, match="write a path"):
            values.absolute(wrong, tmp_path)


@pytest.mark.parametrize(
    "text", ["time.example", "time.example:123", "192.0.2.1", "192.0.2.1:1123", "[::1]", "[::1]:123"]
)
def test_servers(text: str) -> None:
    assert values.host_and_port(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ntp://time.example",
        "time.example/x",
        "time.example:",
        "time.example:0",
        "time.example:99999",
        "a b",
        "u@host",
        "::1",
        "host:x",
        "-host",
        "زمان",
        None,
        123,
    ],
)
def test_what_is_no_server(text: object) -> None:
    with pytest.raises(ValueError, match="name or address"):
        values.host_and_port(text)
