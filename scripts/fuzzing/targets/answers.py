"""All other answers of a broker: read as errors of our own or as what makes sense, and so handed on."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from firstbell.brokers import cached_instrument, token_life
from firstbell.brokers.base import Answer
from firstbell.brokers.ephoenix import answers, lists
from firstbell.brokers.session import is_token
from firstbell.errors import BrokerError
from firstbell.market.ticks import tick_size
from firstbell.model.identifiers import AccountName, BrokerCode, ClientOrderId
from firstbell.model.money import grouped, plain
from firstbell.model.order import Order, OrderState
from firstbell.model.order_status import OrderStatus, ReportKind
from firstbell.model.terms import Side
from firstbell.oms.lists import reading
from firstbell.oms.sizing import cost, size_buy
from firstbell.risk.checks import PLAN_CHECKS, Limits, Surroundings, deny
from fuzzing import practice, spoiling
from fuzzing.targets.base import Plain, expect

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from firstbell.brokers.base import Estimate, VenueOrder
    from firstbell.model.instrument import Instrument

_HOST: Final = "127.0.0.1:1"
_NOW_NS: Final = 1_795_238_000_000_000_000
_STATUSES: Final = (*[200] * 12, 204, 400, 401, 403, 429, 500, 307, 0)
_MONEY: Final = Decimal(1_000_003_827)
_RATE: Final = Decimal("0.003712")
_READERS: Final[dict[str, Callable[[Answer], Any]]] = {
    "buying_power": lambda said: answers.read_buying_power(said, _HOST),
    "instrument": lambda said: answers.read_instrument(said, practice.ISIN, _HOST),
    "estimate": lambda said: answers.read_estimate(said, _HOST),
    "holdings": lambda said: answers.read_holdings(said, _HOST),
    "captcha": lambda said: answers.read_captcha(said, _HOST),
    "login": lambda said: answers.read_login(said, _HOST),
    "cancel": lambda said: answers.read_cancel(said, _HOST),
    "page": lambda said: lists.whole_list(lambda _: lists.read_page(said, _HOST), _HOST),
    "open_orders": lambda said: lists.read_open_orders(said, _HOST),
    "fills": lambda said: lists.read_fills(said, _HOST),
}


class BrokerAnswers(Plain):
    """Every reader of `firstbell.brokers.ephoenix` but that of orders, and who gets what they read."""

    name = "answers"

    def make(self, rng: Random) -> bytes:
        """A reader's name, a status and a body."""
        reader = rng.choice(list(_READERS))
        wholes = practice.answers()[reader if rng.randrange(10) else rng.choice(list(_READERS))]
        return f"{reader}\n{rng.choice(_STATUSES)}\n".encode() + spoiling.document(wholes, rng)

    def attempt(self, data: bytes) -> None:
        """Read it, and use what was read."""
        name, status, body = (data + b"\n\n").split(b"\n", 2)
        number = int(status) if status.isdigit() and len(status) < 4 else 200
        reader = name.decode("latin-1") if name.decode("latin-1") in _READERS else "page"
        answer = Answer(number, {"retry-after": "1"}, body[:-2], 0, 0, 0, 0)
        try:
            said = _READERS[reader](answer)
        except BrokerError as error:
            expect(len(str(error)) < 2000, "an error without an end")
            return
        expect(number in range(200, 300), "read at another status than 2xx")
        _USES.get(reader, lambda _: None)(said)


def _use_instrument(found: Instrument) -> None:
    band = found.band
    expect(0 < band.low <= band.high, "a band that is none")
    whole = [found.min_quantity, found.max_quantity, found.lot_size]
    expect(all(number > 0 and number % 1 == 0 for number in whole), "parts of shares")
    expect(cached_instrument.read(_as_cached(found)) == found, "another instrument comes out of the cache")
    for money in (_MONEY, Decimal(1), Decimal(10) ** 20):
        sizing = size_buy(money, band.high, found, _RATE, None)
        expect(cost(sizing.quantity, band.high, _RATE) <= money, "more is spent than there is")
    if sizing.quantity > 0:
        _check_order(found, sizing.quantity)
    expect(len(grouped(band.high)) < 100, "a number without an end")


def _as_cached(found: Instrument) -> Any:
    return json.loads(json.dumps(cached_instrument.written(found)))


def _check_order(found: Instrument, quantity: Decimal) -> None:
    order = _order(found.band.high, min(quantity, found.max_quantity))
    for denial in deny(
        order, Surroundings(found, tick_size("XTEH", order.price), Limits(), Decimal(0), 0), PLAN_CHECKS
    ):
        expect(len(str(denial)) < 500, "a denial without an end")


def _order(price: Decimal, quantity: Decimal) -> Order:
    return Order(
        ClientOrderId("n"),
        AccountName("A"),
        BrokerCode("gs"),
        practice.ISIN,
        Side.BUY,
        price,
        quantity,
        date(2026, 1, 1),
    )


def _use_estimate(said: Estimate) -> None:
    expect(said.quantity % 1 == 0, "parts of shares")
    found = answers.read_instrument(
        Answer(200, {}, json.dumps(practice.answers()["instrument"][0]).encode(), 0, 0, 0, 0), practice.ISIN, _HOST
    )
    sizing = size_buy(_MONEY, found.band.high, found, _RATE, said)
    expect(cost(sizing.quantity, found.band.high, sizing.fee_rate) <= _MONEY, "more is spent than there is")


def _use_rows(rows: tuple[VenueOrder, ...]) -> None:
    for row in rows:
        expect(0 <= row.filled_qty <= row.quantity, "more traded than ordered")
        expect(row.filled_qty % 1 == 0 and row.quantity % 1 == 0, "parts of shares")
        expect(row.price > 0 and len(str(plain(row.price))) < 100, "a price that is none")
        expect(row.venue_order_id.isdigit() and int(row.venue_order_id) > 0, "a name that is none")
        expect(row.created_at is None or bool(row.created_at.astimezone().isoformat()), "a time that is none")
        kind = reading(row, OrderState(_order(Decimal(1), Decimal(1)), OrderStatus.SUBMITTED))
        expect(kind is not ReportKind.FILLED or row.filled_qty > 0, "filled with nothing")


def _use_token(token: str) -> None:
    expect(is_token(token), "a token that no header can carry")
    expect(token_life.ends_at(token, _NOW_NS).year < 2600, "a token without an end")


def _use_fills(fills: Any) -> None:
    for each in fills:
        expect(each.fill.last_qty > 0 and each.fill.last_qty % 1 == 0 and each.fill.last_px > 0, "a trade of nothing")
    expect(len({(each.instrument, each.fill.trade_id) for each in fills}) <= len(fills), "trades without names")


_USES: Final[dict[str, Callable[[Any], None]]] = {
    "instrument": _use_instrument,
    "estimate": _use_estimate,
    "page": _use_rows,
    "open_orders": _use_rows,
    "login": _use_token,
    "fills": _use_fills,
    "buying_power": lambda money: expect(len(grouped(money)) < 100, "a number without an end"),
}
