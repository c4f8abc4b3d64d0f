"""Reads what the options of ``firstbell exchange`` hold. Each function is a click type: text in, value or error out."""

from __future__ import annotations

import ipaddress
import re
from datetime import time
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import click

from firstbell.errors import SimulatorError
from firstbell.simulator.exchange_clock import NS
from firstbell.simulator.faults import parse_fault

if TYPE_CHECKING:
    from firstbell.simulator.faults import Fault

_UNITS: Final = {"ms": Fraction(1, 1000), "s": Fraction(1), "m": Fraction(60), "h": Fraction(3600)}
_LONGEST: Final = 40
"""Characters of any number here."""
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)", re.ASCII)


def duration(text: str) -> int:
    """``20s``, ``1m30s``, ``500ms`` or ``1h``, as nanoseconds.

    Raises:
        BadParameter: It is none.
    """
    parts = _PART.findall(text)
    if len(text) > _LONGEST or not parts or "".join(number + unit for number, unit in parts) != text:
        raise click.BadParameter(f"{text!r} is no duration; write 20s, 1m30s, 500ms or 1h")
    return int(sum(Fraction(number) * _UNITS[unit] for number, unit in parts) * NS)


def clock_time(text: str) -> time:
    """``HH:MM:SS``, with or without a fraction, on the exchange's wall clock.

    Raises:
        BadParameter: It is none.
    """
    try:
        read = time.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no time; write 08:45:00") from None
    if read.tzinfo is not None:
        raise click.BadParameter(f"{text!r} names a time zone; the exchange's own is meant")
    return read


def number(text: str) -> Fraction:
    """An exact number.

    Raises:
        BadParameter: It is none.
    """
    try:
        # 1e999999999 is a number, and one of a thousand million digits.
        return Fraction(text if len(text) <= _LONGEST and "e" not in text.lower() else "")
    except (ValueError, ZeroDivisionError):
        raise click.BadParameter(f"{text!r} is no number") from None


def speed(text: str) -> Fraction:
    """An exact number that is positive.

    Raises:
        BadParameter: It is none.
    """
    read = number(text)
    if read <= 0:
        raise click.BadParameter(f"a speed is positive, as {text} is not")
    return read


def fault(text: str) -> Fault:
    """``NAME[:key=value,...]``.

    Raises:
        BadParameter: There is no such fault.
    """
    try:
        return parse_fault(text)
    except SimulatorError as error:
        raise click.BadParameter(str(error)) from None


def loopback(text: str) -> str:
    """An address of this machine that no other machine can reach.

    Raises:
        BadParameter: It is none.
    """
    host = "127.0.0.1" if text == "localhost" else text
    try:
        safe = ipaddress.ip_address(host).is_loopback
    except ValueError:
        safe = False
    if not safe:
        raise click.BadParameter(f"{text} is no loopback address: a practice exchange stays on this machine")
    return host
