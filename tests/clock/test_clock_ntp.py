from __future__ import annotations

import pytest
from clock_time_server import TimeServer

from firstbell.clock import ntp
from firstbell.clock.ntp import ask

MS = 1_000_000


@pytest.mark.parametrize("offset_s", [0.0, 1.7, -0.8])
def test_our_clock_is_measured_with_the_servers_own_error_in_the_uncertainty(offset_s):
    with TimeServer(offset_s) as server:
        reading = ask(server.address)
    assert reading.problem is None
    assert reading.server == server.address
    assert 1.9 * MS <= reading.uncertainty_ns < 100 * MS
    assert abs(reading.offset_ns - offset_s * 1e9) <= reading.uncertainty_ns
    assert server.asked == ntp.ASKED


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"leap": 3}, "it does not know the time itself"),
        ({"stratum": 0}, "it does not know the time itself"),
        ({"stratum": 16}, "it does not know the time itself"),
        ({"echoes": False}, "it did not answer our question"),
        ({"garbage": b"hello"}, "it did not answer, or not as a time server does"),
        ({"silent": True}, "it did not answer, or not as a time server does"),
    ],
)
def test_what_is_no_answer_is_no_reading(options, problem, monkeypatch):
    monkeypatch.setattr(ntp, "_WAIT_S", 0.05)
    with TimeServer(**options) as server:
        assert ask(server.address).problem == problem


def test_nobody_there(monkeypatch):
    monkeypatch.setattr(ntp, "_WAIT_S", 0.05)
    server = TimeServer()
    server.socket.close()
    assert ask(server.address).problem in {"Connection refused", "it did not answer, or not as a time server does"}


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("time.example", ("time.example", 123)),
        ("time.example:1123", ("time.example", 1123)),
        ("192.0.2.1:5", ("192.0.2.1", 5)),
        ("[2001:db8::1]", ("2001:db8::1", 123)),
        ("[2001:db8::1]:99", ("2001:db8::1", 99)),
    ],
)
def test_addresses(written, address):
    assert ntp._address(written) == address
