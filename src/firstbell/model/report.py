"""Execution reports: what happened to an order, each written once and never changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from firstbell.model.identifiers import ClientOrderId, RunId, VenueOrderId
    from firstbell.model.order_status import ReportKind
    from firstbell.model.terms import AttemptOutcome


@dataclass(frozen=True, slots=True)
class Attempt:
    """One sending of an order's bytes, and what came back.

    Attributes:
        number: 1 for the first.
        sent_at: When the first byte left, on our clock; None when nothing left.
        lateness_us: Arrival at the exchange minus the bell, in µs, as estimated; None when nothing left.
        answered_at: When the answer was complete; None when none came.
        round_trip_us: From the first byte out to the answer's end, in µs; None when none came.
        http_status: The answer's status; None when none came.
        code: The broker's own code, if it gave one.
        message: The broker's or our own words, if any.
        outcome: What it came to.
        raw: The answer's body as text, secrets removed; None when none came.
        sent_ns: When the first byte left, exactly: ns since the epoch, on our clock; None when nothing left.
        arrival_ns: When it came to the exchange, as estimated: ns since the epoch, on the exchange's clock; None when
            nothing left.
        too_early: Whether the exchange said that its bell had not rung when it arrived.
    """

    number: int
    sent_at: datetime | None
    lateness_us: int | None
    answered_at: datetime | None
    round_trip_us: int | None
    http_status: int | None
    code: int | None
    message: str | None
    outcome: AttemptOutcome
    raw: str | None = None
    sent_ns: int | None = None
    arrival_ns: int | None = None
    too_early: bool = False


@dataclass(frozen=True, slots=True)
class Fill:
    """One trade of an order.

    Attributes:
        trade_id: The venue's name for the trade (FIX 17).
        last_qty: How many shares traded (FIX 32).
        last_px: At what price (FIX 31).
        fee: What the broker took for it (FIX 12), in the price's currency, or None where nobody said.
    """

    trade_id: str
    last_qty: Decimal
    last_px: Decimal
    fee: Decimal | None = None


@dataclass(frozen=True, slots=True)
class ExecutionReport:
    """One thing that happened to an order (FIX 35=8).

    Attributes:
        client_order_id: Our name for the order.
        run_id: The run that wrote it.
        kind: What happened.
        at: When we wrote it, in exchange time.
        venue_order_id: The broker's name for the order, where the report brought one.
        attempt: The attempt that brought the report, if one did.
        fill: The trade, if the report is of one.
        cum_qty: How much had traded by then (FIX 14), where the broker says only the sum.
        reason: Why, in words: for what is refused, denied or found out later.
        price: The order's price from now on (FIX 44), where a replacement changed it.
        quantity: Its quantity from now on (FIX 38), likewise.
        trigger_price: Its trigger price from now on (FIX 99), likewise, or where a trailing stop has followed.
        known_ids: The broker's names that were in its list right before one that had been held back left; None where
            that is not said.
        since: Of what has traded, when the broker's list did not show it yet; None where that is not known.
    """

    client_order_id: ClientOrderId
    run_id: RunId
    kind: ReportKind
    at: datetime
    venue_order_id: VenueOrderId | None = None
    attempt: Attempt | None = None
    fill: Fill | None = None
    cum_qty: Decimal | None = None
    reason: str | None = None
    price: Decimal | None = None
    quantity: Decimal | None = None
    trigger_price: Decimal | None = None
    known_ids: frozenset[VenueOrderId] | None = None
    since: datetime | None = None
