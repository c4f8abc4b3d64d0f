"""Place an order, look at it, change it, take it back."""

from example_config import example_config

from firstbell.oms import OrderDesk, OrderRequest, OrderType, Side

with example_config(__doc__) as (config, live), OrderDesk.open(config, live=live) as desk:
    order_manager = desk.orders
    account = desk.accounts[0]

    # Side and type have to be said; numbers are int, str or Decimal, never float.
    order = OrderRequest(
        account=account,
        instrument="IRO1FOLD0001",
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        quantity=2500,
        price=4800,
    )

    response = order_manager.place(order)
    if not response.is_success:
        # Unresolved is neither: nobody knows yet, it is being asked for, and it must not be placed anew.
        raise SystemExit(f"unresolved: {response.is_unresolved}; {response.error}: {response.message}")
    print(f"Order placed: {response.order_id}")
    print(f"The broker calls it {response.venue_order_id}; it is {response.status}")

    changed = order_manager.replace(response.order_id, price=4810, quantity=5000)
    print(f"Changed: {changed.status}, {order_manager.entry(response.order_id).state.quantity} at 4810")

    for entry in order_manager.orders(account=account):
        print(f"Open: {entry.intent.order.client_order_id} {entry.state.status}")

    canceled = order_manager.cancel(response.order_id)
    print(f"Canceled: {canceled.status}")
    print(f"How it stands, without asking anybody: {order_manager.track(response.order_id).status}")
