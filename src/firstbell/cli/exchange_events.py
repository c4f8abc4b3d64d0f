"""What the practice exchange prints while it runs: a line for each thing that happens, and a summary at its end."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from queue import SimpleQueue
from typing import TYPE_CHECKING

from firstbell.log import one_line
from firstbell.market import calendar
from firstbell.model.money import grouped
from firstbell.simulator.exchange_clock import instant
from firstbell.simulator.record import Decision, Login, PhaseBegan, Submission

if TYPE_CHECKING:
    from datetime import tzinfo
    from types import TracebackType
    from typing import Self

    from firstbell.simulator.ephoenix.desk import Desk
    from firstbell.simulator.record import Entry


class EventPrinter:
    """Prints entries of the record to standard error, from a thread of its own so that the exchange never waits for it.

    Args:
        market: Whose wall clock is shown.
    """

    def __init__(self, market: str) -> None:
        self._tz = calendar(market).tz
        self._entries: SimpleQueue[Entry | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._print, name="events", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._entries.put(None)
        self._thread.join(timeout=1)

    def tell(self, entry: Entry) -> None:
        """Have an entry printed soon."""
        self._entries.put(entry)

    def _print(self) -> None:
        while (entry := self._entries.get()) is not None:
            # Names in it are what strangers wrote.
            sys.stderr.write(one_line(event_line(entry, self._tz)) + "\n")
            sys.stderr.flush()


def event_line(entry: Entry, tz: tzinfo) -> str:
    """One entry of the record as a line for people."""
    if isinstance(entry, Submission):
        return f"{_clock(entry.arrival_ns, tz)} {_submission(entry)}"
    if isinstance(entry, Login):
        verdict = "logged in" if entry.error_code == 0 else f"log-in refused ({entry.error_code})"
        return f"{_clock(entry.at_ns, tz)} {_who(entry.broker_code, entry.account)} {verdict}"
    if isinstance(entry, PhaseBegan):
        return f"{_clock(entry.at_ns, tz)} the market is {entry.phase}"
    return f"{_clock(entry.at_ns, tz)} captcha {'drawn' if entry.http_status < 400 else 'refused'}"  # noqa: PLR2004 - HTTP


def summary(desk: Desk) -> str:
    """What the exchange saw, in a few lines for people."""
    record, exchange = desk.record, desk.exchange
    decisions = Counter(each.decision for each in record.submissions)
    lateness = [each.lateness_us for each in record.submissions if _is_placed(each)]
    counts = ", ".join(f"{decisions[decision]} {decision}" for decision in Decision if decisions[decision])
    lines = [
        f"{len(record.captchas)} captchas, {len(record.logins)} log-ins, {len(exchange.trades)} trades",
        f"{len(record.submissions)} orders, changes and cancels{': ' + counts if counts else ''}",
    ]
    if lateness:
        first, last = grouped(min(lateness)), grouped(max(lateness))
        lines.append(f"new orders accepted from {first} µs to {last} µs after the bell")
    return "\n".join(lines)


def _is_placed(entry: Submission) -> bool:
    return entry.kind == "order" and entry.decision is Decision.ACCEPTED


def _clock(ns: int, tz: tzinfo) -> str:
    return instant(ns, tz).strftime("%H:%M:%S.%f")


def _who(broker_code: str, account: str | None) -> str:
    return f"{broker_code or '?'}/{account or '?'}"


def _submission(entry: Submission) -> str:
    asked = [entry.kind, *([f"#{entry.serial}"] if entry.serial is not None else [])]
    if entry.price is not None and entry.quantity is not None:
        asked += [str(entry.side), str(entry.isin), f"{grouped(entry.quantity)} at {grouped(entry.price)}"]
    verdict = entry.decision.value
    if entry.code is not None:
        verdict += f" ({entry.code}: {entry.detail})"
    faults = f" [{', '.join(entry.faults)}]" if entry.faults else ""
    return f"{_who(entry.broker_code, entry.account)} {' '.join(asked)}: {verdict}, {entry.lateness_us:+,} µs{faults}"
