"""Whether a request can be placed as things stand, and at what price: what is known of its market, and the checks."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from firstbell.errors import BrokerError, CaptchaError
from firstbell.model.instant import instant
from firstbell.model.order_status import DONE, PLACED
from firstbell.model.terms import OrderType, Side
from firstbell.oms.orders.response import OrderResponse, denied
from firstbell.oms.orders.terms_at_broker import not_taken
from firstbell.oms.policies.fallback import marketable_price, waiting_price
from firstbell.oms.policies.placement_error import placement_error
from firstbell.oms.policies.pricing import Market
from firstbell.risk.validation import CHECKS_OF_EXITS, market_takes_orders
from firstbell.risk.verdict import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from firstbell.model.identifiers import InstrumentId
    from firstbell.model.instrument import Instrument
    from firstbell.model.order_request import OrderRequest
    from firstbell.model.quote import Quote
    from firstbell.oms.orders.trader import Trader
    from firstbell.risk.validation import Check
    from firstbell.risk.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Ready:
    """What a request that has passed its checks is placed by.

    Attributes:
        market: Its instrument's market.
        price: Its limit price; of an order without one, what it is valued at.
    """

    market: Market
    price: Decimal


class Readiness:
    """Looks at the requests of one login's accounts.

    Args:
        trader: The login's trader.
    """

    def __init__(self, trader: Trader) -> None:
        self._trader = trader

    def of(self, request: OrderRequest, *, checked: bool, leaves: bool = False) -> Ready | OrderResponse:
        """What a request is placed by, or why it is not.

        Args:
            request: The request.
            checked: Whether it is checked.
            leaves: Whether it is to leave now, where its broker knows orders of its type: then a sell is for no more
                than is held. What is held back may be for shares that are still to be bought.
        """
        trader = self._trader
        try:
            instrument = trader.market.instrument(request.instrument)
        except (BrokerError, CaptchaError) as error:
            return denied(f"{request.instrument} could not be read: {error}", placement_error(error))
        if request.instrument != instrument.id:
            # It was asked for by its symbol.
            request = replace(request, instrument=instrument.id)
        quote = trader.market.quote(instrument.id, fresh=not request.order_type.has_limit)
        sells = leaves and request.side is Side.SELL and not request.order_type.waits
        held = self._held(instrument.id, fresh=False) if checked and sells else None
        checks = None if checked else (market_takes_orders,)
        verdicts = self._verdicts(request, instrument, quote, held, checks) if checked or leaves else ()
        if verdicts:
            # What was known may be minutes old: nothing is denied by that alone.
            instrument = trader.market.described_now(instrument)
            held = None if held is None else self._held(instrument.id, fresh=True)
            verdicts = self._verdicts(request, instrument, quote, held, checks)
        verdicts = (*not_taken(request.order_type, request.time_in_force, trader.broker.capabilities), *verdicts)
        if verdicts:
            return denied("; ".join(map(str, verdicts)), verdicts[0].code, verdicts)
        market = Market(trader.context.market, instrument, quote)
        price = self._price(request, market, waits=not checked)
        if price is None:
            return denied("no price is known at which it would trade", ErrorCode.PRICE_ERROR)
        return Ready(market, price)

    def faults_of_exit(self, request: OrderRequest) -> Sequence[Verdict]:
        """What is wrong with an exit that is to be held back, whatever comes later; nothing where that is not known."""
        market = self._trader.market
        try:
            instrument = market.instrument(request.instrument)
        except (BrokerError, CaptchaError):
            # Its entry is of the same instrument, and says so.
            return ()
        request = replace(request, instrument=instrument.id)
        quote = market.quote(instrument.id, fresh=False)
        if not self._verdicts(request, instrument, quote, None, CHECKS_OF_EXITS):
            return ()
        return self._verdicts(request, market.described_now(instrument), quote, None, CHECKS_OF_EXITS)

    def _held(self, name: InstrumentId, *, fresh: bool) -> Decimal | None:
        """What of an instrument is held and not on sale already, in shares; None where nobody says.

        The broker's list may not show yet what was bought today, so that is added: rather too much than too little, for
        nobody is to be kept from selling what is his.
        """
        held = self._trader.market.holding(name, fresh=fresh)
        if held is None:
            return None
        blotter, today = self._trader.blotter, self._trader.context.today()
        for entry in (*blotter.open(), *blotter.done()):
            order, state = entry.intent.order, entry.state
            if order.instrument != name:
                continue
            if order.side is Side.BUY and order.day == today:
                held += state.filled_qty
            elif order.side is Side.SELL and state.status in PLACED - DONE:
                held -= state.leaves_qty
        return max(held, held * 0)

    def _verdicts(
        self,
        request: OrderRequest,
        instrument: Instrument,
        quote: Quote | None,
        held: Decimal | None,
        only: Sequence[Check] | None,
    ) -> Sequence[Verdict]:
        context = self._trader.context
        began_ns = time.perf_counter_ns()
        found = context.validator.validate_order(
            request,
            instrument=instrument,
            quote=quote,
            now=instant(context.clock.wall_ns()),
            hours=self._trader.hours,
            holdings=None if held is None else {instrument.id: held},
            only=only,
        )
        context.observe("validation", time.perf_counter_ns() - began_ns)
        return found.verdicts

    def _price(self, request: OrderRequest, market: Market, *, waits: bool) -> Decimal | None:
        """The limit price; of an order without one, what it is valued at: near the market, or at its trigger.

        Where nobody is there to trade with, a market order that `waits` is for the worst price that is allowed.
        """
        if request.price is not None:
            return request.price
        if request.order_type is OrderType.MARKET:
            fallback = self._trader.context.fallback
            price = marketable_price(request, market, fallback)
            if price is not None or not waits or market.quote is None:
                return price
            near = market.quote.last_price or market.instrument.reference_price
            return None if near is None else waiting_price(request.side, near, market, fallback)
        if request.trigger_price is not None:
            return request.trigger_price
        return None if market.quote is None else market.quote.last_price or market.quote.touch(request.side)
