"""What can go wrong with an order before it leaves, each with its code; and how to have more said."""

import logging
from datetime import UTC, datetime

from example_config import example_config

from firstbell.errors import RunError
from firstbell.oms import ErrorCode, OrderDesk, OrderRequest, PositionNotFound

# Debug mode, as a program has it; on the command line it is -vv.
logging.basicConfig(level=logging.WARNING)
logging.getLogger("firstbell.oms").setLevel(logging.DEBUG)

TERMS = {"instrument": "IRO1FOLD0001", "side": "buy", "order_type": "limit", "quantity": 25, "price": 4800}
WRONG = {
    ErrorCode.VALIDATION_ERROR: {"time_in_force": "gtd", "expires_at": datetime(2026, 11, 21, 9, tzinfo=UTC)},
    ErrorCode.MARKET_HOURS_ERROR: {"time_in_force": "at_the_open"},
    ErrorCode.SYMBOL_ERROR: {"instrument": "IRO1NONE0001"},
    ErrorCode.PRICE_ERROR: {"price": 9000},
    ErrorCode.QUANTITY_ERROR: {"quantity": 500_000},
}

with example_config(__doc__) as (config, live), OrderDesk.open(config, live=live) as desk:
    account = desk.accounts[0]
    for code, terms in WRONG.items():
        response = desk.orders.place(OrderRequest(**{**TERMS, **terms, "account": account}))
        print(f"{code}: {response.status}, {response.error}: {response.message}")

    try:
        desk.positions.position(account, "IRO1FOLD0001")
    except PositionNotFound as error:
        print(f"{error.code}: {error}")
    try:
        desk.orders.place(OrderRequest(**TERMS, account="Order_Nobody"))
    except RunError as error:
        print(f"Raised, for it is the script that is wrong: {error}")
