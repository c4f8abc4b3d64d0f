"""The trading service's lists: open orders, the day's orders, the day's trades."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from firstbell.market import fee_rate
from firstbell.model.terms import Side
from firstbell.simulator.ephoenix.api import refused
from firstbell.simulator.ephoenix.codes import MALFORMED, SIDE_NUMBERS, SIDES, state_of
from firstbell.simulator.ephoenix.wire import as_whole, day_of, mislabeled, read_object, reply, whole_number, zone
from firstbell.simulator.exchange_clock import instant

if TYPE_CHECKING:
    from firstbell.simulator.ephoenix.visit import Visit
    from firstbell.simulator.ephoenix.wire import Reply
    from firstbell.simulator.orders import ExchangeOrder

_LARGEST_PAGE: Final = 500


def get_open_orders(visit: Visit) -> Reply:
    """``GET /api/v2/orders/GetOpenOrders?type=1``: those that still work; a filled order is not among them."""
    visit.desk.exchange.advance(visit.arrived)
    orders = visit.desk.shown_orders(visit.holder, visit.arrived)
    return reply([_row(visit, order) for order in reversed(orders) if order.working])


def get_orders(visit: Visit) -> Reply:
    """``POST /api/v2/orders/GetOrders``: all orders of some days, the newest first, a page at a time from page 1."""
    visit.desk.exchange.advance(visit.arrived)
    tz = zone(visit.desk.exchange.rules.market)
    try:
        body = read_object(visit.body)
        page, size = whole_number(body, "page"), whole_number(body, "pageSize")
        first, last = day_of(body["fromDate"]), day_of(body["toDate"])
        side = None if body.get("side") is None else SIDES[whole_number(body, "side")]
        isin, states = body.get("isin"), body.get("includeStatus") or []
        if page < 1 or not 1 <= size <= _LARGEST_PAGE or not isinstance(states, list):
            raise ValueError("page")  # noqa: TRY301 - all that is wrong with a body ends in one place
    except (ValueError, KeyError, TypeError):
        return refused(*MALFORMED)
    wanted = [
        order
        for order in reversed(visit.desk.shown_orders(visit.holder, visit.arrived))
        if first <= instant(order.created_at, tz).date() <= last
        and (side is None or order.side is side)
        and (isin is None or order.instrument == isin)
        and (not states or state_of(order)[0] in states)
    ]
    rows = [_row(visit, order) for order in wanted[(page - 1) * size : page * size]]
    return reply({"rows": rows, "totalRecords": len(wanted)})


def get_day_trades(visit: Visit) -> Reply:
    """``GET /api/v2/Trades/GetDayTrades``: the account's trades, one row a trade, the oldest first."""
    exchange = visit.desk.exchange
    exchange.advance(visit.arrived)
    tz = zone(exchange.rules.market)
    mine = {order.serial: order for order in visit.desk.shown_orders(visit.holder, visit.arrived)}
    rows = []
    for trade in exchange.trades:
        for serial in (trade.buy, trade.sell):
            order = mine.get(serial)
            if order is None:
                continue
            worth = trade.price * trade.quantity
            rate = fee_rate(exchange.rules.market, order.side)
            net = worth * (1 + rate if order.side is Side.BUY else 1 - rate)
            rows.append(
                {
                    "tradeType": SIDE_NUMBERS[order.side],
                    "isin": trade.instrument,
                    "volume": as_whole(trade.quantity),
                    "netAmount": as_whole(net),
                    "avgPrice": as_whole(trade.price),
                    "tradeNumber": trade.number,
                    "serialNumber": order.serial,
                    "tradeDate": mislabeled(trade.at, tz),
                }
            )
    return reply(rows)


def _row(visit: Visit, order: ExchangeOrder) -> dict[str, Any]:
    exchange = visit.desk.exchange
    state, words = state_of(order)
    return {
        "isin": order.instrument,
        "symbol": exchange.listings[order.instrument].instrument.symbol,
        "orderSide": SIDE_NUMBERS[order.side],
        "created": mislabeled(order.created_at, zone(exchange.rules.market)),
        "volume": as_whole(order.quantity),
        "remainedVolume": as_whole(order.leaves_qty),
        "executedVolume": as_whole(order.filled_qty),
        "canceledVolume": as_whole(order.canceled_qty),
        "price": as_whole(order.price),
        "state": state,
        "stateDesc": words,
        "trackingNumber": order.number_of_account,
        "serialNumber": order.serial,
        "validity": 1,
        "validityDate": None,
    }
