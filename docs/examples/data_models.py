"""The three that everything is made of: what is asked for, what came of it, and what is held."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from example_config import example_config

from firstbell.oms import OrderDesk, OrderRequest, OrderType, Position, Side, TimeInForce, Trade

# OrderRequest: it is judged when it is made, and all that is wrong is said in one message.
order = OrderRequest(
    instrument="IRO1FOLD0001",
    side=Side.BUY,
    order_type=OrderType.LIMIT,
    quantity=2500,
    price=4800,
    time_in_force=TimeInForce.DAY,
    # For brokers that want them:
    exchange="NFO",
    token="12345",
    product="MIS",
)
print(order)
for wrong in ({}, {"side": "hold", "quantity": 2.5}, {"order_type": "market", "price": 4800, "quantity": 1}):
    try:
        OrderRequest(**{"instrument": "IRO1FOLD0001", "side": "buy", "order_type": "limit", "quantity": 25, **wrong})
    except ValueError as error:
        print(f"No order: {error}")

# OrderResponse: nobody makes one but the manager. It says how the order stands.
with example_config(__doc__) as (config, live), OrderDesk.open(config, live=live) as desk:
    response = desk.orders.place(replace(order, account=desk.accounts[0]))
    print(response.order_id, response.status, response.outcome, response.message, response.filled_qty)
    desk.orders.cancel(response.order_id)

# Position: it is what trades have come to. Its price stands beside it, with that price's age; see position_monitor.py.
position = Position("Order_Mine", "IRO1FOLD0001")
now = datetime.now(UTC)
for number, (quantity, price) in enumerate([(25, 100), (25, 110)]):
    position = position.after(
        Trade(str(number), position.account, position.instrument, Side.BUY, Decimal(quantity), Decimal(price), now)
    )
print(f"{position.quantity} at {position.average_price}; at 110 they have earned {position.unrealized(Decimal(110))}")
