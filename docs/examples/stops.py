"""Stops that are held back: a plain one, and one that trails the market. They leave when the market comes to them."""

import time
from collections.abc import Callable

from example_config import example_config

from firstbell.oms import OrderDesk, OrderRequest, OrderType, Side

with example_config(__doc__) as (config, live), OrderDesk.open(config, live=live) as desk:
    mine, other = desk.accounts[:2]
    orders = desk.orders

    def trade(price: int, quantity: int = 1500) -> None:
        """Let the market be at a price: the two accounts trade there."""
        limit = {"instrument": "IRO1FOLD0001", "order_type": "limit", "price": price}
        orders.place(OrderRequest(account=other, side="sell", quantity=quantity, **limit))
        orders.place(OrderRequest(account=mine, side="buy", quantity=quantity, **limit))

    def rounds_until(done: Callable[[], bool]) -> None:
        """Make rounds until something has come; `desk.start()` makes them in threads, for as long as it takes."""
        ends = time.monotonic() + 20
        while not done():
            if time.monotonic() > ends:
                raise SystemExit("that did not come")
            orders.poll()
            time.sleep(0.2)

    trade(4900)
    sell = {"account": mine, "instrument": "IRO1FOLD0001", "side": Side.SELL, "quantity": 1500}
    plain = orders.place(OrderRequest(order_type=OrderType.STOP, trigger_price=4850, **sell))
    trailing = orders.place(OrderRequest(order_type=OrderType.TRAILING_STOP, trailing_offset=40, **sell))
    for response in (plain, trailing):
        entry = orders.entry(response.order_id)
        print(f"{entry.intent.order.order_type} at {entry.state.trigger_price}: {response.message}")

    # What is held back can be changed here, and no broker is asked.
    orders.replace(plain.order_id, trigger_price=4840)

    trade(4940)
    rounds_until(lambda: orders.entry(trailing.order_id).state.trigger_price == 4900)
    print("The market has risen to 4940, and the trailing stop followed it to 4900; it never goes back")

    # It falls, and somebody bids below: both stops leave for whatever price there is.
    bid = {"account": other, "instrument": "IRO1FOLD0001", "side": Side.BUY, "order_type": OrderType.LIMIT}
    trade(4835)
    orders.place(OrderRequest(price=4830, quantity=3000, **bid))
    rounds_until(lambda: all(orders.track(each.order_id).is_done for each in (plain, trailing)))
    for response in (plain, trailing):
        found = orders.track(response.order_id)
        print(f"{found.status}: {found.filled_qty} sold at {found.avg_px}")
