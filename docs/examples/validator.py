"""Judge orders before they are placed: everything that is wrong is told at once."""

from dataclasses import replace
from datetime import UTC, datetime

from example_config import example_config

from firstbell.market.always_open import always_open
from firstbell.market.hours import Hours
from firstbell.oms import OrderDesk, OrderRequest, OrderType, OrderValidator, Side

LIMITS = """
[validation]
price_tolerance = 0.10

[risk]
max_order_quantity = 10000
"""

with example_config(__doc__, LIMITS) as (config, live), OrderDesk.open(config, live=live) as desk:
    account = desk.office.settings.enabled[0]
    broker = desk.office.broker(account)

    # What was current_ltp and market_data before: the instrument, and its quote.
    instrument = broker.instrument("IRO1FOLD0001")
    quote = broker.quote("IRO1FOLD0001")

    # Without hours it goes by the calendar of [firstbell] market; these markets have a day of their own.
    validator = OrderValidator(desk.office.settings, Hours(always_open(market="XTEH")))

    good = OrderRequest(instrument="IRO1FOLD0001", side=Side.BUY, order_type=OrderType.LIMIT, quantity=2500, price=4870)
    bad = replace(good, quantity=500_000, price=9000)
    for order in (good, bad):
        result = validator.validate_order(order, instrument=instrument, quote=quote, now=datetime.now(UTC))
        if result.is_valid:
            print(f"{order.quantity} at {order.price}: valid")
        else:
            print(f"Validation failed:\n{result.message}")
            print("For programs:", [(each.code.value, each.rule, each.found, each.allowed) for each in result.verdicts])

    # The manager makes the same checks by itself; nothing leaves that fails one.
    response = desk.orders.place(replace(bad, account=account.name))
    print(f"Placed all the same: {response.status}, {response.error}, {len(response.verdicts)} checks failed")
