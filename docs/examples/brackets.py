"""A bracket, an entry with its profit and its stop; and one-cancels-other, where one order takes back the other."""

from example_config import example_config

from firstbell.oms import BracketRequest, OcoRequest, OrderDesk, OrderRequest, OrderType, Side

with example_config(__doc__) as (config, live), OrderDesk.open(config, live=live) as desk:
    order_manager, account = desk.orders, desk.accounts[0]

    entry = OrderRequest(
        account=account,
        instrument="IRO1FOLD0001",
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        quantity=2500,
        price=4800,
    )
    placed, *exits = order_manager.place_bracket(BracketRequest(entry=entry, take_profit=5000, stop_loss=4750))
    print(f"Entry: {placed.status} {placed.venue_order_id}")
    for leg in exits:
        # They are in the journal and nowhere else: they leave when the entry trades, and not before.
        print(f"{order_manager.entry(leg.order_id).intent.order.role}: {leg.status}, held back: {leg.is_held}")

    # This is what makes rounds: it follows the market and keeps together what belongs together. From the shell it is
    # `firstbell orders watch`. Without either, nothing that is held back protects anything.
    desk.start()

    # An entry that ends without having traded takes its exits with it.
    print(f"Entry canceled: {order_manager.cancel(placed.order_id).status}")
    order_manager.poll()
    for leg in exits:
        found = order_manager.track(leg.order_id)
        print(f"{found.status}: {found.message}")

    # Two buys, one below the market and one above it: the first that trades takes back the other.
    dip = OrderRequest(
        account=account, instrument="IRO1FOLD0001", side="buy", order_type="limit", quantity=1500, price=4760
    )
    breakout = OrderRequest(
        account=account,
        instrument="IRO1FOLD0001",
        side="buy",
        order_type="stop_limit",
        quantity=1500,
        trigger_price=4950,
        price=4960,
    )
    for each in order_manager.place_oco(OcoRequest(orders=(dip, breakout))):
        found = order_manager.entry(each.order_id)
        print(f"{found.intent.order.order_type}: {found.state.status}, held back: {found.is_held_back}")
    for each in order_manager.cancel_all(account):
        print(f"Taken back: {each.status}")
