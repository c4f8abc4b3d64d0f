"""What positions are worth: prices, each with its time, from the brokers or from whatever feed there is."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from firstbell.errors import BrokerError, CaptchaError
from firstbell.model.instant import instant

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import date, datetime, timedelta
    from decimal import Decimal

    from firstbell.brokers.base import Broker
    from firstbell.clock import Clock
    from firstbell.market.hours import Hours
    from firstbell.model.identifiers import AccountName, InstrumentId
    from firstbell.model.instrument import Instrument
    from firstbell.model.price_band import PriceBand
    from firstbell.oms.positions.book import PositionKey

    Market = tuple[str, InstrumentId]
    """Where a price holds: at a broker's code, of an instrument."""
    _When = tuple[date, bool]
    """A day at the exchange, and whether its market had opened."""

_log = logging.getLogger(__name__)

PATIENCE_S: Final = 3.0
"""How long prices are waited for, in seconds: one broker that hangs keeps nobody's stop waiting for longer."""


@dataclass(frozen=True, slots=True)
class MarketPrice:
    """What one share last traded at.

    Attributes:
        price: The price.
        at: When that was read, aware, on our clock.
        reference: The closing price of the day before, where it is known: the day's profit is measured from it.
        band: The day's price band, where it is known: nothing trades today at another price.
    """

    price: Decimal
    at: datetime
    reference: Decimal | None = None
    band: PriceBand | None = field(default=None, compare=False)

    def age(self, now: datetime) -> timedelta:
        """How old it is; a clock that was set since makes it no younger."""
        return abs(now - self.at)

    def is_stale(self, now: datetime, stale_after: timedelta) -> bool:
        """Whether it is too old to act by."""
        return self.age(now) > stale_after


class Prices(Protocol):
    """Where prices come from."""

    def read(self, wanted: Collection[PositionKey]) -> Mapping[PositionKey, MarketPrice]:
        """The newest prices. What is not known is left out, and what is old says so by its time; raises nothing."""
        ...


class BrokerPrices:
    """`Prices` that the brokers are asked for: all brokers at once, an instrument once however many accounts hold it.

    Nobody is logged in for it: a broker without a living token is not asked.

    Args:
        brokers: Each account's broker.
        clock: Tells when a price was read.
        hours: When the market opens: from then on brokers tell the closing price of the day before, and not of an
            earlier one.
        known: What is known already, from earlier.
        patience_s: How long answers are waited for, in seconds; later ones are there the next time.
    """

    def __init__(
        self,
        brokers: Mapping[AccountName, Broker],
        clock: Clock,
        hours: Hours,
        known: Mapping[Market, MarketPrice] | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._brokers = brokers
        self._clock = clock
        self._hours = hours
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._known: dict[Market, MarketPrice] = dict(known or {})
        self._described: dict[Market, tuple[_When, Instrument]] = {}
        self._asking: dict[str, threading.Thread] = {}
        self._failed: set[Market] = set()

    @property
    def known(self) -> dict[Market, MarketPrice]:
        """Everything that is known, for whoever writes it down."""
        with self._lock:
            return dict(self._known)

    def learn(self, known: Mapping[Market, MarketPrice]) -> None:
        """Take over what others have read since; what they say to be of the future is left."""
        now = instant(self._clock.wall_ns())
        with self._lock:
            for market, price in known.items():
                ours = self._known.get(market)
                if price.at <= now and (ours is None or price.at > ours.at):
                    self._known[market] = price

    def read(self, wanted: Collection[PositionKey]) -> Mapping[PositionKey, MarketPrice]:
        """Ask for the newest prices; what does not come in time stands as it was known last."""
        asked: dict[str, tuple[Broker, list[InstrumentId]]] = {}
        for account, instrument in wanted:
            broker = self._brokers.get(account)
            if broker is None:
                continue
            # Any login of a broker sees the same market; one that has a token is asked.
            known = asked.get(broker.code)
            if known is None or not known[0].is_logged_in:
                asked[broker.code] = (broker, known[1] if known else [])
            if instrument not in asked[broker.code][1]:
                asked[broker.code][1].append(instrument)
        self._ask({code: each for code, each in asked.items() if each[0].is_logged_in})
        return self.last(wanted)

    def last(self, wanted: Collection[PositionKey]) -> Mapping[PositionKey, MarketPrice]:
        """What is known without asking anybody."""
        with self._lock:
            return {
                (account, instrument): price
                for account, instrument in wanted
                if account in self._brokers
                and (price := self._known.get((self._brokers[account].code, instrument))) is not None
            }

    def _ask(self, asked: Mapping[str, tuple[Broker, list[InstrumentId]]]) -> None:
        for code, (broker, instruments) in asked.items():
            under_way = self._asking.get(code)
            if under_way is not None and under_way.is_alive():
                # It hangs: one thread waits for it, and not one more with every round.
                continue
            thread = threading.Thread(target=self._ask_one, args=(broker, tuple(instruments)), daemon=True)
            self._asking[code] = thread
            thread.start()
        until_ns = self._clock.monotonic_ns() + int(self._patience_s * 1_000_000_000)
        for code in asked:
            self._asking[code].join(max(0.0, (until_ns - self._clock.monotonic_ns()) / 1_000_000_000))

    def _ask_one(self, broker: Broker, instruments: Collection[InstrumentId]) -> None:
        for instrument in instruments:
            key = (broker.code, instrument)
            try:
                price = self._price(broker, instrument)
            except (BrokerError, CaptchaError) as error:
                if key not in self._failed:
                    _log.warning("%s of %s has no price: %s", instrument, broker.code, error)
                self._failed.add(key)
                continue
            self._failed.discard(key)
            if price is not None:
                with self._lock:
                    self._known[key] = price

    def _price(self, broker: Broker, instrument: InstrumentId) -> MarketPrice | None:
        quote = None if getattr(broker, "quote", None) is None else broker.quote(instrument)
        # Only now: what describes the day must not be older than the price.
        now = instant(self._clock.wall_ns())
        described = self._describe(broker, instrument, now, anew=quote is None)
        if quote is None:
            last, at = described.last_price, now
        else:
            # Where nothing has traded today it is worth what it closed at.
            last, at = quote.last_price or described.reference_price, quote.at
        return None if last is None else MarketPrice(last, at, described.reference_price, described.band)

    def _describe(self, broker: Broker, instrument: InstrumentId, now: datetime, *, anew: bool) -> Instrument:
        key, today = (broker.code, instrument), self._hours.on(now)
        when = (today.day, today.has_opened(now))
        read = self._described.get(key)
        if read is None or read[0] != when or anew:
            read = self._described[key] = (when, broker.instrument(instrument, fresh=True))
        return read[1]
