"""The order validator: everything that is wrong with a request, told at once, before it becomes an order.

Requirement 3's calls are written here like this::

    validator = OrderValidator(settings)
    result = validator.validate_order(
        request, instrument=broker.instrument(isin), quote=broker.quote(isin), now=datetime.now(UTC)
    )
    if not result.is_valid:
        print(f"Validation failed: {result.message}")

Its ``current_ltp`` is the quote's `Quote.last_price`, its ``market_data`` the rest of the quote.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from firstbell.market import calendar
from firstbell.market.always_open import always_open
from firstbell.market.hours import Hours
from firstbell.risk.validation import Bounds, Known, changes_taken, judge

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from firstbell.config import Settings
    from firstbell.market import MarketCalendar
    from firstbell.market.hours import MarketDay
    from firstbell.model.identifiers import InstrumentId
    from firstbell.model.instrument import Instrument
    from firstbell.model.order_request import OrderRequest
    from firstbell.model.quote import Quote
    from firstbell.risk.validation import Check
    from firstbell.risk.verdict import Verdict

_NOTHING: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Validation:
    """What a request was found to be.

    Attributes:
        verdicts: Everything that is wrong with it, always in the same order.
    """

    verdicts: tuple[Verdict, ...] = ()

    @property
    def is_valid(self) -> bool:
        """Whether nothing is."""
        return not self.verdicts

    @property
    def message(self) -> str:
        """What is wrong, one line each, each with its code; empty where nothing is."""
        return "\n".join(f"{verdict} [{verdict.code}]" for verdict in self.verdicts)


class OrderValidator:
    """Judges requests by the user's limits, and by what broker and calendar say. It asks nobody. Threads may share it.

    Args:
        config: Whose ``[validation]`` holds, and of ``[risk]`` the largest value and quantity of one order.
        hours: When the market trades; where not given, the config's market, by its calendar, or at all times where
            ``[validation] market_hours`` leaves that to the broker. For a market that never closes:
            ``Hours(always_open())``.
    """

    def __init__(self, config: Settings, hours: Hours | None = None) -> None:
        self.bounds = bounds_of(config)
        self.hours = hours_of(config, calendar(config.firstbell.market)) if hours is None else hours

    def validate_order(
        self,
        request: OrderRequest,
        *,
        instrument: Instrument | None,
        quote: Quote | None,
        now: datetime,
        hours: Hours | None = None,
        holdings: Mapping[InstrumentId, Decimal] | None = None,
        only: Sequence[Check] | None = None,
    ) -> Validation:
        """Find everything that is wrong with a request. Takes some microseconds.

        Args:
            request: What is asked for.
            instrument: The instrument as its broker describes it today; None where the broker knows none.
            quote: Its market at last sight; None where there is none.
            now: The moment, aware, on the exchange's clock.
            hours: When its market trades, where that is another than the validator's own.
            holdings: What may be sold: what is held and not on sale already, in shares, by instrument. None where
                selling more than is held is allowed.
            only: The checks that are made, such as `firstbell.risk.validation.checks_of_change`; by default all.

        Raises:
            ValueError: `now` has no time zone.
        """
        held = None if holdings is None else holdings.get(request.instrument, _NOTHING)
        day = _day(hours or self.hours, now)
        return Validation(judge(request, Known(self.bounds, now, day, instrument, quote, held), only))

    def validate_change(self, *, now: datetime, hours: Hours | None = None) -> Validation:
        """Find what stands against canceling or changing an order now; of a changed order, its new terms apart.

        Args:
            now: The moment, aware, on the exchange's clock.
            hours: As for `validate_order`.

        Raises:
            ValueError: `now` has no time zone.
        """
        verdict = changes_taken(_day(hours or self.hours, now), now)
        return Validation(() if verdict is None else (verdict,))


def hours_of(config: Settings, sessions: MarketCalendar) -> Hours:
    """When orders are taken for a market: by its calendar, or always where the config leaves that to the broker."""
    by_calendar = config.validation.market_hours
    return Hours(sessions if by_calendar else always_open(sessions.tz, market=sessions.market))


def bounds_of(config: Settings) -> Bounds:
    """The limits of a config."""
    own, risk = config.validation, config.risk
    return Bounds(
        max_order_value=risk.max_order_value,
        max_order_quantity=risk.max_order_quantity,
        min_price=own.min_price,
        max_price=own.max_price,
        price_tolerance=own.price_tolerance,
        max_spread=own.max_spread,
        min_volume=own.min_volume,
        min_open_interest=own.min_open_interest,
        max_quote_age=own.max_quote_age,
        tradable_states=own.tradable_states or (),
    )


def _day(hours: Hours, now: datetime) -> MarketDay | None:
    if now.tzinfo is None:
        raise ValueError(f"{now} has no time zone")
    try:
        return hours.on(now)
    except ValueError:
        # An instant for which the calendar has no day: what is not known denies.
        return None
