"""The prices at which a login's orders of today have traded, asked for once, by whoever makes no rounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firstbell.oms.orders.blotter import Blotter
from firstbell.oms.orders.day_trades import DayTrades
from firstbell.oms.orders.list_reports import ListReports
from firstbell.oms.orders.terms_at_broker import has_limit_there

if TYPE_CHECKING:
    from firstbell.brokers.base import Broker
    from firstbell.oms.orders.context import OrderContext


def read_prices(context: OrderContext, login: str, broker: Broker) -> None:
    """Write down the trades behind the sums that a list of orders has told, where the broker names them now.

    Nothing is asked where every price is known. A list that cannot be read is asked for again by the next who looks.

    Args:
        context: What the order manager would have.
        login: The login's key.
        broker: Its broker.

    Raises:
        JournalError: The journal cannot be read or written.
    """
    today = context.today()
    blotter = Blotter(context.journal, login, today)
    context.journal.follow(blotter.take)
    blotter.load()
    trades = DayTrades(
        context,
        broker,
        blotter,
        ListReports(context, blotter),
        lambda order: has_limit_there(order, broker.capabilities),
    )
    for entry in blotter.open():
        if entry.state.filled_qty > entry.state.priced_qty:
            trades.are_wanted_of(entry.intent.order.client_order_id)
    trades.price(lambda: broker.orders(today))
