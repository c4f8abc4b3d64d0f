"""Watch positions: what they are worth, and what is done when a target or a limit is reached."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

from example_config import example_config

from firstbell.oms import OrderDesk, OrderRequest, Side, Trade

WATCHED = """
[positions]
default_target_pnl = 2000000
auto_close_on_target = yes
max_daily_loss = 50000000
monitoring_interval = 1s
price_update_interval = 200ms
"""
LIMIT = {"instrument": "IRO1FOLD0001", "order_type": "limit", "quantity": 10_000}


def wait_until(done: Callable[[], bool]) -> None:
    """Wait for what the threads do."""
    ends = time.monotonic() + 20
    while not done():
        if time.monotonic() > ends:
            raise SystemExit("that did not come")
        time.sleep(0.1)


with example_config(__doc__, WATCHED) as (config, live), OrderDesk.open(config, live=live) as desk:
    mine, other = desk.accounts[:2]
    monitor = desk.positions
    # desk.start() is orders.start() and positions.start_monitoring().
    desk.start()

    # A position comes from the journal's fills; what the other sells he held before, so that is none. Of a trade at the
    # broker's counter it has to be told.
    desk.orders.place(OrderRequest(account=other, side="sell", price=4870, **LIMIT))
    desk.orders.place(OrderRequest(account=mine, side="buy", price=4870, **LIMIT))
    wait_until(lambda: monitor.get_position_summary()["open_positions"] == 1)
    trade = Trade("by hand", mine, "IRO1FOLD0001", Side.BUY, Decimal(5000), Decimal(4864), datetime.now(UTC))
    monitor.add_trade(trade, stop=Decimal(10_000_000))
    wait_until(lambda: monitor.position(mine, "IRO1FOLD0001").quantity == 15_000)

    summary = monitor.get_position_summary()
    print(f"Total P&L: {summary['total_unrealized_pnl']:.2f} rials")
    for view in monitor.views():
        print(f"{view.account}: {view.quantity} at {view.average_price}, worth {view.last_price}, earned {view.profit}")

    print(f"Trading is {summary['state']}; of the day's limit {summary['daily_loss']} is used up")
