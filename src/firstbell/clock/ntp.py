"""How far our own clock is from a time server's, by NTP: asked before a run only, and only where the user names one."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

import ntplib

ASKED: Final = 3
"""Times that the server is asked; the answer that took the shortest way counts."""
_WAIT_S: Final = 2.0
_BETWEEN_S: Final = 0.1
_PORT: Final = 123
_UNSYNCHRONIZED: Final = 3
_EXACT_S: Final = 0.001
_STRATA: Final = range(1, 16)


@dataclass(frozen=True, slots=True)
class NtpReading:
    """What a time server says.

    Attributes:
        server: Who says it, as the config names it.
        offset_ns: The server's clock minus ours, in ns.
        uncertainty_ns: The truth lies within this of `offset_ns`, the server's own error included, in ns.
        problem: Why there is no reading, in words; None where there is one.
    """

    server: str
    offset_ns: int = 0
    uncertainty_ns: int = 0
    problem: str | None = None


def ask(server: str) -> NtpReading:
    """Ask a time server how far our clock is off. Takes some seconds at most, and never raises.

    Args:
        server: ``host``, ``host:port`` or ``[address]:port``.
    """
    host, port = _address(server)
    best: NtpReading | None = None
    problem = "it did not answer"
    for turn in range(ASKED):
        time.sleep(_BETWEEN_S if turn else 0)
        asked_s = time.time()
        try:
            answer = ntplib.NTPClient().request(host, version=4, port=port, timeout=_WAIT_S)
        except ntplib.NTPException:
            problem = "it did not answer, or not as a time server does"
            continue
        except OSError as error:
            problem = error.strerror or type(error).__name__
            continue
        if answer.leap == _UNSYNCHRONIZED or answer.stratum not in _STRATA:
            problem = "it does not know the time itself"
            continue
        # It repeats the instant that our question bore: else this answers another question.
        if not asked_s - _EXACT_S <= ntplib.ntp_to_system_time(answer.orig_timestamp) <= time.time() + _EXACT_S:
            problem = "it did not answer our question"
            continue
        # RFC 5905, 11.2: the distance to the root, which bounds the error.
        distance_s = (max(answer.delay, 0) + answer.root_delay) / 2 + answer.root_dispersion
        reading = NtpReading(server, round(answer.offset * 1e9), round(distance_s * 1e9))
        if best is None or reading.uncertainty_ns < best.uncertainty_ns:
            best = reading
    return best or NtpReading(server, problem=problem)


def _address(server: str) -> tuple[str, int]:
    if server.startswith("["):
        host, _, rest = server[1:].partition("]")
        return host, int(rest.removeprefix(":") or _PORT)
    host, _, port = server.partition(":")
    return host, int(port or _PORT)
