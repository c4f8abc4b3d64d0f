"""One position as it is shown and judged: with its price and that price's age, and its profit. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from firstbell.model.order import LISTS_LAG

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime, timedelta

    from firstbell.model.identifiers import AccountName, BrokerCode, InstrumentId
    from firstbell.model.position import Guess, Position
    from firstbell.model.price_band import PriceBand
    from firstbell.oms.positions.book import PositionKey, Standing
    from firstbell.oms.positions.prices import MarketPrice
    from firstbell.oms.positions.tally import FeeOf

_NOTHING: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class PositionView:
    """One position at one moment. Money is in the price's currency: rials in Tehran.

    Attributes:
        account: Whose.
        broker_code: The account's broker; empty where no order has said it.
        instrument: What is held.
        quantity: Shares; below zero where more was sold than bought.
        average_price: What is held cost on average; None while nothing is.
        last_price: The last known price; None where there is none.
        price_at: When it was read.
        age: How old it is.
        stale: Whether it is too old to act by, or missing.
        realized: What was closed today earned, by the method of average cost, without fees.
        unrealized: What is held would earn, were it closed at the last price, the fees of that taken off; None where
            there is no price.
        fees: What today's trades took in fees.
        profit: All that the position has earned since it was opened, all fees taken off; None likewise.
        day_profit: What the day has changed, all fees taken off; None likewise.
        opened_at: Since when it is held.
        estimated: Whether some price was not told by the broker, so that profits are estimates.
        upside: By how much at most profits may be more, for guesses that may be gone in a moment, since lists of trades
            lag: such a trade had any price that its order's limit and the day's band allow; without these, any.
        downside: By how much at most they may be less, likewise; without a bound, its price was up to twice as high.
        from_holdings: Shares sold today that these orders had not bought: no profit is reckoned for them.
    """

    account: AccountName
    broker_code: BrokerCode
    instrument: InstrumentId
    quantity: Decimal
    average_price: Decimal | None
    last_price: Decimal | None
    price_at: datetime | None
    age: timedelta | None
    stale: bool
    realized: Decimal
    unrealized: Decimal | None
    fees: Decimal
    profit: Decimal | None
    day_profit: Decimal | None
    opened_at: datetime | None
    estimated: bool
    upside: Decimal
    downside: Decimal
    from_holdings: Decimal

    @property
    def key(self) -> PositionKey:
        """Account and instrument."""
        return self.account, self.instrument

    @property
    def is_open(self) -> bool:
        """Whether anything is held."""
        return bool(self.quantity)

    @property
    def is_guessed(self) -> bool:
        """Whether what it has earned rests on a guess that may be gone in a moment."""
        return bool(self.upside or self.downside)

    @property
    def total(self) -> Decimal | None:
        """Realized and unrealized together, fees taken off; None where there is no price."""
        return None if self.unrealized is None else self.realized + self.unrealized - self.fees

    def document(self) -> dict[str, Any]:
        """The position under the names that programs read."""
        return {
            "account": self.account,
            "broker_code": self.broker_code,
            "instrument": self.instrument,
            "quantity": self.quantity,
            "average_price": self.average_price,
            "last_price": self.last_price,
            "price_at": self.price_at,
            "age_s": None if self.age is None else Decimal(str(round(self.age.total_seconds(), 3))),
            "stale": self.stale,
            "realized_pnl": self.realized,
            "unrealized_pnl": self.unrealized,
            "fees": self.fees,
            "total_pnl": self.total,
            "day_pnl": self.day_profit,
            "opened_at": self.opened_at,
            "estimated": self.estimated,
            "from_holdings": self.from_holdings,
        }


class Viewer:
    """Makes views of positions.

    Args:
        fee_of: The fee that closing would take.
        stale_after: From which age on a price is stale.
    """

    def __init__(self, fee_of: FeeOf, stale_after: timedelta) -> None:
        self._fee_of = fee_of
        self._stale_after = stale_after
        self._divided: dict[PositionKey, tuple[Position, Position, Decimal, Decimal | None]] = {}

    def view(
        self, standing: Standing, price: MarketPrice | None, opening_price: Decimal | None, now: datetime
    ) -> PositionView:
        """One position at a moment.

        Args:
            standing: The position, now and as the day began.
            price: What a share is worth now.
            opening_price: What one was worth as the day began; None where that is not known, or nothing was held.
            now: The moment, aware.
        """
        position, opening = standing.position, standing.opening
        realized, average_price = self._divide(standing)
        unrealized = profit = day_profit = None
        worth = None if price is None else price.price
        closing_fee = _NOTHING
        if worth is not None and position.quantity:
            side, value = position.closing_side, abs(position.quantity * worth)
            closing_fee = self._fee_of(standing.broker_code, side, value)
        # What is not held any more needs no price.
        if worth is not None or not position.quantity:
            known = _NOTHING if worth is None else worth
            unrealized = position.unrealized(known, closing_fee)
            profit = position.profit(known, closing_fee)
            began = self._began_with(standing, opening_price)
            day_profit = None if began is None else position.total(known, closing_fee) - began
        guesses = [each for each in position.guesses if now - each.at < LISTS_LAG]
        band = None if price is None else price.band
        return PositionView(
            account=position.account,
            broker_code=standing.broker_code,
            instrument=position.instrument,
            quantity=position.quantity,
            average_price=average_price,
            last_price=worth,
            price_at=None if price is None else price.at,
            age=None if price is None else price.age(now),
            stale=price is None or price.is_stale(now, self._stale_after),
            realized=realized,
            unrealized=unrealized,
            fees=position.fees - opening.fees,
            profit=profit,
            day_profit=day_profit,
            opened_at=position.opened_at,
            estimated=position.estimated,
            upside=sum((_upside(each, band) for each in guesses), _NOTHING),
            downside=sum((_downside(each, band) for each in guesses), _NOTHING),
            from_holdings=position.from_holdings - opening.from_holdings,
        )

    def _divide(self, standing: Standing) -> tuple[Decimal, Decimal | None]:
        """The day's realized profit and the average price: reckoned once a trade, and not with every look."""
        position, opening = standing.position, standing.opening
        known = self._divided.get(standing.key)
        if known is None or known[0] is not position or known[1] is not opening:
            known = (position, opening, position.realized - opening.realized, position.average_price)
            self._divided[standing.key] = known
        return known[2], known[3]

    def _began_with(self, standing: Standing, opening_price: Decimal | None) -> Decimal | None:
        """All profit as the day began; None where it needs a price that is not known."""
        opening = standing.opening
        if not opening.quantity:
            return opening.total(_NOTHING)
        if opening_price is None:
            return None
        value = abs(opening.quantity * opening_price)
        return opening.total(opening_price, self._fee_of(standing.broker_code, opening.closing_side, value))


