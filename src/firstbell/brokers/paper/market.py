"""The paper market: the simulator's exchange with the crowd on it, one turn at a time.

A turn takes the lock, lets time pass, lets the crowd act, does what was asked, and keeps what has changed. Any thread
may ask.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Final

from firstbell.brokers.base import Holding, VenueFill, VenueOrder
from firstbell.brokers.paper.crowd import CROWD, STEP_NS, Crowd, standing
from firstbell.clock import SystemClock
from firstbell.market import always_open, calendar, fee_rate
from firstbell.model.identifiers import InstrumentId, VenueOrderId, same_login
from firstbell.model.instant import instant
from firstbell.model.quote import Level, Quote
from firstbell.model.report import Fill
from firstbell.model.terms import OrderType, Side, TimeInForce
from firstbell.simulator.exchange import Exchange
from firstbell.simulator.listings import tehran_instruments
from firstbell.simulator.orders import ExchangeOrder, OrderRequest
from firstbell.simulator.rules import Reason, Refusal, Rules
from firstbell.simulator.schedule import next_session, schedule_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import date

    from firstbell.brokers.paper.dialect import Wanted
    from firstbell.clock import Clock
    from firstbell.market import MarketCalendar
    from firstbell.model.instrument import Instrument
    from firstbell.simulator.book import Level as BookLevel
    from firstbell.simulator.instrument_day import Listing
    from firstbell.simulator.orders import Trade

MONEY: Final = Decimal(1_000_000_000)
"""What an account begins with, in rials."""
FEES_OF: Final = "XTEH"
"""Whose fees, and whose ticks where an instrument has none of its own."""
DEPTH: Final = 5
"""Levels of the book that a quote shows on either side."""

_PLENTY: Final = Decimal(10) ** 15
_MOST_STEPS: Final = 240
"""Steps of the crowd that are made up for at once; of a longer absence, so many of them, evenly spread."""


class PaperMarket:
    """A market without money.

    Args:
        instruments: What is traded; the Tehran table where nobody says.
        days: When it trades; always, where nobody says.
        clock: What time it is.
        money: What each account begins with, in rials.
        holdings: What each account begins with, in shares by ISIN.
        liquidity: How many shares the crowd shows at a price, on average; zero for a market that nobody else is on.
        seed: Where the crowd's chance begins.
        min_interval_ns: The shortest time between two orders of one account, in ns.
    """

    def __init__(
        self,
        *,
        instruments: Iterable[Instrument] | None = None,
        days: MarketCalendar | None = None,
        clock: Clock | None = None,
        money: Decimal = MONEY,
        holdings: Mapping[InstrumentId, Decimal] | None = None,
        liquidity: Decimal = Decimal(0),
        seed: int = 1,
        min_interval_ns: int = 0,
    ) -> None:
        self.clock = clock or SystemClock()
        self.days = days or always_open(calendar(FEES_OF).tz)
        self._money = money
        self._holdings = dict(holdings or {})
        self._crowd = Crowd(liquidity, seed)
        self._rules = Rules(market=FEES_OF, min_interval_ns=min_interval_ns, min_value=Decimal(0))
        self._lock = threading.RLock()
        self._generations: defaultdict[str, int] = defaultdict(int)
        self._logins: defaultdict[str, int] = defaultdict(int)
        self._exchange = self._new_exchange(tehran_instruments() if instruments is None else instruments)
        self._symbols = {each.instrument.symbol: isin for isin, each in self._exchange.listings.items()}
        self._working: defaultdict[str, dict[int, ExchangeOrder]] = defaultdict(dict)
        self._rows: dict[int, VenueOrder] = {}
        self._fills: defaultdict[str, list[tuple[date, VenueFill]]] = defaultdict(list)
        self._ended: list[ExchangeOrder] = []
        self._watched: set[InstrumentId] = set()
        self._by_hand: set[InstrumentId] = set()
        self._anchors: dict[InstrumentId, Decimal] = {}
        self._stepped = self._exchange.now // STEP_NS

    def _new_exchange(self, instruments: Iterable[Instrument]) -> Exchange:
        now = self.clock.wall_ns()
        schedule = schedule_of(next_session(self.days, now))
        exchange = Exchange(
            instruments, schedule, rules=self._rules, on_order=self._order_changed, on_trade=self._traded
        )
        exchange.open_account(CROWD, _PLENTY, dict.fromkeys(exchange.listings, _PLENTY)).unbound = True
        exchange.advance(now)
        return exchange

    # --- turns

    @contextmanager
    def _turn(self) -> Iterator[Exchange]:
        with self._lock:
            self._pass_time(self.clock.wall_ns())
            try:
                yield self._exchange
            finally:
                self._clear_up()

    def _pass_time(self, now: int) -> None:
        exchange = self._exchange
        while now >= exchange.schedule.end:
            self._step_until(exchange.schedule.end - 1)
            exchange.next_day(schedule_of(next_session(self.days, max(exchange.schedule.end, exchange.now))))
        self._step_until(now)
        exchange.advance(now)

    def _step_until(self, now: int) -> None:
        last = now // STEP_NS
        watched = self._watched | {order.instrument for mine in self._working.values() for order in mine.values()}
        if self._crowd.liquidity and watched and last > self._stepped:
            stride = max(-(-(last - self._stepped) // _MOST_STEPS), 1)
            for step in range(last - (last - self._stepped - 1) // stride * stride, last + 1, stride):
                self._exchange.advance(step * STEP_NS)
                for isin in sorted(watched):
                    self._act(self._exchange.listings[isin], step)
                self._clear_up()
        self._stepped = max(self._stepped, last)

    def _act(self, listing: Listing, step: int) -> None:
        isin = listing.instrument.id
        if isin not in self._by_hand:
            self._crowd.act(self._exchange, listing, self._anchors.get(isin, listing.reference), step)

    def _watch(self, listing: Listing) -> None:
        """Have the crowd on an instrument that somebody looks at for the first time."""
        isin = listing.instrument.id
        if self._crowd.liquidity and isin not in self._watched:
            self._watched.add(isin)
            self._anchors.setdefault(isin, listing.reference)
            self._act(listing, self._stepped)

    def _clear_up(self) -> None:
        ended, self._ended = self._ended, []
        for order in ended:
            if order.serial in self._exchange.orders:
                self._exchange.forget(order)

    def _order_changed(self, order: ExchangeOrder) -> None:
        if order.account == CROWD:
            if not order.working:
                self._ended.append(order)
            return
        self._rows.pop(order.serial, None)
        if order.working:
            self._working[order.account][order.serial] = order
        else:
            self._working[order.account].pop(order.serial, None)

    def _traded(self, trade: Trade) -> None:
        for serial in (trade.buy, trade.sell):
            order = self._exchange.orders[serial]
            if order.account == CROWD:
                continue
            fee = trade.price * trade.quantity * fee_rate(FEES_OF, order.side)
            fill = Fill(f"{trade.number}-{order.side}", trade.quantity, trade.price, fee)
            row = VenueFill(trade.instrument, order.side, fill, VenueOrderId(str(serial)))
            self._fills[order.account].append((self._day(trade.at), row))

    def _day(self, at: int) -> date:
        return instant(at).astimezone(self.days.tz).date()

    # --- logins

    def log_in(self, username: str) -> str:
        """A token for an account; everybody has one who asks."""
        account = same_login(username)
        self._logins[account] += 1
        return f"{self._generation(account)}{self._logins[account]}"

    def log_ins(self, username: str) -> int:
        """How often an account has logged in, in this process."""
        return self._logins[same_login(username)]

    def knows(self, username: str, token: str) -> bool:
        """Whether a token lives."""
        return token.startswith(self._generation(same_login(username)))

    def _generation(self, account: str) -> str:
        return f"paper-{hashlib.blake2b(account.encode(), digest_size=6).hexdigest()}-{self._generations[account]}-"

    def end_tokens(self, username: str) -> None:
        """Take no token any more that an account has been given so far."""
        self._generations[same_login(username)] += 1

    def _account(self, exchange: Exchange, username: str) -> str:
        name = same_login(username)
        if name not in exchange.accounts:
            exchange.open_account(name, self._money, self._holdings)
        return name

    # --- the market, by hand

    def list_instrument(self, instrument: Instrument) -> None:
        """Trade one more instrument, or describe one anew.

        Raises:
            SimulatorError: It has no reference price.
        """
        with self._turn() as exchange:
            exchange.list_instrument(instrument)
            exchange.accounts[CROWD].holdings[instrument.id] = _PLENTY
            self._symbols[instrument.symbol] = instrument.id

    def set_quote(
        self,
        instrument: InstrumentId,
        *,
        bid: Decimal | None = None,
        ask: Decimal | None = None,
        bid_quantity: Decimal = Decimal(10_000),
        ask_quantity: Decimal = Decimal(10_000),
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
        """
        with self._turn() as exchange:
            listing = self._listing(instrument)
            self._by_hand.add(listing.instrument.id)
            for order in standing(exchange, listing):
                exchange.cancel(CROWD, order.serial, exchange.now)
            for side, price, quantity in ((Side.BUY, bid, bid_quantity), (Side.SELL, ask, ask_quantity)):
                if price is not None:
                    self._crowd.order(exchange, listing, side, price, quantity)

    def trade(self, instrument: InstrumentId, price: Decimal, quantity: Decimal) -> None:
        """Let the crowd trade so many shares at a price; whoever stands there, or better, is served first.

        Raises:
            LookupError: No such instrument is traded here.
        """
        with self._turn() as exchange:
            listing = self._listing(instrument)
            left = quantity
            for side in (Side.SELL, Side.BUY):
                met = min(listing.book.within(side, price), left)
                if met > 0:
                    self._crowd.order(exchange, listing, side, price, met, TimeInForce.IOC)
                    left -= met
            if left > 0:
                listing.traded(price, left)
            self._anchors[listing.instrument.id] = price

    def release(self, instrument: InstrumentId) -> None:
        """Let the crowd go on by itself after `set_quote`."""
        with self._turn():
            self._by_hand.discard(self._listing(instrument).instrument.id)

    # --- what a broker asks

    def place(self, username: str, wanted: Wanted) -> ExchangeOrder | Refusal | None:
        """Take a new order, or refuse it; None where a market order meets nobody."""
        with self._turn() as exchange:
            account = self._account(exchange, username)
            try:
                listing = self._listing(wanted.instrument)
            except LookupError:
                return Refusal(Reason.UNKNOWN_INSTRUMENT, f"{wanted.instrument} is not traded here")
            self._watch(listing)
            price, time_in_force = wanted.price, wanted.time_in_force
            known = exchange.named(account, wanted.client_order_id)
            if wanted.order_type is OrderType.MARKET and known is None:
                price = _reach(listing, wanted.side, wanted.quantity)
                time_in_force = TimeInForce.FOK if time_in_force is TimeInForce.FOK else TimeInForce.IOC
            if price is None and known is None:
                return None
            request = OrderRequest(
                listing.instrument.id,
                wanted.side,
                price or listing.reference,
                wanted.quantity,
                time_in_force,
                wanted.client_order_id,
            )
            return exchange.submit(account, request, exchange.now)

    def change(self, username: str, serial: int, price: Decimal, quantity: Decimal) -> ExchangeOrder | Refusal:
        """Change a working order, or refuse to."""
        with self._turn() as exchange:
            return exchange.edit(self._account(exchange, username), serial, price, quantity, exchange.now)

    def cancel(self, username: str, serial: int) -> ExchangeOrder | Refusal:
        """Take a working order off the book, or refuse to."""
        with self._turn() as exchange:
            return exchange.cancel(self._account(exchange, username), serial, exchange.now)

    def buying_power(self, username: str) -> Decimal:
        """What an account may spend, fees included, in rials."""
        with self._turn() as exchange:
            return exchange.accounts[self._account(exchange, username)].buying_power

    def holdings(self, username: str) -> tuple[Holding, ...]:
        """What an account holds."""
        with self._turn() as exchange:
            held = exchange.accounts[self._account(exchange, username)].holdings
            return tuple(Holding(isin, quantity) for isin, quantity in held.items() if quantity)

    def instrument(self, instrument: InstrumentId) -> Instrument:
        """An instrument as it is today.

        Raises:
            LookupError: No such one is traded here.
        """
        with self._turn():
            listing = self._listing(instrument)
            self._watch(listing)
            return replace(listing.instrument, reference_price=listing.reference, last_price=listing.last_price)

    def check_fineness(self, instrument: InstrumentId, price: Decimal) -> None:
        """Make sure that a price is not finer than an instrument's prices can be; of one unknown, none is.

        Raises:
            ValueError: It is.
        """
        with self._lock, contextlib.suppress(LookupError):
            step = self._listing(instrument).instrument.tick_size or Decimal(1)
            if price % step:
                raise ValueError(f"the prices of {instrument} move in steps of {step}, not to {price}")

    def quote(self, instrument: InstrumentId) -> Quote:
        """What the market says of an instrument.

        Raises:
            LookupError: No such one is traded here.
        """
        with self._turn() as exchange:
            listing = self._listing(instrument)
            self._watch(listing)
            bids, asks = (tuple(map(_level, islice(listing.book.levels(side), DEPTH))) for side in Side)
            return Quote(listing.instrument.id, instant(exchange.now), bids, asks, listing.last_price, listing.volume)

    def orders(self, username: str, day: date) -> tuple[VenueOrder, ...]:
        """An account's orders of a day: those made on it, and those of earlier days that still worked on it."""
        with self._turn() as exchange:
            mine = exchange.orders_of(self._account(exchange, username))
            return tuple(self._row(order) for order in mine if self._is_of(order, day))

    def open_orders(self, username: str) -> tuple[VenueOrder, ...]:
        """An account's working orders."""
        with self._turn() as exchange:
            return tuple(map(self._row, self._working[self._account(exchange, username)].values()))

    def fills(self, username: str, day: date) -> tuple[VenueFill, ...]:
        """An account's trades of a day, the oldest first."""
        with self._turn() as exchange:
            return tuple(fill for at, fill in self._fills[self._account(exchange, username)] if at == day)

    def _is_of(self, order: ExchangeOrder, day: date) -> bool:
        row = self._row(order)
        made = row.created_at
        if made is None or made.date() > day:
            return False
        return order.ended_at is None or self._day(order.ended_at) >= day

    def _row(self, order: ExchangeOrder) -> VenueOrder:
        row = self._rows.get(order.serial)
        if row is None:
            row = self._rows[order.serial] = VenueOrder(
                VenueOrderId(str(order.serial)),
                order.instrument,
                order.side,
                order.price,
                order.quantity,
                order.filled_qty,
                order.working,
                refused=False,
                created_at=instant(order.created_at).astimezone(self.days.tz),
                status=order.status.value,
                client_order_id=order.client_order_id,
                avg_px=order.filled_value / order.filled_qty if order.filled_qty else None,
            )
        return row

    def _listing(self, instrument: InstrumentId) -> Listing:
        listings = self._exchange.listings
        isin = instrument if instrument in listings else self._symbols.get(instrument)
        if isin is None:
            raise LookupError(f"{instrument} is not traded here")
        return listings[isin]


def _level(level: BookLevel) -> Level:
    return Level(level.price, level.quantity, len(level.orders))


def _reach(listing: Listing, side: Side, quantity: Decimal) -> Decimal | None:
    """The worst price at which a market order trades now: the last one of the levels that it needs."""
    price, met = None, Decimal(0)
    for level in listing.book.levels(side.opposite):
        price, met = level.price, met + level.quantity
        if met >= quantity:
            break
    return price
