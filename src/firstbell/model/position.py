"""A position: what an account holds of an instrument through its trades, and what they have earned. Pure and exact.

The method is average cost: what is bought joins what is held at one average price, and what is sold takes its share of
the cost along, so that the average stays. The money that went in and out is a plain sum, and the cost is an exact
fraction of it: nothing is divided but to be shown, so realized and unrealized profit always add up to the total.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow
from fractions import Fraction
from typing import TYPE_CHECKING, Final, NamedTuple

from firstbell.model.money import exact
from firstbell.model.order import LISTS_LAG
from firstbell.model.terms import Side

if TYPE_CHECKING:
    from datetime import datetime

    from firstbell.model.identifiers import AccountName, ClientOrderId, InstrumentId

    TradeKey = tuple[datetime, bool, str, str]
    """What trades are ordered by: when, and for a tie, purchases first, then of which order, and which."""

_NOTHING: Final = Decimal(0)
_EXACT: Final = Context(prec=300, traps=[Inexact, InvalidOperation, Overflow])
"""Sums and products of all numbers that `firstbell.model.money.exact` lets in are exact in it, or an error."""
_FINEST: Final = 10**60
"""A cost that can only be written with a larger denominator than this is cut to that many parts of a rial."""


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade of an account, as a position counts it.

    Attributes:
        trade_id: The venue's name for it; one that comes twice for the same order counts once.
        account: Whose.
        instrument: What was traded.
        side: Bought or sold.
        quantity: How many shares.
        price: At what price.
        at: When we heard of it, aware.
        fee: What was taken for it, in the price's currency.
        client_order_id: The order that it is of, where it is one of ours.
        estimated: Whether nobody said its price, so that the order's was taken.
        since: When it can have traded at the earliest, where that is not when we heard of it: lists tell some trades
            later than others. None: not before `at`.
        worst: Of one whose price nobody said, the worst that it can have been, where its order had a limit.
        told_at: When it was told of, which is later than `at` where its day was over by then. None: `at`.
        place: What it is ordered by in place of `at`: later than that where the clock was set back meanwhile, so that
            what was heard of later counts later. None: `at`.

    Raises:
        ValueError: The quantity is not positive, some number is not one that can be reckoned with exactly, or the time
            has no zone.
    """

    trade_id: str
    account: AccountName
    instrument: InstrumentId
    side: Side
    quantity: Decimal
    price: Decimal
    at: datetime
    fee: Decimal = _NOTHING
    client_order_id: ClientOrderId | None = None
    estimated: bool = False
    since: datetime | None = None
    worst: Decimal | None = None
    place: datetime | None = None
    told_at: datetime | None = None

    def __post_init__(self) -> None:
        for number in (self.quantity, self.price, self.fee):
            exact(number)
        if self.quantity <= 0:
            raise ValueError(f"a trade's quantity is a positive number, not {self.quantity}")
        if self.at.tzinfo is None or (self.place is not None and self.place.tzinfo is None):
            raise ValueError("a trade's time has no zone")

    @property
    def signed(self) -> Decimal:
        """The quantity, below zero where it was sold."""
        return self.quantity if self.side is Side.BUY else -self.quantity

    @property
    def name(self) -> tuple[str, str]:
        """What tells it from all others of its account and instrument."""
        return self.client_order_id or "", self.trade_id

    @property
    def key(self) -> TradeKey:
        """What it is ordered by."""
        return self.place or self.at, self.side is Side.SELL, *self.name


class Guess(NamedTuple):
    """A trade of which nobody has told the price.

    Attributes:
        at: When it was heard of.
        signed: How much it was, below zero where it was sold.
        price: The price that it was counted with.
        worst: The worst that it can have been; None where no limit says that.
    """

    at: datetime
    signed: Decimal
    price: Decimal
    worst: Decimal | None