def _upside(guess: Guess, band: PriceBand | None) -> Decimal:
    """By how much a trade may have been better than it is taken for."""
    if guess.signed > 0:
        best = _NOTHING if band is None else min(band.low, guess.price)
    else:
        best = 2 * guess.price if band is None else max(band.high, guess.price)
    return abs(guess.signed * (guess.price - best))


def _downside(guess: Guess, band: PriceBand | None) -> Decimal:
    """By how much it may have been worse."""
    if guess.worst is not None:
        worst = guess.worst
    elif guess.signed > 0:
        worst = 2 * guess.price if band is None else max(band.high, guess.price)
    else:
        worst = _NOTHING if band is None else min(band.low, guess.price)
    return max(guess.signed * (worst - guess.price), _NOTHING)


def summary(views: Iterable[PositionView]) -> Mapping[str, Any]:
    """All positions together, under the names that programs read.

    The sums leave out what has no price; ``unpriced`` says of how many open positions, and ``stale`` whether any price
    in them is old. ``estimated`` says whether some position's profit, and so a sum, is an estimate. ``day_pnl`` is None
    while some position's is not known.
    """
    shown = tuple(views)
    days = [each.day_profit for each in shown]
    total_realized = sum((each.realized for each in shown), _NOTHING)
    total_unrealized = sum((each.unrealized for each in shown if each.unrealized is not None), _NOTHING)
    fees = sum((each.fees for each in shown), _NOTHING)
    return {
        "total_realized_pnl": total_realized,
        "total_unrealized_pnl": total_unrealized,
        "total_fees": fees,
        "total_pnl": total_realized + total_unrealized - fees,
        "day_pnl": None if None in days else sum((each for each in days if each is not None), _NOTHING),
        "open_positions": sum(each.is_open for each in shown),
        "unpriced": sum(each.is_open and each.last_price is None for each in shown),
        "stale": any(each.is_open and each.stale for each in shown),
        "estimated": any(each.estimated for each in shown),
        "positions": [each.document() for each in shown],
    }
