"""The trading service: buying power, the order calculator, and placing, changing and canceling orders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from firstbell.market import fee_rate
from firstbell.model.identifiers import InstrumentId
from firstbell.model.money import exact
from firstbell.model.terms import Side
from firstbell.simulator.ephoenix.codes import MALFORMED, REFUSALS, SIDES, state_of
from firstbell.simulator.ephoenix.wire import as_whole, read_object, reply, whole_number
from firstbell.simulator.orders import OrderRequest
from firstbell.simulator.record import Decision
from firstbell.simulator.rules import Refusal

if TYPE_CHECKING:
    from decimal import Decimal

    from firstbell.simulator.ephoenix.visit import Visit
    from firstbell.simulator.ephoenix.wire import Reply
    from firstbell.simulator.orders import ExchangeOrder

_BAD_REQUEST: Final = 400


def get_last_trading_book(visit: Visit) -> Reply:
    """``GET /api/v2/tradingbook/GetLastTradingBook``: the money; ``buyingPower`` may be negative."""
    visit.desk.exchange.advance(visit.arrived)
    account = visit.desk.exchange.accounts[visit.holder.account]
    return reply(
        {
            "buyingPower": as_whole(account.buying_power),
            "credit": 0,
            "remain": as_whole(account.money),
            "blockRemain": as_whole(account.reserved_money),
        }
    )


def calculate_order_param(visit: Visit) -> Reply:
    """``POST /api/v2/orders/CalculateOrderParam``: what money buys; negative money buys negative shares."""
    try:
        body = read_object(visit.body)
        side = SIDES[whole_number(body, "side")]
        money, price = exact(body["totalNetAmount"]), exact(body["price"])
        listing = visit.desk.exchange.listings[InstrumentId(body["isin"])]
        rate = fee_rate(visit.desk.exchange.rules.market, side)
        each = price * (1 + rate if side is Side.BUY else 1 - rate)
        lots = int(money / each / listing.instrument.lot_size)
    except (ValueError, KeyError, TypeError, ArithmeticError):
        return refused(*MALFORMED)
    volume = lots * listing.instrument.lot_size
    fee = volume * price * rate
    return reply({"volume": as_whole(volume), "totalNetAmount": as_whole(volume * each), "totalFee": as_whole(fee)})


def new_order(visit: Visit) -> Reply:
    """``POST /api/v2/orders/NewOrder``."""
    request = _read_request(visit)
    if request is None:
        return refused(*MALFORMED)
    return _decide(visit, visit.desk.exchange.submit(visit.holder.account, request, visit.arrived))


def edit_order(visit: Visit) -> Reply:
    """``POST /api/v2/orders/EditOrder``: a new order's body with a ``serialNumber``; ``volume`` is the new total."""
    request = _read_request(visit, edit=True)
    serial = visit.paper.serial
    if request is None or serial is None:
        return refused(*MALFORMED)
    exchange = visit.desk.exchange
    return _decide(visit, exchange.edit(visit.holder.account, serial, request.price, request.quantity, visit.arrived))


def cancel_order(visit: Visit) -> Reply:
    """``DELETE /api/v2/orders/CancelOrder?serialNumber=n``."""
    try:
        serial = _serial(visit.query["serialNumber"])
    except (KeyError, ValueError):
        visit.paper.decision = Decision.MALFORMED
        return refused(*MALFORMED)
    visit.paper.serial = serial
    return _decide(visit, visit.desk.exchange.cancel(visit.holder.account, serial, visit.arrived))


def refused(code: int, message: str, status: int = _BAD_REQUEST) -> Reply:
    """A refusal as the platform writes it."""
    return reply({"Message": message, "Code": code}, status=status)


def _read_request(visit: Visit, *, edit: bool = False) -> OrderRequest | None:
    paper = visit.paper
    try:
        body = read_object(visit.body)
        request = OrderRequest(
            InstrumentId(_text(body, "isin")),
            SIDES[whole_number(body, "side")],
            _number(body, "price"),
            _number(body, "volume"),
        )
        paper.isin, paper.side = request.instrument, request.side.value
        paper.price, paper.quantity = request.price, request.quantity
        if edit:
            paper.serial = whole_number(body, "serialNumber")
    except (ValueError, KeyError, TypeError):
        paper.decision = Decision.MALFORMED
        return None
    return request


def _serial(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError("serialNumber")
    return int(text)


def _text(body: dict[str, Any], key: str) -> str:
    value = body[key]
    if not isinstance(value, str):
        raise TypeError(key)
    return value


def _number(body: dict[str, Any], key: str) -> Decimal:
    value = body[key]
    if isinstance(value, str):
        raise TypeError(f"{key} is a text")
    return exact(value)


def _decide(visit: Visit, result: ExchangeOrder | Refusal) -> Reply:
    paper = visit.paper
    if isinstance(result, Refusal):
        code, message = REFUSALS[result.reason]
        paper.decision, paper.code, paper.detail = Decision.REFUSED, code, result.detail
        return refused(code, message)
    paper.decision, paper.serial = Decision.ACCEPTED, result.serial
    paper.isin = paper.isin or result.instrument
    state, words = state_of(result)
    return reply(
        {
            "isSuccess": True,
            "errorCode": 0,
            "message": None,
            "serialNumber": result.serial,
            "trackingNumber": result.number_of_account,
            "state": state,
            "stateDesc": words,
        }
    )
