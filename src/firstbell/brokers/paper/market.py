"""The paper market: what can be asked of it, and how it is moved by hand."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Final

from firstbell.brokers.base import Holding
from firstbell.brokers.paper.crowd import CROWD, standing
from firstbell.model.instant import instant
from firstbell.model.quote import Level, Quote
from firstbell.model.terms import OrderType, Side, TimeInForce
from firstbell.simulator.orders import OrderRequest
from firstbell.simulator.rules import Reason, Refusal

if TYPE_CHECKING:
    from datetime import date

    from firstbell.brokers.base import VenueFill, VenueOrder
    from firstbell.brokers.paper.dialect import Wanted
    from firstbell.model.identifiers import InstrumentId
    from firstbell.model.instrument import Instrument
    from firstbell.simulator.book import Level as BookLevel
    from firstbell.simulator.instrument_day import Listing
    from firstbell.simulator.orders import ExchangeOrder

from firstbell.brokers.paper.turns import Turns

DEPTH: Final = 5
"""Levels of the book that a quote shows on either side."""

_SHOWN: Final = Decimal(10_000)


class PaperMarket(Turns):
    """A market without money; how it is made stands at `firstbell.brokers.paper.turns.Turns`."""

    # --- the market, by hand

    def list_instrument(self, instrument: Instrument) -> None:
        """Trade one more instrument, or describe one anew.

        Raises:
            SimulatorError: It has no reference price.
        """
        with self._turn() as venue:
            venue.list_instrument(instrument)
            self._mood.described.add(instrument.id)

    def set_quote(
        self,
        instrument: InstrumentId,
        *,
        bid: Decimal | None = None,
        ask: Decimal | None = None,
        bid_quantity: Decimal = _SHOWN,
        ask_quantity: Decimal = _SHOWN,
    ) -> None:
        """Let the crowd show just this, and do nothing on this instrument by itself until `release`.

        Args:
            instrument: ISIN or symbol.
            bid: The price that it pays; None for no bid.
            ask: The price that it sells at; None for no offer.
            bid_quantity: Shares that it bids for.
            ask_quantity: Shares that it offers.

        Raises:
            LookupError: No such instrument is traded here.
            ValueError: The exchange does not take such an order, as outside the band, or while it is closed.
        """
        with self._turn() as venue:
            exchange, listing = venue.exchange, venue.listing(instrument)
            self._mood.by_hand.add(listing.instrument.id)
            venue.stir(listing.instrument.id)
            for order in standing(exchange, listing):
                exchange.cancel(CROWD, order.serial, exchange.now)
            for side, price, quantity in ((Side.BUY, bid, bid_quantity), (Side.SELL, ask, ask_quantity)):
                if price is not None:
                    self._by_hand(listing, side, price, quantity)

    def trade(self, instrument: InstrumentId, price: Decimal, quantity: Decimal) -> None:
        """Let the crowd trade so many shares at a price; whoever stands there, or better, is served first.

        Raises:
            LookupError: No such instrument is traded here.
            ValueError: As `set_quote`.
        """
        with self._turn() as venue:
            listing, left = venue.listing(instrument), quantity
            for side in (Side.SELL, Side.BUY):
                met = min(listing.book.within(side, price), left)
                if met > 0:
                    self._by_hand(listing, side, price, met, TimeInForce.IOC)
                    left -= met
            if left > 0:
                listing.traded(price, left)
            listing.last_price = self._mood.anchors[listing.instrument.id] = price
            venue.stir(listing.instrument.id)

    def release(self, instrument: InstrumentId) -> None:
        """Let the crowd go on by itself after `set_quote`.

        Raises:
            LookupError: No such instrument is traded here.
        """
        with self._turn() as venue:
            isin = venue.listing(instrument).instrument.id
            self._mood.by_hand.discard(isin)
            venue.stir(isin)

    def _by_hand(
        self, listing: Listing, side: Side, price: Decimal, quantity: Decimal, lasts: TimeInForce = TimeInForce.GTC
    ) -> None:
        found = self._crowd.order(self._venue.exchange, listing, side, price, quantity, lasts)
        if isinstance(found, Refusal):
            raise ValueError(found.detail)  # noqa: TRY004 - not its type is wrong, but what it says

    # --- what a broker asks

    def place(self, username: str, wanted: Wanted) -> ExchangeOrder | Refusal | None:
        """Take a new order, or refuse it; None where a market order meets nobody."""
        with self._turn() as venue:
            exchange, account = venue.exchange, self._account(username)
            try:
                listing = venue.listing(wanted.instrument)
            except LookupError:
                return Refusal(Reason.UNKNOWN_INSTRUMENT, f"{wanted.instrument} is not traded here")
            self._watch(listing)
            price, lasts = wanted.price, wanted.time_in_force
            if wanted.order_type is OrderType.MARKET:
                price = _reach(listing, wanted.side, wanted.quantity)
                lasts = TimeInForce.FOK if lasts is TimeInForce.FOK else TimeInForce.IOC
            if price is None:
                if exchange.named(account, wanted.client_order_id) is None:
                    return None
                # The exchange says of which order that name is.
                price = listing.reference
            request = OrderRequest(
                listing.instrument.id, wanted.side, price, wanted.quantity, lasts, wanted.client_order_id
            )
            return exchange.submit(account, request, exchange.now)

    def change(self, username: str, serial: int, price: Decimal, quantity: Decimal) -> ExchangeOrder | Refusal:
        """Change a working order, or refuse to; what has traded of it is in the quantity."""
        with self._turn() as venue:
            return venue.exchange.edit(self._account(username), serial, price, quantity, venue.exchange.now)

    def cancel(self, username: str, serial: int) -> ExchangeOrder | Refusal:
        """Take a working order off the book, or refuse to."""
        with self._turn() as venue:
            return venue.exchange.cancel(self._account(username), serial, venue.exchange.now)

    def buying_power(self, username: str) -> Decimal:
        """What an account may spend, fees included, in rials."""
        with self._turn() as venue:
            return venue.exchange.accounts[self._account(username)].buying_power

    def holdings(self, username: str) -> tuple[Holding, ...]:
        """What an account holds."""
        with self._turn() as venue:
            held = venue.exchange.accounts[self._account(username)].holdings
            return tuple(Holding(isin, quantity) for isin, quantity in held.items() if quantity)

    def instrument(self, instrument: InstrumentId) -> Instrument:
        """An instrument as it is today.

        Raises:
            LookupError: No such one is traded here.
        """
        with self._turn() as venue:
            listing = venue.listing(instrument)
            self._watch(listing)
            return replace(listing.instrument, reference_price=listing.reference, last_price=listing.last_price)

    def check_fineness(self, instrument: InstrumentId, price: Decimal) -> None:
        """Make sure that a price is not finer than an instrument's prices can be; nothing is known of unknown ones.

        Raises:
            ValueError: It is.
        """
        with self._lock, contextlib.suppress(LookupError):
            step = self._venue.listing(instrument).instrument.tick_size or Decimal(1)
            if price % step:
                raise ValueError(f"the prices of {instrument} move in steps of {step}, not to {price}")

    def quote(self, instrument: InstrumentId) -> Quote:
        """What the market says of an instrument.

        Raises:
            LookupError: No such one is traded here.
        """
        with self._turn() as venue:
            listing = venue.listing(instrument)
            self._watch(listing)
            bids, asks = (tuple(map(_level, islice(listing.book.levels(side), DEPTH))) for side in Side)
            now = instant(venue.exchange.now)
            return Quote(listing.instrument.id, now, bids, asks, listing.last_price, listing.volume)

    def orders(self, username: str, day: date) -> tuple[VenueOrder, ...]:
        """An account's orders of a day: those made on it, and those of earlier days that still worked on it."""
        with self._turn() as venue:
            return tuple(venue.rows_of(self._account(username), day))

    def open_orders(self, username: str) -> tuple[VenueOrder, ...]:
        """An account's working orders."""
        with self._turn() as venue:
            return tuple(map(venue.row, venue.working[self._account(username)].values()))

    def fills(self, username: str, day: date) -> tuple[VenueFill, ...]:
        """An account's trades of a day, the oldest first."""
        with self._turn() as venue:
            return tuple(fill for at, fill in venue.fills[self._account(username)].values() if at == day)


def _level(level: BookLevel) -> Level:
    return Level(level.price, level.quantity, len(level.orders))


def _reach(listing: Listing, side: Side, quantity: Decimal) -> Decimal | None:
    """The worst price at which a market order trades now: that of the last level that it needs."""
    price, met = None, Decimal(0)
    for level in listing.book.levels(side.opposite):
        price, met = level.price, met + level.quantity
        if met >= quantity:
            break
    return price
