"""What a rehearsal came to: what the exchanges saw, beside what the run itself believed."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from statistics import median_low
from typing import TYPE_CHECKING, Any, Self

from firstbell.model.terms import OrderOutcome
from firstbell.simulator.record import Decision

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from firstbell.simulator.ephoenix.background import RunningExchange
    from firstbell.simulator.record import Submission
    from firstbell.sniper.measured import MeasuredHost
    from firstbell.sniper.rehearsal import Rehearsal, Stage


@dataclass(frozen=True, slots=True)
class Lateness:
    """How late the first accepted orders of some logins were, in µs after the bell.

    Attributes:
        first: The earliest one.
        median: The one in the middle.
        last: The latest one.
    """

    first: int
    median: int
    last: int

    @classmethod
    def of(cls, each_us: Iterable[int]) -> Self | None:
        """The lateness of some logins; None of none."""
        sorted_us = sorted(each_us)
        return cls(sorted_us[0], median_low(sorted_us), sorted_us[-1]) if sorted_us else None


@dataclass(frozen=True, slots=True)
class HostOutcome:
    """What it came to at one host.

    Attributes:
        host: What had been measured.
        codes: The brokers behind it.
        logins: How many logins were rehearsed there.
        served: How many of them had an order accepted.
        orders: How many orders they were configured for.
        accepted: How many orders the exchange accepted.
        seen: Their lateness as the exchange saw it; None where it accepted none.
        believed: The same as the run believed it; None where it knew of none.
        tried: How many attempts came.
        early: How many of them came before the bell.
        attempts: The fewest and the most attempts of an order that was sent; None where none was.
        further: How many accepted orders were not the first one of their login: those keep the broker's interval.
        doubt: What the exchange and the run disagree about, in words; None where they agree.
    """

    host: MeasuredHost
    codes: tuple[str, ...]
    logins: int
    served: int
    orders: int
    accepted: int
    seen: Lateness | None
    believed: Lateness | None
    tried: int
    early: int
    attempts: tuple[int, int] | None
    further: int
    doubt: str | None

    @property
    def words(self) -> str:
        """What to expect tomorrow, in a sentence."""
        who = ", ".join(self.codes)
        if self.seen is None:
            return f"{who}: no order was accepted; the run's table says why"
        first, last = _ms(self.seen.first), _ms(self.seen.last)
        told = [f"{who}: your order is there {first} ms after the bell"]
        if self.served > 1:
            told = [f"{who}: the first of {self.served} logins is there {first} ms after the bell, the last {last} ms"]
        if self.served < self.logins:
            told.append(f"{self.logins - self.served} of {self.logins} logins had no order accepted")
        if self.early:
            told.append(f"too early: {self.early} of {self.tried} attempts, each refused at the price of an interval")
        if self.further == 1:
            told.append("1 more order of the same login follows, paced by the interval")
        if self.further > 1:
            told.append(f"{self.further} more orders of the same logins follow, paced by the interval")
        return "; ".join(told)


def judge(
    rehearsal: Rehearsal, exchanges: Sequence[RunningExchange], document: Mapping[str, Any]
) -> tuple[HostOutcome, ...]:
    """Hold what the run says against what the exchanges saw.

    Args:
        rehearsal: What was rehearsed.
        exchanges: The exchanges, one for each of its stages; nobody speaks to them any more.
        document: The run's ``orders.json``.
    """
    return tuple(
        _outcome(rehearsal, stage, list(exchange.desk.record.submissions), document["orders"])
        for stage, exchange in zip(rehearsal.stages, exchanges, strict=True)
    )


def _outcome(
    rehearsal: Rehearsal, stage: Stage, submissions: Iterable[Submission], orders: Iterable[Mapping[str, Any]]
) -> HostOutcome:
    came = [call for call in submissions if call.kind == "order"]
    accepted = [call for call in came if call.decision is Decision.ACCEPTED]
    rows = [row for row in orders if row["broker_code"] in stage.codes]
    reported = [row for row in rows if row["outcome"] == OrderOutcome.ACCEPTED.value]
    seen: dict[str | None, int] = {}
    for call in accepted:
        seen[call.account] = min(call.lateness_us, seen.get(call.account, call.lateness_us))
    believed: dict[str, int] = {}
    for row in reported:
        late_us = next((each["lateness_us"] for each in row["attempts"] if each["outcome"] == "ACCEPTED"), None)
        login = rehearsal.people[row["account"]].username
        if late_us is not None:
            believed[login] = min(late_us, believed.get(login, late_us))
    tries = [len(row["attempts"]) for row in rows if row["attempts"]]
    return HostOutcome(
        host=stage.host,
        codes=stage.codes,
        logins=len(stage.investors),
        served=len(seen),
        orders=len(rows),
        accepted=len(accepted),
        seen=Lateness.of(seen.values()),
        believed=Lateness.of(believed.values()),
        tried=len(came),
        early=sum(call.lateness_us < 0 for call in came),
        attempts=(min(tries), max(tries)) if tries else None,
        further=len(accepted) - len(seen),
        doubt=_doubt(accepted, rows),
    )


def _doubt(accepted: Iterable[Submission], rows: Sequence[Mapping[str, Any]]) -> str | None:
    """What cannot be true at once. An order that the run calls unresolved may be there."""
    there = {str(call.serial) for call in accepted}
    told = {str(row["venue_order_id"]) for row in rows if row["outcome"] == OrderOutcome.ACCEPTED.value}
    open_ = sum(row["outcome"] == OrderOutcome.UNRESOLVED.value for row in rows)
    if told - there:
        return f"the run tells of orders that the exchange has not accepted: {', '.join(sorted(told - there))}"
    if len(there - told) > open_:
        return f"the exchange accepted orders that the run does not tell of: {', '.join(sorted(there - told))}"
    return None


def _ms(us: int) -> str:
    return f"{Decimal(us) / 1000:.1f}"