@dataclass(frozen=True, slots=True)
class Position:
    """What the trades of one account in one instrument have come to.

    Attributes:
        account: Whose.
        instrument: What is held.
        quantity: Shares; below zero where more was sold than bought.
        cash: What sales brought less what purchases took, without fees.
        fees: What all trades took in fees.
        basis: What the quantity held cost, below zero for what was sold short: an exact fraction.
        opened_at: When the quantity last left zero, or changed its sign; None while nothing is held.
        before: What had been earned by then, all fees taken off.
        last_trade_at: When it last traded.
        estimated: Whether the price of some trade was not told, so that all profit is an estimate.
        guesses: Trades whose price was not told, and that were heard of not long before the last trade.
        from_holdings: Shares sold that no trade here had bought, where nothing can be sold short.
    """

    account: AccountName
    instrument: InstrumentId
    quantity: Decimal = _NOTHING
    cash: Decimal = _NOTHING
    fees: Decimal = _NOTHING
    basis: Fraction = Fraction(0)
    opened_at: datetime | None = None
    before: Decimal = _NOTHING
    last_trade_at: datetime | None = None
    estimated: bool = False
    guesses: tuple[Guess, ...] = ()
    from_holdings: Decimal = _NOTHING

    @property
    def is_flat(self) -> bool:
        """Whether nothing is held."""
        return not self.quantity

    @property
    def closing_side(self) -> Side:
        """The side of an order that would close it."""
        return Side.SELL if self.quantity > 0 else Side.BUY

    @property
    def cost(self) -> Decimal:
        """What the quantity held cost, without fees; below zero for what was sold short."""
        return _shown(self.basis)

    @property
    def average_price(self) -> Decimal | None:
        """The average price of what is held; None while nothing is."""
        return _shown(self.basis / Fraction(self.quantity)) if self.quantity else None

    @property
    def realized(self) -> Decimal:
        """The profit of what has been closed, by the method of average cost, without fees."""
        return _shown(Fraction(self.cash) + self.basis)

    def unrealized(self, price: Decimal, closing_fee: Decimal = _NOTHING) -> Decimal:
        """The profit of what is held, were it closed at a price for a fee."""
        return _EXACT.multiply(self.quantity, price) - self.cost - closing_fee

    def total(self, price: Decimal, closing_fee: Decimal = _NOTHING) -> Decimal:
        """All profit, all fees taken off, were it closed at a price for a fee. Exact: no average is in it."""
        value = _EXACT.multiply(self.quantity, price)
        return _EXACT.subtract(_EXACT.add(self.cash, value), _EXACT.add(self.fees, closing_fee))

    def profit(self, price: Decimal, closing_fee: Decimal = _NOTHING) -> Decimal:
        """Likewise, but since the position was opened: what it has earned in part already is in it."""
        return _EXACT.subtract(self.total(price, closing_fee), self.before)

    def after(self, trade: Trade, *, short: bool = True) -> Position:
        """The position once a trade has come. It is not known here which have come before.

        Args:
            trade: The trade.
            short: Whether what is not held can be sold. Where it cannot, what a sale goes beyond the quantity came out
                of holdings from elsewhere: the position ends at zero, and earns nothing by that part, for nobody has
                said what it had cost. The whole fee counts.

        Raises:
            ValueError: The trade is another account's, or of another instrument.
        """
        if (trade.account, trade.instrument) != (self.account, self.instrument):
            raise ValueError(
                f"a trade of {trade.account} in {trade.instrument} came to {self.account} in {self.instrument}"
            )
        beyond = _EXACT.subtract(trade.quantity, self.quantity)
        if not short and trade.side is Side.SELL and beyond > 0:
            return replace(self._closed_by(trade), from_holdings=_EXACT.add(self.from_holdings, beyond))
        quantity = _EXACT.add(self.quantity, trade.signed)
        crossed = bool(self.quantity) and bool(quantity) and (self.quantity > 0) != (quantity > 0)
        cash = _EXACT.subtract(self.cash, _EXACT.multiply(trade.signed, trade.price))
        fees = _EXACT.add(self.fees, trade.fee)
        opened_at, before = self.opened_at, self.before
        if not quantity:
            opened_at, before = None, _EXACT.subtract(cash, fees)
        elif crossed:
            # The fee of a trade that turned the position round is put to what it closed.
            opened_at, before = (
                trade.at,
                _EXACT.subtract(_EXACT.add(cash, _EXACT.multiply(quantity, trade.price)), fees),
            )
        elif not self.quantity:
            opened_at = trade.at
        return replace(
            self,
            quantity=quantity,
            cash=cash,
            fees=fees,
            basis=self._basis_after(trade, quantity, crossed=crossed),
            opened_at=opened_at,
            before=before,
            last_trade_at=trade.at if self.last_trade_at is None else max(trade.at, self.last_trade_at),
            estimated=self.estimated or trade.estimated,
            guesses=self._guesses_with(trade),
        )

    def _closed_by(self, trade: Trade) -> Position:
        """The position after a sale of all of it, or of more: what is more is left out, but for its fee.

        At what price that traded changes nothing, so no guess at it counts as one.
        """
        if self.quantity:
            return self.after(replace(trade, quantity=self.quantity))
        return replace(
            self,
            fees=_EXACT.add(self.fees, trade.fee),
            before=_EXACT.subtract(self.before, trade.fee),
            last_trade_at=trade.at if self.last_trade_at is None else max(trade.at, self.last_trade_at),
            estimated=self.estimated or trade.estimated,
        )

    def _guesses_with(self, trade: Trade) -> tuple[Guess, ...]:
        if not (self.guesses or trade.estimated):
            return ()
        told_at = trade.told_at or trade.at
        kept = tuple(each for each in self.guesses if told_at - each.at < LISTS_LAG)
        return (*kept, Guess(told_at, trade.signed, trade.price, trade.worst)) if trade.estimated else kept

    def _basis_after(self, trade: Trade, quantity: Decimal, *, crossed: bool) -> Fraction:
        if not quantity:
            return Fraction(0)
        if crossed:
            # More was closed than was held: what is beyond it is a new position at the trade's price.
            return Fraction(quantity) * Fraction(trade.price)
        if not self.quantity or (self.quantity > 0) == (trade.signed > 0):
            return self.basis + Fraction(trade.signed) * Fraction(trade.price)
        return _bounded(self.basis * Fraction(quantity) / Fraction(self.quantity))


def _bounded(basis: Fraction) -> Fraction:
    """A cost, kept from growing without bound where a position is traded in and out of forever."""
    return basis if basis.denominator <= _FINEST else Fraction(round(basis * _FINEST), _FINEST)


def _shown(number: Fraction) -> Decimal:
    """A fraction as a number: exact where its digits end, else rounded once, to 28 of them."""
    return Decimal(number.numerator) / Decimal(number.denominator)
