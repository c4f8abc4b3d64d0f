"""The venue: orders come in, rules are checked, phases pass, trades come out.

Pure and deterministic: every call says what time it is, in ns since the epoch on the exchange's clock, and nothing else
moves it. Time never runs backward here; a call that says an earlier time than the last one happens at the last one.

What of the real exchange is simplified: money and shares of a trade settle at once, an account may trade with itself,
and the closing price is the day's average price weighted by volume, without the correction for thin trading.
"""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING

from firstbell.errors import SimulatorError
from firstbell.market import Phase, tick_size
from firstbell.model.order_status import OrderStatus
from firstbell.model.terms import Side, TimeInForce
from firstbell.simulator import rules as rule
from firstbell.simulator.accounts import Account
from firstbell.simulator.auction import clear
from firstbell.simulator.book import BookOrder
from firstbell.simulator.instrument_day import Listing, listed
from firstbell.simulator.orders import ExchangeOrder, OrderRequest, Trade
from firstbell.simulator.rules import AT_ONCE, TRADES, Reason, Refusal, Rules
from firstbell.simulator.settlement import Settlement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from decimal import Decimal

    from firstbell.model.identifiers import InstrumentId
    from firstbell.model.instrument import Instrument
    from firstbell.simulator.book import Match
    from firstbell.simulator.schedule import Schedule


