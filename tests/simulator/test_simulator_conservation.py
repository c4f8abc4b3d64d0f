"""Whatever happens, no share and no rial appears or vanishes, and what is reserved is what works."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from firstbell.market import Phase
from firstbell.model.identifiers import InstrumentId
from firstbell.model.instrument import Instrument
from firstbell.model.price_band import PriceBand
from firstbell.model.terms import Side
from firstbell.simulator.exchange import Exchange
from firstbell.simulator.orders import OrderRequest
from firstbell.simulator.rules import Rules
from firstbell.simulator.schedule import Schedule

ISIN = InstrumentId("IRO1TEST0001")
INSTRUMENT = Instrument(
    ISIN, "", "", PriceBand(Decimal(4990), Decimal(5050)), Decimal(1), Decimal(50), Decimal(1), Decimal(5010)
)
PHASES = (
    Phase.ORDER_ENTRY,
    Phase.NO_CANCEL,
    Phase.AUCTION,
    Phase.CONTINUOUS,
    Phase.CLOSED,
    Phase.AT_CLOSE,
    Phase.CLOSED,
)
DAY = Schedule(tuple((number * 100, phase) for number, phase in enumerate(PHASES, 1)))
NAMES = ("a", "b", "c")
PRICES = st.sampled_from([*range(4990, 5000), 5000, 5010, 5020]).map(Decimal)
SHARES = st.integers(1, 50).map(Decimal)
FEE = Decimal("1.003712")


class Trading(RuleBasedStateMachine):
    """Three accounts do as they like through a whole day."""

    @initialize()
    def open(self) -> None:
        self.now = 90
        self.venue = Exchange([INSTRUMENT], DAY, rules=Rules(min_interval_ns=0, min_value=Decimal(0)))
        for name in NAMES:
            self.venue.open_account(name, Decimal(400_000), {ISIN: Decimal(60)})

    @rule(name=st.sampled_from(NAMES), side=st.sampled_from(Side), price=PRICES, quantity=SHARES)
    def submit(self, name: str, side: Side, price: Decimal, quantity: Decimal) -> None:
        self.venue.submit(name, OrderRequest(ISIN, side, price, quantity), self.now)

    @rule(pick=st.integers(0, 40), price=PRICES, quantity=SHARES)
    def edit(self, pick: int, price: Decimal, quantity: Decimal) -> None:
        if self.venue.orders:
            order = list(self.venue.orders.values())[pick % len(self.venue.orders)]
            self.venue.edit(order.account, order.serial, price, quantity, self.now)

    @rule(pick=st.integers(0, 40))
    def cancel(self, pick: int) -> None:
        if self.venue.orders:
            order = list(self.venue.orders.values())[pick % len(self.venue.orders)]
            self.venue.cancel(order.account, order.serial, self.now)

    @rule(step=st.sampled_from([1, 20, 100]))
    def wait(self, step: int) -> None:
        self.now += step
        self.venue.advance(self.now)

    @invariant()
    def money_is_conserved(self) -> None:
        if hasattr(self, "venue"):
            there = sum(account.money for account in self.venue.accounts.values())
            assert there + self.venue.fees_taken == 3 * 400_000

    @invariant()
    def shares_are_conserved(self) -> None:
        if hasattr(self, "venue"):
            assert sum(account.holdings[ISIN] for account in self.venue.accounts.values()) == 180

    @invariant()
    def reserved_is_what_works_and_no_more_than_there_is(self) -> None:
        if not hasattr(self, "venue"):
            return
        for name, account in self.venue.accounts.items():
            working = [order for order in self.venue.orders_of(name) if order.working]
            buys = sum((o.price * o.leaves_qty * FEE for o in working if o.side is Side.BUY), Decimal(0))
            sells = sum((o.leaves_qty for o in working if o.side is Side.SELL), Decimal(0))
            assert account.reserved_money == buys
            assert account.reserved_shares[ISIN] == sells
            assert 0 <= account.reserved_money <= account.money
            assert 0 <= sells <= account.holdings[ISIN]

    @invariant()
    def the_book_holds_exactly_what_works(self) -> None:
        if not hasattr(self, "venue"):
            return
        book = self.venue.listings[ISIN].book
        resting = {
            order.id: order.leaves for side in Side for level in book.levels(side) for order in level.orders.values()
        }
        assert resting == {o.serial: o.leaves_qty for o in self.venue.orders.values() if o.working}

    @invariant()
    def fills_are_the_tape(self) -> None:
        if not hasattr(self, "venue"):
            return
        for order in self.venue.orders.values():
            mine = [t for t in self.venue.trades if order.serial in (t.buy, t.sell)]
            assert order.filled_qty == sum(t.quantity for t in mine)
            assert order.filled_value == sum(t.quantity * t.price for t in mine)

    @invariant()
    def the_book_stands_crossed_only_before_the_auction(self) -> None:
        if hasattr(self, "venue") and self.venue.phase not in {Phase.ORDER_ENTRY, Phase.NO_CANCEL}:
            book = self.venue.listings[ISIN].book
            bid, ask = book.best(Side.BUY), book.best(Side.SELL)
            assert bid is None or ask is None or bid.price < ask.price


TestTrading = Trading.TestCase
TestTrading.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
