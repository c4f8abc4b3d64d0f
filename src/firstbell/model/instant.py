"""Nanoseconds since the epoch as aware instants, cut to the microsecond without passing through a float."""

from __future__ import annotations

from datetime import UTC, datetime


def instant(ns: int) -> datetime:
    """The instant `ns` nanoseconds after the epoch, in UTC, cut to whole microseconds."""
    seconds, rest = divmod(ns, 1_000_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000)


def epoch_ns(moment: datetime) -> int:
    """An aware instant as nanoseconds since the epoch, exactly.

    Raises:
        ValueError: The instant is naive.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone")
    passed = moment - datetime.fromtimestamp(0, UTC)
    return (passed.days * 86_400 + passed.seconds) * 1_000_000_000 + passed.microseconds * 1000