class Exchange:
    """A venue with instruments, accounts and one trading day at a time.

    Args:
        instruments: What is traded; each needs a reference price.
        schedule: The day.
        rules: The numbers behind the rules.
        first_serial: The first order's serial.
        on_order: Told of an order whenever it has changed; it must be quick and must not fail.
        on_trade: Told of each trade, likewise; the venue itself then keeps none.

    Raises:
        SimulatorError: An instrument has no reference price.
    """

    def __init__(
        self,
        instruments: Iterable[Instrument],
        schedule: Schedule,
        *,
        rules: Rules | None = None,
        first_serial: int = 1,
        on_order: Callable[[ExchangeOrder], None] | None = None,
        on_trade: Callable[[Trade], None] | None = None,
    ) -> None:
        self.schedule = schedule
        self.rules = rules or Rules()
        self.listings: dict[InstrumentId, Listing] = {each.id: listed(each) for each in instruments}
        self.accounts: dict[str, Account] = {}
        self.orders: dict[int, ExchangeOrder] = {}
        self.trades: list[Trade] = []
        self._of_account: defaultdict[str, dict[int, ExchangeOrder]] = defaultdict(dict)
        self._named: dict[tuple[str, str | None], int] = {}
        self._numbers: defaultdict[str, int] = defaultdict(int)
        self._on_order = on_order or _nobody
        self._on_trade = on_trade or self.trades.append
        self._settlement = Settlement(self.rules.market, self.accounts)
        self.next_serial = first_serial
        self.next_trade = 1
        self._next_place = 1
        self._now = 0
        self._opened = False

    # --- accounts

    def open_account(
        self, name: str, money: Decimal, holdings: Mapping[InstrumentId, Decimal] | None = None
    ) -> Account:
        """Open an account.

        Args:
            name: Its name, unique here.
            money: In rials; may be negative.
            holdings: Shares by instrument.

        Raises:
            SimulatorError: There is an account of that name.
        """
        if name in self.accounts:
            raise SimulatorError(f"there is an account {name!r} already")
        account = Account(name, money)
        account.holdings.update(holdings or {})
        self.accounts[name] = account
        return account

    @property
    def fees_taken(self) -> Decimal:
        """All fees so far, in rials."""
        return self._settlement.fees_taken

    def orders_of(self, account: str) -> Sequence[ExchangeOrder]:
        """All of an account's accepted orders, the oldest first."""
        return tuple(self._of_account[account].values())

    # --- time

    @property
    def now(self) -> int:
        """The time of the last call, in ns since the epoch."""
        return self._now

    @property
    def phase(self) -> Phase:
        """The phase at the time of the last call."""
        return self.schedule.phase_at(self._now)

    def advance(self, now: int) -> Phase:
        """Let time pass: every phase that has begun by `now` begins, the opening auction is held, orders expire.

        Returns:
            The phase at `now`.
        """
        while (start := self.schedule.next_start(self._now)) is not None and start <= now:
            self._now = start
            self._enter(self.schedule.phase_at(start))
        self._now = max(self._now, now)
        return self.phase

    def _enter(self, phase: Phase) -> None:
        if phase in TRADES and not self._opened:
            self._opened = True
            for listing in self.listings.values():
                self._open(listing)
            self._end_all(OrderStatus.CANCELED, lambda order: order.time_in_force is TimeInForce.AT_THE_OPEN)
        if phase is Phase.AT_CLOSE:
            for listing in self.listings.values():
                listing.closing_price = listing.average_price(partial(self.tick_at, listing))
        if self._now == self.schedule.end and phase is Phase.CLOSED:
            self._end_all(OrderStatus.EXPIRED, lambda order: order.time_in_force is not TimeInForce.GTC)

    def _end_all(self, status: OrderStatus, which: Callable[[ExchangeOrder], bool]) -> None:
        for order in list(self.orders.values()):
            if order.working and which(order):
                self._end(order, status)

    def next_day(self, schedule: Schedule) -> None:
        """Let the day end, and begin another one; what is good till it is canceled stays on the book.

        Args:
            schedule: The other day, which begins no earlier than this one ends.
        """
        self.advance(self.schedule.end)
        self.schedule = schedule
        self._opened = False
        for listing in self.listings.values():
            listing.next_day()

    def list_instrument(self, instrument: Instrument) -> Listing:
        """List one more instrument; one that is listed already keeps its day, and is described anew.

        Raises:
            SimulatorError: It has no reference price.
        """
        known = self.listings.setdefault(instrument.id, listed(instrument))
        known.instrument = instrument
        return known

    def _open(self, listing: Listing) -> None:
        buys, sells = (
            {level.price: level.quantity for level in listing.book.levels(side)} for side in (Side.BUY, Side.SELL)
        )
        clearing = clear(buys, sells, listing.reference, partial(self.tick_at, listing))
        if clearing is not None:
            self._book_trades(listing, listing.book.uncross(clearing.price))

    def tick_at(self, listing: Listing, price: Decimal) -> Decimal:
        """The step of an instrument's prices at a price, in rials."""
        return listing.instrument.tick_size or tick_size(self.rules.market, price)

    # --- orders

    def submit(self, account: str, request: OrderRequest, now: int) -> ExchangeOrder | Refusal:
        """Take a new order, or refuse it.

        The interval counts from the account's last order that was not itself refused for coming too soon.

        Raises:
            SimulatorError: There is no such account.
        """
        holder = self._holder(account)
        phase = self.advance(now)
        if (refusal := self._known(account, request.client_order_id)) is not None:
            return refusal
        refusal = self._too_soon(holder) or rule.takes_orders(phase) or self._unfit(request, phase)
        refusal = refusal or self._uncovered(
            holder, request, self._settlement.cost(request.price, request.quantity), request.quantity
        )
        if refusal is not None:
            return refusal
        self._numbers[account] += 1
        order = ExchangeOrder(
            self.next_serial,
            self._numbers[account],
            account,
            request.instrument,
            request.side,
            request.price,
            request.quantity,
            self._now,
            time_in_force=request.time_in_force,
            client_order_id=request.client_order_id,
        )
        self.next_serial += 1
        self._keep(order)
        self._settlement.reserve(order)
        self._to_book(order, phase)
        self._on_order(order)
        return order

    def _keep(self, order: ExchangeOrder) -> None:
        self.orders[order.serial] = order
        self._of_account[order.account][order.serial] = order
        if order.client_order_id is not None:
            self._named[order.account, order.client_order_id] = order.serial

    def named(self, account: str, client_order_id: str) -> ExchangeOrder | None:
        """An account's order by the investor's own name for it; None where he has none of that name."""
        serial = self._named.get((account, client_order_id))
        return None if serial is None else self.orders[serial]

    def forget(self, order: ExchangeOrder) -> None:
        """Drop an order that no longer works, as if it had never been.

        Raises:
            SimulatorError: It works.
        """
        if order.working:
            raise SimulatorError(f"order {order.serial} works, and cannot be forgotten")
        del self.orders[order.serial]
        del self._of_account[order.account][order.serial]
        self._named.pop((order.account, order.client_order_id), None)

    def cancel(self, account: str, serial: int, now: int) -> ExchangeOrder | Refusal:
        """Take a working order off the book, and release what it had reserved.

        Raises:
            SimulatorError: There is no such account.
        """
        self._holder(account)
        phase = self.advance(now)
        if (refusal := rule.takes_changes(phase)) is not None:
            return refusal
        order = self._working(account, serial)
        if isinstance(order, ExchangeOrder):
            self._end(order, OrderStatus.CANCELED)
        return order

    def edit(self, account: str, serial: int, price: Decimal, quantity: Decimal, now: int) -> ExchangeOrder | Refusal:
        """Change a working order's price and quantity.

        It keeps its place in the queue only where the price stays and the quantity does not grow.

        Args:
            account: The account's name.
            serial: The order.
            price: The new limit price, in rials.
            quantity: The new quantity, what has traded of it included, in shares.
            now: The time, in ns since the epoch on the exchange's clock.

        Raises:
            SimulatorError: There is no such account.
        """
        holder = self._holder(account)
        phase = self.advance(now)
        if (refusal := self._too_soon(holder) or rule.takes_changes(phase)) is not None:
            return refusal
        order = self._working(account, serial)
        if isinstance(order, Refusal):
            return order
        request = OrderRequest(order.instrument, order.side, price, quantity, order.time_in_force)
        leaves = quantity - order.filled_qty
        refusal = self._unfit(request, phase)
        if refusal is None and leaves <= 0:
            traded = f"{order.filled_qty} shares have traded already"
            refusal = Refusal(Reason.WRONG_QUANTITY, f"{quantity} shares are not more than what has traded: {traded}")
        if refusal is None:
            more_money = self._settlement.cost(price, leaves) - self._settlement.cost(order.price, order.leaves_qty)
            refusal = self._uncovered(holder, request, more_money, leaves - order.leaves_qty)
        return refusal or self._change(order, price, quantity, phase)

    def _change(self, order: ExchangeOrder, price: Decimal, quantity: Decimal, phase: Phase) -> ExchangeOrder:
        book = self.listings[order.instrument].book
        keeps_place = price == order.price and quantity <= order.quantity
        self._settlement.release(order)
        order.price, order.quantity, order.edited = price, quantity, True
        self._settlement.reserve(order)
        if keeps_place:
            book.shrink(order.serial, order.leaves_qty)
        else:
            book.remove(order.serial)
            self._to_book(order, phase)
        self._on_order(order)
        return order

    # --- checks

    def _holder(self, account: str) -> Account:
        try:
            return self.accounts[account]
        except KeyError:
            raise SimulatorError(f"there is no account {account!r}") from None

    def _known(self, account: str, client_order_id: str | None) -> Refusal | None:
        known = None if client_order_id is None else self.named(account, client_order_id)
        if known is None:
            return None
        return Refusal(Reason.DUPLICATE, f"{client_order_id} is the name of order {known.serial} already")

    def _too_soon(self, holder: Account) -> Refusal | None:
        refusal = None if holder.unbound else rule.interval(holder.last_order_at, self._now, self.rules)
        if refusal is None:
            holder.last_order_at = self._now
        return refusal

    def _unfit(self, request: OrderRequest, phase: Phase) -> Refusal | None:
        listing = self.listings.get(request.instrument)
        if listing is None:
            return Refusal(Reason.UNKNOWN_INSTRUMENT, f"{request.instrument} is not traded here")
        return (
            rule.price(request, listing.instrument, partial(self.tick_at, listing))
            or rule.time_in_force(request, phase)
            or rule.closing_price(request, phase, listing.closing_price)
            or rule.quantity(request, listing.instrument)
            or rule.value(request, self.rules)
        )

    @staticmethod
    def _uncovered(holder: Account, request: OrderRequest, money: Decimal, shares: Decimal) -> Refusal | None:
        if holder.unbound:
            return None
        if request.side is Side.BUY:
            return rule.money(money, holder.buying_power) if money > 0 else None
        return rule.shares(shares, holder.sellable(request.instrument)) if shares > 0 else None

    def _working(self, account: str, serial: int) -> ExchangeOrder | Refusal:
        order = self.orders.get(serial)
        if order is None or order.account != account or not order.working:
            return Refusal(Reason.UNKNOWN_ORDER, f"the account has no working order {serial}")
        return order

    # --- the book

    def _end(self, order: ExchangeOrder, status: OrderStatus) -> None:
        book = self.listings[order.instrument].book
        if order.serial in book:
            book.remove(order.serial)
        self._settlement.release(order)
        order.status, order.ended_at = status, self._now
        self._on_order(order)

    def _to_book(self, order: ExchangeOrder, phase: Phase) -> None:
        listing = self.listings[order.instrument]
        order.place, self._next_place = self._next_place, self._next_place + 1
        whole = order.time_in_force is TimeInForce.FOK
        if whole and listing.book.within(order.side, order.price) < order.leaves_qty:
            self._end(order, OrderStatus.CANCELED)
            return
        resting = BookOrder(order.serial, order.side, order.price, order.leaves_qty)
        if phase in TRADES:
            at = listing.closing_price if phase is Phase.AT_CLOSE else None
            self._book_trades(listing, listing.book.take(resting, at=at))
        else:
            listing.book.rest(resting)
        if order.time_in_force in AT_ONCE and order.working:
            self._end(order, OrderStatus.CANCELED)

    def _book_trades(self, listing: Listing, matches: Iterable[Match]) -> None:
        for match in matches:
            trade = Trade(
                self.next_trade,
                self._now,
                listing.instrument.id,
                match.price,
                match.quantity,
                match.buy,
                match.sell,
            )
            self.next_trade += 1
            self._on_trade(trade)
            listing.traded(trade.price, trade.quantity)
            self._fill(self.orders[trade.buy], trade)
            self._fill(self.orders[trade.sell], trade)

    def _fill(self, order: ExchangeOrder, trade: Trade) -> None:
        self._settlement.release(order)
        order.filled_qty += trade.quantity
        order.filled_value += trade.price * trade.quantity
        order.status = OrderStatus.FILLED if order.filled_qty == order.quantity else OrderStatus.PARTIALLY_FILLED
        order.ended_at = None if order.working else self._now
        self._settlement.reserve(order)
        self._settlement.settle(order, trade)
        self._on_order(order)

    # --- coming back

    def restore(
        self,
        accounts: Iterable[Account],
        orders: Iterable[ExchangeOrder],
        *,
        now: int,
        next_serial: int,
        next_trade: int,
        opened: bool,
    ) -> None:
        """Put a new venue back where an earlier one stood.

        Args:
            accounts: All accounts, with what their working orders have reserved.
            orders: All orders that were not forgotten, the oldest first.
            now: The time of the earlier one's last call, in ns since the epoch.
            next_serial: The next order's serial.
            next_trade: The next trade's number.
            opened: Whether its opening auction had been held.
        """
        self.accounts.clear()
        self.accounts.update((account.name, account) for account in accounts)
        for order in orders:
            self._keep(order)
            self._numbers[order.account] = max(self._numbers[order.account], order.number_of_account)
            self._next_place = max(self._next_place, order.place + 1)
        for order in sorted((each for each in self.orders.values() if each.working), key=lambda each: each.place):
            self.listings[order.instrument].book.rest(
                BookOrder(order.serial, order.side, order.price, order.leaves_qty)
            )
        self._now, self.next_serial, self.next_trade, self._opened = now, next_serial, next_trade, opened

    @property
    def opened(self) -> bool:
        """Whether the day's opening auction has been held."""
        return self._opened


def _nobody(order: ExchangeOrder) -> None:
    del order
