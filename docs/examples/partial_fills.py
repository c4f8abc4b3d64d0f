"""What becomes of the rest of an order that has traded in part: the four strategies, and one of them at work."""

from datetime import UTC, datetime
from decimal import Decimal

from example_config import example_config

from firstbell.model.order import Order, OrderState
from firstbell.model.order_status import OrderStatus
from firstbell.model.quote import Level, Quote
from firstbell.oms import CompletionStrategy, OrderDesk, OrderRequest, PartialFillConfig, PartialFillHandler, Side
from firstbell.oms.policies.pricing import Market

REST = """
[partial_fills]
strategy = cancel_remaining
"""
SECOND = 1_000_000_000

with example_config(__doc__, REST) as (config, live), OrderDesk.open(config, live=live) as desk:
    mine, other = desk.accounts[:2]

    # PartialFillHandler decides; it asks nobody. 4,000 of 10,000 at 4,850 have traded, and the market has gone up.
    account = desk.office.settings.enabled[0]
    instrument = desk.office.broker(account).instrument("IRO1FOLD0001")
    price, quantity, now = Decimal(4850), Decimal(10_000), datetime.now(UTC)
    order = Order("example", mine, account.broker_code, instrument.id, Side.BUY, price, quantity, now.date())
    state = OrderState(order, OrderStatus.PARTIALLY_FILLED, filled_qty=Decimal(4000))
    bids, asks = (Level(Decimal(4870), Decimal(900)),), (Level(Decimal(4880), Decimal(900)),)
    market = Market("XTEH", instrument, Quote(instrument.id, now, bids, asks))
    for strategy in CompletionStrategy:
        handler = PartialFillHandler(PartialFillConfig(strategy=strategy, after=30.0, price_move="0.005"))
        after_10_s, after_40_s = (handler.decide(state, market, 0, seconds * SECOND) for seconds in (10, 40))
        print(f"{strategy}: after 10 s {after_10_s}, after 40 s {after_40_s}")

    # The manager does what [partial_fills] says, in each of its rounds.
    terms = {"instrument": "IRO1FOLD0001", "order_type": "limit", "price": 4850}
    bought = desk.orders.place(OrderRequest(account=mine, side="buy", quantity=10_000, **terms))
    if not bought.is_success:
        raise SystemExit(bought.message)
    sold = desk.orders.place(OrderRequest(account=other, side="sell", quantity=4000, **terms))
    print(f"Bought: {bought.status}; sold: {sold.status} {sold.message}")
    desk.orders.poll()
    desk.orders.poll()
    found = desk.orders.track(bought.order_id)
    print(f"The rest: {found.status}, {found.filled_qty} traded at {found.avg_px}")
