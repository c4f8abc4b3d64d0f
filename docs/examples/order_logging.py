"""The order log: its seven events are written down by themselves, whatever the broker. Nobody hands a logger on."""

import json

from example_config import example_config

from firstbell.journal.order_files import OrderFiles
from firstbell.journal.order_log import ORDER_LOG, TRADING_LOG
from firstbell.journal.order_logger import OrderLogger
from firstbell.oms import OrderDesk, OrderRequest, OrderRole

FAILS = """
[fallback]
enabled = no
"""
LIMIT = {"instrument": "IRO1FOLD0001", "order_type": "limit"}

with example_config(__doc__, FAILS) as (config, live), OrderDesk.open(config, live=live) as desk:
    mine, other = desk.accounts[:2]
    orders = desk.orders

    # Entry: a buy, unless its request says otherwise. Modify and cancel.
    entry = orders.place(OrderRequest(account=mine, side="buy", quantity=2500, price=4800, **LIMIT))
    orders.replace(entry.order_id, price=4810)
    orders.cancel(entry.order_id)

    # Exit, stop loss, take profit: the role says what a sell is for; the exits of a bracket have theirs by themselves.
    for role, price in ((OrderRole.EXIT, 4870), (OrderRole.STOP_LOSS, 4800), (OrderRole.TAKE_PROFIT, 4950)):
        orders.place(OrderRequest(account=other, side="buy", quantity=1500, price=price, **LIMIT))
        orders.place(OrderRequest(account=mine, side="sell", quantity=1500, price=price, role=role, **LIMIT))

    # Failed: more than there is money for.
    orders.place(OrderRequest(account=mine, side="buy", quantity=300_000, price=4870, **LIMIT))

    # What has traded is heard of in a round.
    orders.poll()

    # For orders that came to a broker past firstbell there is a logger to call.
    by_hand = OrderFiles(desk.office.logs_dir, desk.office.settings.order_log)
    order_logger = OrderLogger(by_hand, account=mine)
    order_logger.log_order_entry("kraken", "BTC/USD", "buy", "0.1", 50_000, "OAVY7T-MV5VK-KHDF5X")
    by_hand.close()

    # The order log is written a moment later, so that no order waits for it: whoever reads the files waits for them.
    desk.office.flush()

    print(f"For people, {TRADING_LOG}; `tail -f` follows it, and so does `firstbell orders log --follow`:")
    print((desk.office.logs_dir / TRADING_LOG).read_text(encoding="utf-8"))

    print(f"For programs, {ORDER_LOG}; every report is a line there, and these are events:")
    for line in (desk.office.logs_dir / ORDER_LOG).read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        if event["event"] is not None and event["account"] == mine:
            print(event["event"], event["broker_code"], event["instrument"], event["side"], event["quantity"])
