"""filled + working + unresolved ≤ requested: whatever a venue does, and in whatever order it tells of it.

A request is driven through retries, fallbacks and partial fills against a tiny venue that always knows the truth. The
door before each order is `Exposure`; it is tried with more than it may let through as well.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from firstbell.brokers.base import Outcome
from firstbell.model.instrument import Instrument
from firstbell.model.order import Order, OrderState
from firstbell.model.order_status import DONE, PLACED, IllegalMove, OrderStatus, ReportKind
from firstbell.model.policies import CompletionStrategy
from firstbell.model.price_band import PriceBand
from firstbell.model.quote import Level, Quote
from firstbell.model.refusals import RefusalKind
from firstbell.model.report import ExecutionReport, Fill
from firstbell.model.terms import AttemptOutcome, OrderType, Side
from firstbell.oms.decision import Budget, Step, next_step
from firstbell.oms.policies.exposure import Exposure
from firstbell.oms.policies.fallback import FallbackConfig, ManualIntervention, Means, applied, propose
from firstbell.oms.policies.partial_fills import CancelRemaining, PartialFillConfig, PartialFillHandler, Reprice
from firstbell.oms.policies.pricing import Market

D = Decimal
K = ReportKind
NOTHING = D(0)
AT = datetime(2026, 11, 21, 5, 15, tzinfo=UTC)
BAND = PriceBand(D(4600), D(5400))
LOT, SMALLEST, LARGEST = D(5), D(10), D(100)
INSTRUMENT = Instrument("I", "", "", BAND, SMALLEST, LARGEST, LOT)
FALLBACK = FallbackConfig(split_threshold=D(40), max_parts=4, min_quantity_reduction=D(5))
R = RefusalKind
KINDS = [*RefusalKind, *[R.QUANTITY_TOO_LARGE, R.QUANTITY_TOO_LARGE, R.PRICE, R.FUNDS, R.NO_MARKET_ORDERS] * 4]
"""Mostly those after which something may be tried."""
WORKING = {OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED}


@dataclass
class Resting:
    """An order as the venue knows it."""

    quantity: Decimal
    filled: Decimal = NOTHING
    works: bool = True

    @property
    def leaves(self):
        return self.quantity - self.filled if self.works else D(0)


class Request(RuleBasedStateMachine):
    """One request, its orders, and the truth about them."""

    @initialize(
        lots=st.integers(2, 60) | st.integers(15, 60),
        side=st.sampled_from(Side),
        kind=st.sampled_from([OrderType.LIMIT, OrderType.MARKET]),
        price=st.sampled_from([4600, 4999, 5000, 5390, 5403, 5600]),
        strategy=st.sampled_from(CompletionStrategy),
    )
    def ask(self, lots, side, kind, price, strategy):
        self.asked = Order("r", "A", "gs", "I", side, D(price), lots * LOT, date(2026, 11, 21), kind)
        self.requested = self.asked.quantity
        self.handler = PartialFillHandler(PartialFillConfig(strategy, after=0, min_remaining=D(5)))
        self.states, self.venue = {}, {}
        self.waiting, self.flying = [self.asked], None
        self.given_up = D(0)
        self.refusals = self.trades = self.attempts = 0
        self.telling = []
        self.move(5000, 10)

    @rule(middle=st.integers(460, 540).map(lambda tens: tens * 10), half=st.sampled_from([10, 20, 200]))
    def move(self, middle, half):
        bids, asks = (Level(D(middle - half), D(1)),), (Level(D(middle + half), D(1)),)
        self.market = Market("XTEH", INSTRUMENT, Quote("I", AT, bids, asks))

    # What we do.

    def leaves_the_house(self, order):
        """The one door. True where the order may be claimed, and then it is."""
        if Exposure.of(self.requested, self.states.values()).why_not(order.quantity) is not None:
            return False
        name = f"r-{len(self.states)}"
        self.flying = replace(order, client_order_id=name)
        self.states[name] = OrderState(self.flying)
        self.tell(name, K.SUBMITTED)
        self.attempts = 0
        return True

    @precondition(lambda self: self.waiting and self.flying is None)
    @rule()
    def send_the_next(self):
        order = self.waiting.pop(0)
        if not self.leaves_the_house(order):
            self.given_up += order.quantity

    @precondition(lambda self: self.flying is None)
    @rule(lots=st.integers(2, 20))
    def somebody_wants_more(self, lots):
        """Such as one who has been told of a cancel, and not yet of the trades before it."""
        if self.leaves_the_house(replace(self.asked, quantity=lots * LOT)):
            self.given_up -= lots * LOT

    @precondition(lambda self: self.flying is not None)
    @rule(outcome=st.sampled_from(["accepted", "lost on its way back", "lost on its way there"]))
    def the_broker_takes_it_or_says_nothing(self, outcome):
        order, self.flying = self.flying, None
        if outcome != "lost on its way there":
            self.venue[order.client_order_id] = Resting(order.quantity)
        if outcome == "accepted":
            self.tell_some_time(order.client_order_id, K.ACCEPTED, venue_order_id=f"v{order.client_order_id}")
        else:
            self.tell(order.client_order_id, K.UNRESOLVED)

    @precondition(lambda self: self.flying is not None)
    @rule(early=st.booleans())
    def the_broker_says_not_now(self, early):
        self.attempts += 1
        outcome = Outcome(AttemptOutcome.REJECTED, again=True, too_early=early, kind=RefusalKind.MARKET_CLOSED)
        step = next_step(outcome, self.attempts, False, 0, Budget(3, 1, 1)).step
        if step is Step.AGAIN:
            self.tell(self.flying.client_order_id, K.REFUSED)
        else:
            assert step is Step.GIVE_UP
            self.refused(outcome, D(0))

    @precondition(lambda self: self.flying is not None)
    @rule(kind=st.sampled_from(KINDS), money=st.integers(0, 600_000))
    def the_broker_says_no(self, kind, money):
        self.refused(Outcome(AttemptOutcome.REJECTED, kind=kind), D(money))

    def refused(self, outcome, money):
        order, self.flying = self.flying, None
        self.tell(order.client_order_id, K.REJECTED)
        self.refusals += 1
        means = Means(money, D("0.003712"), money // 5000)
        fallback = propose(self.asked, order, outcome.kind, self.refusals, self.market, FALLBACK, means)
        following = () if fallback is None else applied(order, fallback)
        assert not (isinstance(fallback, ManualIntervention) and following)
        for each in following:
            assert each.side is order.side
            assert each.order_type is OrderType.LIMIT or each.order_type is order.order_type
            assert each.quantity % LOT == 0
            assert each.quantity >= SMALLEST
            if each.price != order.price:
                assert self.market.takes(each.price)
                worse = each.price - self.asked.price if order.side is Side.BUY else self.asked.price - each.price
                assert worse <= self.asked.price * FALLBACK.max_price_adjustment
        taken = sum((each.quantity for each in following), D(0))
        assert taken <= order.quantity
        self.given_up += order.quantity - taken
        self.waiting = [*following, *self.waiting]

    def orders(self, statuses):
        return [name for name, state in self.states.items() if state.status in statuses]

    @precondition(lambda self: self.orders(WORKING))
    @rule(data=st.data())
    def cancel(self, data):
        self.cancel_one(data.draw(st.sampled_from(self.orders(WORKING))))

    def cancel_one(self, name):
        self.tell(name, K.PENDING_CANCEL)
        resting = self.venue[name]
        if resting.works:
            resting.works = False
            self.tell_some_time(name, K.CANCELED)
        else:
            self.tell_some_time(name, K.CANCEL_REJECTED)

    @precondition(lambda self: self.orders(WORKING))
    @rule(data=st.data())
    def look_after_a_part(self, data):
        name = data.draw(st.sampled_from(self.orders(WORKING)))
        state, resting = self.states[name], self.venue[name]
        completion = self.handler.decide(state, self.market, last_fill_ns=0, now_ns=1)
        if isinstance(completion, CancelRemaining):
            self.cancel_one(name)
        elif isinstance(completion, Reprice):
            assert state.leaves_qty > 0
            assert self.market.takes(completion.price)
            self.tell(name, K.PENDING_REPLACE)
            self.tell_some_time(name, K.REPLACED if resting.works else K.REPLACE_REJECTED)

    @precondition(lambda self: any(state.unresolved for state in self.states.values()))
    @rule(data=st.data())
    def ask_the_list(self, data):
        name = data.draw(st.sampled_from([name for name, state in self.states.items() if state.unresolved]))
        self.resolve(name)

    def resolve(self, name):
        resting = self.venue.get(name)
        if resting is None:
            self.tell(name, K.REJECTED)
            self.given_up += self.states[name].order.quantity
            return
        kind = K.ACCEPTED if resting.works else K.CANCELED
        self.tell(name, K.FILLED if resting.filled == resting.quantity else kind, cum_qty=resting.filled)

    # What the venue does.

    @precondition(lambda self: any(each.leaves for each in self.venue.values()))
    @rule(data=st.data(), size=st.integers(1, 60), sum_too=st.booleans())
    def trade(self, data, size, sum_too):
        name = data.draw(st.sampled_from([name for name, each in self.venue.items() if each.leaves]))
        resting = self.venue[name]
        size = min(D(size), resting.leaves)
        resting.filled += size
        resting.works = resting.filled < resting.quantity
        self.trades += 1
        kind = K.PARTIALLY_FILLED if resting.works else K.FILLED
        fill = Fill(f"t{self.trades}", size, D(5000))
        self.tell_some_time(name, kind, fill=fill, cum_qty=resting.filled if sum_too else None)

    @precondition(lambda self: any(each.works for each in self.venue.values()))
    @rule(data=st.data())
    def expire(self, data):
        name = data.draw(st.sampled_from([name for name, each in self.venue.items() if each.works]))
        self.venue[name].works = False
        self.tell_some_time(name, K.EXPIRED)

    # What comes to us, and when.

    def tell(self, name, kind, **facts):
        # As in the journal: what does not fit is kept as evidence, and changes nothing.
        with contextlib.suppress(IllegalMove):
            self.states[name] = self.states[name].after(ExecutionReport(name, "run", kind, AT, **facts))

    def tell_some_time(self, name, kind, **facts):
        self.telling.append((name, kind, facts))

    @precondition(lambda self: self.telling)
    @rule(data=st.data(), again=st.booleans())
    def hear(self, data, again):
        at = data.draw(st.integers(0, len(self.telling) - 1))
        name, kind, facts = self.telling[at] if again else self.telling.pop(at)
        self.tell(name, kind, **facts)

    # What holds.

    @invariant()
    def the_truth_is_never_more_than_was_asked_for(self):
        if not hasattr(self, "states"):
            return
        filled = working = unresolved = D(0)
        for name, state in self.states.items():
            resting = self.venue.get(name)
            if resting is not None:
                filled, working = filled + resting.filled, working + resting.leaves
            elif state.status not in DONE:
                unresolved += state.quantity
        assert filled + working + unresolved <= self.requested

    @invariant()
    def what_we_believe_is_never_more_either(self):
        if not hasattr(self, "states"):
            return
        believed = Exposure.of(self.requested, self.states.values())
        assert believed.filled + believed.working + believed.unresolved + believed.ended <= self.requested
        assert believed.free >= 0
        waiting = sum((each.quantity for each in self.waiting), D(0))
        live = [each for each in self.states.values() if each.status not in {OrderStatus.REJECTED, OrderStatus.DENIED}]
        assert sum((each.order.quantity for each in live), D(0)) + waiting + self.given_up == self.requested

    def teardown(self):
        """Let everything come to its end: nothing is lost, and nothing is there twice."""
        if not hasattr(self, "states"):
            return
        if self.flying is not None:
            self.refused(Outcome(AttemptOutcome.REJECTED), D(0))
        for name in [name for name, state in self.states.items() if state.unresolved]:
            self.resolve(name)
        self.hear_all()
        for name in self.orders({*WORKING, OrderStatus.PENDING_CANCEL, OrderStatus.PENDING_REPLACE}):
            self.cancel_one(name)
        self.hear_all()
        denied = self.given_up + sum((each.quantity for each in self.waiting), D(0))
        filled = canceled = D(0)
        for name, state in self.states.items():
            assert state.status in DONE
            if state.status in PLACED:
                assert state.filled_qty == self.venue[name].filled
                filled, canceled = filled + state.filled_qty, canceled + state.leaves_qty
            else:
                assert name not in self.venue
        assert denied >= 0
        assert self.requested == filled + canceled + denied

    def hear_all(self):
        telling, self.telling = self.telling, []
        for name, kind, facts in telling:
            self.tell(name, kind, **facts)


TestRequest = Request.TestCase
TestRequest.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
