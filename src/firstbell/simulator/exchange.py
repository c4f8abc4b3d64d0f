"""The venue: orders come in, rules are checked, phases pass, trades come out.

Pure and deterministic: every call says what time it is, in ns since the epoch on the exchange's clock, and nothing else
moves it. Time never runs backward here; a call that says an earlier time than the last one happens at the last one.

What of the real exchange is simplified: money and shares of a trade settle at once, an account may trade with itself,
and the closing price is the day's average price weighted by volume, without the correction for thin trading.
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from firstbell.errors import SimulatorError
from firstbell.market import Phase, fee_rate, tick_size
from firstbell.model.order_status import OrderStatus
from firstbell.model.terms import Side
from firstbell.simulator import rules as rule
from firstbell.simulator.accounts import Account
from firstbell.simulator.auction import clear
from firstbell.simulator.book import BookOrder
from firstbell.simulator.instrument_day import Listing, listed
from firstbell.simulator.orders import ExchangeOrder, OrderRequest, Trade
from firstbell.simulator.rules import Reason, Refusal, Rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from firstbell.model.identifiers import InstrumentId
    from firstbell.model.instrument import Instrument
    from firstbell.simulator.book import Match
    from firstbell.simulator.schedule import Schedule

_TRADES: Final = frozenset({Phase.AUCTION, Phase.CONTINUOUS, Phase.AT_CLOSE})


class Exchange:
    """A venue with instruments, accounts and one trading day.

    Args:
        instruments: What is traded; each needs a reference price.
        schedule: The day.
        rules: The numbers behind the rules.
        first_serial: The first order's serial.

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
    ) -> None:
        self.schedule = schedule
        self.rules = rules or Rules()
        self.listings: dict[InstrumentId, Listing] = {each.id: listed(each) for each in instruments}
        self.accounts: dict[str, Account] = {}
        self.orders: dict[int, ExchangeOrder] = {}
        self.trades: list[Trade] = []
        self.fees_taken = Decimal(0)
        self._of_account: defaultdict[str, list[ExchangeOrder]] = defaultdict(list)
        self._buy_fee = fee_rate(self.rules.market, Side.BUY)
        self._sell_fee = fee_rate(self.rules.market, Side.SELL)
        self._next_serial = first_serial
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

    def orders_of(self, account: str) -> Sequence[ExchangeOrder]:
        """All of an account's accepted orders, the oldest first."""
        return self._of_account[account]

    # --- time

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
        if phase in _TRADES and not self._opened:
            self._opened = True
            for listing in self.listings.values():
                self._open(listing)
        if phase is Phase.AT_CLOSE:
            for listing in self.listings.values():
                listing.closing_price = listing.average_price(self._tick_at)
        if self._now == self.schedule.end and phase is Phase.CLOSED:
            for order in self.orders.values():
                if order.working:
                    self._end(order, OrderStatus.EXPIRED)

    def _open(self, listing: Listing) -> None:
        buys, sells = (
            {level.price: level.quantity for level in listing.book.levels(side)} for side in (Side.BUY, Side.SELL)
        )
        clearing = clear(buys, sells, listing.reference, self._tick_at)
        if clearing is not None:
            self._book_trades(listing, listing.book.uncross(clearing.price))

    def _tick_at(self, price: Decimal) -> Decimal:
        return tick_size(self.rules.market, price)

    # --- orders

    def submit(self, account: str, request: OrderRequest, now: int) -> ExchangeOrder | Refusal:
        """Take a new order, or refuse it.

        The interval counts from the account's last order that was not itself refused for coming too soon.

        Raises:
            SimulatorError: There is no such account.
        """
        holder = self._holder(account)
        phase = self.advance(now)
        refusal = self._too_soon(holder) or rule.takes_orders(phase) or self._unfit(request, phase)
        refusal = refusal or self._uncovered(
            holder, request, self._cost(request.price, request.quantity), request.quantity
        )
        if refusal is not None:
            return refusal
        order = ExchangeOrder(
            self._next_serial,
            len(self._of_account[account]) + 1,
            account,
            request.instrument,
            request.side,
            request.price,
            request.quantity,
            self._now,
        )
        self._next_serial += 1
        self.orders[order.serial] = order
        self._of_account[account].append(order)
        self._hold(order, 1)
        self._to_book(order, phase)
        return order

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
        request = OrderRequest(order.instrument, order.side, price, quantity)
        leaves = quantity - order.filled_qty
        refusal = self._unfit(request, phase)
        if refusal is None and leaves <= 0:
            traded = f"{order.filled_qty} shares have traded already"
            refusal = Refusal(Reason.WRONG_QUANTITY, f"{quantity} shares are not more than what has traded: {traded}")
        if refusal is None:
            more_money = self._cost(price, leaves) - self._cost(order.price, order.leaves_qty)
            refusal = self._uncovered(holder, request, more_money, leaves - order.leaves_qty)
        return refusal or self._change(order, price, quantity, phase)

    def _change(self, order: ExchangeOrder, price: Decimal, quantity: Decimal, phase: Phase) -> ExchangeOrder:
        book = self.listings[order.instrument].book
        keeps_place = price == order.price and quantity <= order.quantity
        self._hold(order, -1)
        order.price, order.quantity, order.edited = price, quantity, True
        self._hold(order, 1)
        if keeps_place:
            book.shrink(order.serial, order.leaves_qty)
        else:
            book.remove(order.serial)
            self._to_book(order, phase)
        return order

    # --- checks

    def _holder(self, account: str) -> Account:
        try:
            return self.accounts[account]
        except KeyError:
            raise SimulatorError(f"there is no account {account!r}") from None

    def _too_soon(self, holder: Account) -> Refusal | None:
        refusal = rule.interval(holder.last_order_at, self._now, self.rules)
        if refusal is None:
            holder.last_order_at = self._now
        return refusal

    def _unfit(self, request: OrderRequest, phase: Phase) -> Refusal | None:
        listing = self.listings.get(request.instrument)
        if listing is None:
            return Refusal(Reason.UNKNOWN_INSTRUMENT, f"{request.instrument} is not traded here")
        return (
            rule.price(request, listing.instrument, self.rules)
            or rule.closing_price(request, phase, listing.closing_price)
            or rule.quantity(request, listing.instrument)
            or rule.value(request, self.rules)
        )

    @staticmethod
    def _uncovered(holder: Account, request: OrderRequest, money: Decimal, shares: Decimal) -> Refusal | None:
        if request.side is Side.BUY:
            return rule.money(money, holder.buying_power) if money > 0 else None
        return rule.shares(shares, holder.sellable(request.instrument)) if shares > 0 else None

    def _working(self, account: str, serial: int) -> ExchangeOrder | Refusal:
        order = self.orders.get(serial)
        if order is None or order.account != account or not order.working:
            return Refusal(Reason.UNKNOWN_ORDER, f"the account has no working order {serial}")
        return order

    # --- money, shares and the book

    def _cost(self, price: Decimal, shares: Decimal) -> Decimal:
        """What buying would cost, the fee included, in rials."""
        return price * shares * (1 + self._buy_fee)

    def _hold(self, order: ExchangeOrder, sign: int) -> None:
        """Reserve (sign 1) or release (sign -1) what is left of an order."""
        left = sign * order.leaves_qty
        holder = self.accounts[order.account]
        if order.side is Side.BUY:
            holder.reserve(order.instrument, money=self._cost(order.price, left), shares=Decimal(0))
        else:
            holder.reserve(order.instrument, money=Decimal(0), shares=left)

    def _end(self, order: ExchangeOrder, status: OrderStatus) -> None:
        self.listings[order.instrument].book.remove(order.serial)
        self._hold(order, -1)
        order.status = status

    def _to_book(self, order: ExchangeOrder, phase: Phase) -> None:
        listing = self.listings[order.instrument]
        resting = BookOrder(order.serial, order.side, order.price, order.leaves_qty)
        if phase in _TRADES:
            at = listing.closing_price if phase is Phase.AT_CLOSE else None
            self._book_trades(listing, listing.book.take(resting, at=at))
        else:
            listing.book.rest(resting)

    def _book_trades(self, listing: Listing, matches: Iterable[Match]) -> None:
        for match in matches:
            trade = Trade(
                len(self.trades) + 1,
                self._now,
                listing.instrument.id,
                match.price,
                match.quantity,
                match.buy,
                match.sell,
            )
            self.trades.append(trade)
            listing.traded(trade.price, trade.quantity)
            self._fill(self.orders[trade.buy], trade)
            self._fill(self.orders[trade.sell], trade)

    def _fill(self, order: ExchangeOrder, trade: Trade) -> None:
        worth = trade.price * trade.quantity
        self._hold(order, -1)
        order.filled_qty += trade.quantity
        order.filled_value += worth
        order.status = OrderStatus.FILLED if order.filled_qty == order.quantity else OrderStatus.PARTIALLY_FILLED
        self._hold(order, 1)
        holder = self.accounts[order.account]
        if order.side is Side.BUY:
            fee = worth * self._buy_fee
            holder.receive(trade.instrument, money=-worth - fee, shares=trade.quantity)
        else:
            fee = worth * self._sell_fee
            holder.receive(trade.instrument, money=worth - fee, shares=-trade.quantity)
        self.fees_taken += fee
