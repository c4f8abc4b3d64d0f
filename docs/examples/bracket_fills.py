"""A bracket from its entry to its end: the exits follow what it has bought, and the one that trades ends the other."""

import time
from collections.abc import Callable

from example_config import example_config

from firstbell.model.order import OrderState
from firstbell.oms import BracketRequest, OrderDesk, OrderRequest

LIMIT = {"instrument": "IRO1FOLD0001", "order_type": "limit"}

with example_config(__doc__) as (config, live), OrderDesk.open(config, live=live) as desk:
    mine, other = desk.accounts[:2]
    orders = desk.orders

    def show(what: str) -> None:
        """Print the bracket as it stands."""
        print(what)
        for name, order_id in names.items():
            entry = orders.entry(order_id)
            state, where = entry.state, "here" if entry.is_held_back else entry.state.status
            print(f"  {name:<11} {state.filled_qty} of {state.quantity} traded; {where}")

    def rounds_until(done: Callable[[], bool]) -> None:
        """Make rounds until something has come; `desk.start()` makes them in threads, for as long as it takes."""
        ends = time.monotonic() + 20
        while not done():
            if time.monotonic() > ends:
                raise SystemExit("that did not come")
            orders.poll()
            time.sleep(0.2)

    def state(name: str) -> OrderState:
        """How one of them stands."""
        return orders.entry(names[name]).state

    entry = OrderRequest(account=mine, side="buy", quantity=10_000, price=4870, **LIMIT)
    responses = orders.place_bracket(BracketRequest(entry=entry, take_profit=4980, stop_loss=4750))
    names = dict(zip(("entry", "take profit", "stop loss"), (each.order_id for each in responses), strict=True))
    show("Placed: the exits are held back here")

    orders.place(OrderRequest(account=other, side="sell", quantity=6000, price=4870, **LIMIT))
    rounds_until(lambda: state("take profit").venue_order_id is not None)
    show("6,000 bought: so much is on sale at the profit, and the stop stands ready for as much")

    orders.place(OrderRequest(account=other, side="buy", quantity=6000, price=4980, **LIMIT))
    rounds_until(lambda: state("take profit").filled_qty == 6000)
    show("6,000 sold at the profit")

    # An exit has traded, so nothing more is bought: the rest of the entry is taken back by itself.
    rounds_until(lambda: not orders.orders(account=mine))
    show("The rest of the entry taken back: nothing is left to protect")
