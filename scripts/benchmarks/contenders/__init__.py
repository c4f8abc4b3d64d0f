"""Those who are measured against one another, each a program of its own, and how they are told what to do.

A contender opens its connections, sends one order on each and awaits the answers, so that everybody's connections have
carried something; then it says ``ready``. Commands, one a line:

``fire NS``
    Send one order on each connection at that instant of the monotonic clock, in ns, and await the answers; ``done``.
``pump MS``
    For so long, send on each connection again as soon as its answer has come; how many were answered, and the processor
    time that took, in ns.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable


class Contender(Protocol):
    """One way of sending orders."""

    def fire(self, at_ns: int) -> None:
        """Send one order on each connection at that instant, and await the answers."""
        ...

    def pump(self, seconds: float) -> int:
        """Send for so long; how many were answered."""
        ...


def obey(contender: Contender, lines: Iterable[bytes | str]) -> None:
    """Say that it is ready, and do as told until the lines end."""
    _say("ready")
    for line in lines:
        command, value = line.split()
        if command in {"fire", b"fire"}:
            contender.fire(int(value))
            _say("done")
        else:
            began_ns = time.process_time_ns()
            answered = contender.pump(int(value) / 1000)
            _say(f"{answered} {time.process_time_ns() - began_ns}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
