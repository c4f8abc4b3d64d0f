"""Nanoseconds since the epoch as aware instants, cut to the microsecond without a float; and Tehran's time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Final

TEHRAN: Final = timezone(timedelta(hours=3, minutes=30))
"""The wall clock of the exchange in Tehran, by which its days begin; it has no summer time."""
_EPOCH: Final = datetime.fromtimestamp(0, UTC)


def instant(ns: int) -> datetime:
    """The instant `ns` nanoseconds after the epoch, in UTC, cut to whole microseconds."""
    return _EPOCH + timedelta(microseconds=ns // 1000)


def epoch_ns(moment: datetime) -> int:
    """An aware instant as nanoseconds since the epoch, exactly.

    Raises:
        ValueError: The instant is naive.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone")
    passed = moment - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * 1_000_000_000 + passed.microseconds * 1000
