"""Retries and fallbacks around a function of your own: what is sent again, and when; and what is tried instead.

Real orders go through the order manager, which does the same by [retry] and [fallback] of the config, and claims each
order in the journal first.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

from example_config import example_config

from firstbell.brokers.base import Outcome
from firstbell.errors import NoAnswer, NotSent
from firstbell.model.order import Order
from firstbell.model.quote import Level, Quote
from firstbell.model.refusals import RefusalKind
from firstbell.model.terms import AttemptOutcome
from firstbell.oms import FallbackConfig, OrderDesk, OrderRetryHandler, OrderType, RetryConfig, RetryStrategy, Side
from firstbell.oms.policies.fallback import Means
from firstbell.oms.policies.pricing import Market
from firstbell.oms.policies.retry import Backoff

Execute = Callable[[Order], Outcome]

# Retry strategies: the pauses before the second, third … attempt, in seconds.
for strategy in RetryStrategy:
    pauses = Backoff(RetryConfig(strategy=strategy, base_delay=1.0, jitter=0))
    print(f"{strategy}: {[pauses.after(attempt) for attempt in range(1, 6)]}")

retry_config = RetryConfig(strategy=RetryStrategy.EXPONENTIAL_BACKOFF, max_attempts=3, base_delay=0.05)
fallback_config = FallbackConfig(enabled=True, max_price_adjustment=0.05)
retry_handler = OrderRetryHandler(retry_config, fallback_config)

with example_config(__doc__) as (config, live), OrderDesk.open(config, live=live) as desk:
    account = desk.office.settings.enabled[0]
    instrument = desk.office.broker(account).instrument("IRO1FOLD0001")

# Fallbacks go by the instrument, its quote and the money, as they are read of a broker. Here they are made up.
bids, asks = (Level(Decimal(4860), Decimal(900)),), (Level(Decimal(4880), Decimal(900)),)
market = Market("XTEH", instrument, Quote(instrument.id, datetime.now(UTC), bids, asks))
means = Means(money=Decimal(100_000))


def order(quantity: int, price: int, order_type: OrderType = OrderType.LIMIT) -> Order:
    """An order for a function of your own, with a name of your own."""
    return Order(
        client_order_id="example",
        account=account.name,
        broker_code=account.broker_code,
        instrument=instrument.id,
        side=Side.BUY,
        price=Decimal(price),
        quantity=Decimal(quantity),
        day=datetime.now(UTC).date(),
        order_type=order_type,
    )


def refusing(kind: RefusalKind, times: int) -> Execute:
    """A broker that refuses so many times, and takes the next."""
    answers = iter([Outcome(AttemptOutcome.REJECTED, message=kind.value, kind=kind)] * times)
    return lambda _order: next(answers, Outcome(AttemptOutcome.ACCEPTED, venue_order_id="1"))


def failing(error: Exception, times: int) -> Execute:
    """A broker that cannot be reached so many times."""
    errors = iter([error] * times)

    def send(_order: Order) -> Outcome:
        if (failure := next(errors, None)) is not None:
            raise failure
        return Outcome(AttemptOutcome.ACCEPTED, venue_order_id="1")

    return send


def show(what: str, asked: Order, execute_function: Execute) -> None:
    """Execute one with retries, and print every call."""
    response = retry_handler.execute_with_retry(asked, execute_function, market=lambda: market, means=lambda: means)
    calls = [
        f"{each.order.order_type} {each.order.quantity} at {each.order.price} {each.outcome.outcome}"
        for each in response.tries
    ]
    person = "" if response.intervention is None else f"; a person has to look: {response.intervention.reason}"
    print(f"{what}: {'; '.join(calls)}{person}")


show("Did not leave twice, sent again", order(25, 4800), failing(NotSent("no route"), 2))
show("No answer: never sent again", order(25, 4800), failing(NoAnswer("reset"), 1))
show("Price adjustment", order(25, 5030), refusing(RefusalKind.PRICE, 1))
show("Convert to market", order(25, 4870, OrderType.MARKET), refusing(RefusalKind.NO_MARKET_ORDERS, 1))
show("Quantity reduction", order(25, 4870), refusing(RefusalKind.FUNDS, 1))
show("Order splitting", order(1_000_000, 4800), refusing(RefusalKind.QUANTITY_TOO_LARGE, 1))
show("Manual intervention", order(25, 4800), refusing(RefusalKind.DUPLICATE, 1))
