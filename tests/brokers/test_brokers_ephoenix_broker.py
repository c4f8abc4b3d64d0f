"""One login at a platform that misbehaves: what is asked again, what is not, and what comes from the cache."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from brokers_platform import (
    CALCULATOR,
    CANCEL,
    DAY_ORDERS,
    EDIT_ORDER,
    HOLDINGS,
    INSTRUMENT,
    LOGIN,
    MONEY,
    NEW_ORDER,
    OPEN_ORDERS,
    TRADES,
    USUAL,
    House,
    Platform,
    jwt,
)
from brokers_wire import http

from firstbell.brokers.base import HttpBroker
from firstbell.brokers.registry import open_broker
from firstbell.cache import Kind
from firstbell.config import AccountSettings
from firstbell.errors import BrokerError, NoAnswer, NotSent, Refused, TokenEnded, Unreadable
from firstbell.model.identifiers import AccountName, BrokerCode, ClientOrderId, InstrumentId, VenueOrderId
from firstbell.model.order import Order
from firstbell.model.terms import AttemptOutcome, Side

ISIN = InstrumentId("IRO1MHRN0001")
DAY = date(2026, 11, 21)
ORDER = Order(
    ClientOrderId("fb-1"), AccountName("a"), BrokerCode("shahr"), ISIN, Side.BUY, Decimal(5860), Decimal(10), DAY
)
SERIAL = VenueOrderId("4711")

READS: dict[str, tuple[str, Callable[[HttpBroker], object]]] = {
    "buying_power": (MONEY, lambda broker: broker.buying_power(fresh=True)),
    "instrument": (INSTRUMENT, lambda broker: broker.instrument(ISIN, fresh=True)),
    "orders": (DAY_ORDERS, lambda broker: broker.orders(DAY)),
    "open_orders": (OPEN_ORDERS, lambda broker: broker.open_orders()),
    "fills": (TRADES, lambda broker: broker.fills(DAY)),
    "positions": (HOLDINGS, lambda broker: broker.positions()),
}


@pytest.fixture
def broker(house: House) -> HttpBroker:
    broker = house.broker()
    broker.login()
    return broker


@pytest.mark.parametrize("name", READS)
@pytest.mark.parametrize("said", [http(500, b""), http(503, b"<html>"), None])
def test_a_question_that_failed_quickly_is_asked_once_more(
    broker: HttpBroker, platform: Platform, name: str, said: bytes | None
) -> None:
    path, ask = READS[name]
    platform.says[path] = [said]
    ask(broker)
    assert len(platform.calls(path)) == 2
    platform.says[path] = [said] * 9
    with pytest.raises(NoAnswer):
        ask(broker)
    assert len(platform.calls(path)) == 4


@pytest.mark.parametrize("name", READS)
@pytest.mark.parametrize(
    ("said", "error"),
    [
        (http(200, b"<html>"), Unreadable),
        (http(200, b""), Unreadable),
        (http(200, b'{"a":1,"a":2}'), Unreadable),
        (http(200, b"[NaN]"), Unreadable),
        (http(200, b"7"), Unreadable),
        (http(307, b"", Location="/elsewhere"), Unreadable),
        (http(200, b"", Content_Length=str(20 << 20)), Unreadable),
        (http(400, {"Message": "x", "Code": 1900}), Refused),
        (http(403, b""), Refused),
    ],
)
def test_an_answer_that_will_not_change_is_not_asked_for_again(
    broker: HttpBroker, platform: Platform, name: str, said: bytes, error: type[BrokerError]
) -> None:
    path, ask = READS[name]
    platform.says[path] = [said]
    with pytest.raises(error):
        ask(broker)
    assert len(platform.calls(path)) == 1
    assert all(request.path != "/elsewhere" for request in platform.server.requests)


@pytest.mark.parametrize("name", READS)
def test_a_refused_token_costs_one_log_in_and_the_question_once_more(
    broker: HttpBroker, platform: Platform, name: str
) -> None:
    path, ask = READS[name]
    platform.says[path] = [http(401, b"")]
    ask(broker)
    assert len(platform.calls(path)) == len(platform.calls(LOGIN)) == 2
    platform.says[path] = [http(401, b"")] * 9
    with pytest.raises(TokenEnded):
        ask(broker)
    assert len(platform.calls(path)) == 4
    assert len(platform.calls(LOGIN)) == 3


def test_buying_power_and_instrument_come_from_the_cache(broker: HttpBroker, house: House, platform: Platform) -> None:
    for _ in range(3):
        assert broker.buying_power() == 1_000_003_827
        assert broker.instrument(ISIN).band.high == 5860
    assert house.broker("other").instrument(ISIN).symbol == "مهرگان"
    assert len(platform.calls(MONEY)) == len(platform.calls(INSTRUMENT)) == 1
    assert house.broker("other").buying_power() == 1_000_003_827
    assert len(platform.calls(MONEY)) == 2


def test_a_fresh_answer_is_cached_too(broker: HttpBroker, platform: Platform) -> None:
    broker.buying_power()
    platform.says[MONEY] = [http(200, {"buyingPower": -12.5})]
    assert broker.buying_power(fresh=True) == Decimal("-12.5")
    assert broker.buying_power() == Decimal("-12.5")
    platform.says[INSTRUMENT] = [http(200, [{"i": USUAL[INSTRUMENT][0]["i"], "t": {"maxap": 7, "minap": 6}}])]
    broker.instrument(ISIN, fresh=True)
    assert broker.instrument(ISIN).band.high == 7


def test_a_damaged_entry_is_asked_for_again(broker: HttpBroker, house: House, platform: Platform) -> None:
    url = platform.url
    for planted in ("much", "1e9999999", "1E+9", {}, "NaN", "1_000", ""):
        house.cache.put(Kind.BUYING_POWER, f"shahr\x1f{url}\x1f{url}\x1fuser", planted)  # type: ignore[arg-type] # JSON
        assert broker.buying_power() == 1_000_003_827
    good = {"id": ISIN, "symbol": "s", "name": "n", "low": "1", "high": "2", "min": "1", "max": "9", "lot": "1"}
    rest = {"reference": None, "last": None, "state": "", "expiry": None, "tick": None}
    for changed in (
        {"low": "3"},
        {"low": "-1"},
        {"lot": "0"},
        {"max": 9},
        {"id": "IRO1OTHR0001"},
        {"high": "x"},
        {"high": "1E+999999"},
    ):
        house.cache.put(Kind.INSTRUMENT, f"{url}\x1f{ISIN}", {**good, **rest, **changed})
        assert broker.instrument(ISIN).band.high == 5860
    house.cache.put(Kind.INSTRUMENT, f"{url}\x1f{ISIN}", {**good, **rest})
    assert broker.instrument(ISIN).band.high == 2


def test_what_failed_is_not_cached(broker: HttpBroker, platform: Platform) -> None:
    platform.says[INSTRUMENT] = [http(200, [])]
    with pytest.raises(Refused, match=ISIN):
        broker.instrument(ISIN)
    assert broker.instrument(ISIN).band.high == 5860


@pytest.mark.parametrize(
    "said",
    [http(400, {"Message": "x", "Code": 1900}), http(404, b""), http(200, b"<html>"), http(307, b""), http(200, {})],
)
def test_a_calculator_without_an_answer_says_nothing(broker: HttpBroker, platform: Platform, said: bytes) -> None:
    platform.says[CALCULATOR] = [said]
    assert broker.estimate(ISIN, Side.BUY, Decimal(10**9), Decimal(5860)) is None
    assert broker.estimate(ISIN, Side.BUY, Decimal(10**9), Decimal("5860.5")) is None
    found = broker.estimate(ISIN, Side.BUY, Decimal(10**9), Decimal(5860))
    assert found is not None
    assert found.quantity == 170018


# Orders


def test_an_order_is_prepared_without_a_word_to_anybody(broker: HttpBroker, platform: Platform) -> None:
    asked = len(platform.server.requests)
    prepared = broker.prepare(ORDER)
    assert len(platform.server.requests) == asked
    assert (prepared.method, prepared.base_url, prepared.path) == ("POST", platform.url, NEW_ORDER)
    assert prepared.headers["Authorization"] == f"Bearer {platform.tokens[0]}"
    assert platform.tokens[0] not in repr(prepared)
    answer = broker.send(prepared, timeout_s=5)
    outcome = broker.read_answer(answer.status, answer.headers, answer.body)
    assert (outcome.outcome, outcome.venue_order_id) == (AttemptOutcome.ACCEPTED, "4711")
    (request,) = platform.calls(NEW_ORDER)
    assert request.body == prepared.body
    assert request.json["price"] == 5860


def test_without_a_token_nothing_is_prepared(house: House, platform: Platform) -> None:
    broker = house.broker()
    with pytest.raises(NotSent, match="log in first"):
        broker.prepare(ORDER)
    assert platform.server.requests == []
    broker.login()
    broker.forget_token()
    with pytest.raises(NotSent):
        broker.prepare(ORDER)


def test_a_fraction_is_refused_before_anything_leaves(broker: HttpBroker, platform: Platform) -> None:
    for order in (replace(ORDER, price=Decimal("5860.5")), replace(ORDER, quantity=Decimal("0.5"))):
        for place in (broker.prepare, broker.submit, lambda order: broker.replace(SERIAL, order)):
            with pytest.raises(ValueError, match="whole"):
                place(order)
    with pytest.raises(ValueError, match="not the number"):
        broker.cancel(VenueOrderId("of another broker"))
    assert platform.calls(NEW_ORDER) == platform.calls(EDIT_ORDER) == platform.calls(CANCEL) == []


@pytest.mark.parametrize(
    "said",
    [
        http(200, {"Message": "x", "Code": 1017}),
        http(400, {"Message": "x", "Code": 1018}),
        http(401, b""),
        http(429, b"", Retry_After="1"),
        http(500, b""),
        http(307, b"", Location=NEW_ORDER),
        http(200, b"<html>"),
        http(200, b'{"serialNumber": 1, "serialNumber": 2}'),
    ],
)
def test_an_order_is_sent_once_whatever_comes_back(broker: HttpBroker, platform: Platform, said: bytes) -> None:
    platform.says[NEW_ORDER] = [said]
    platform.says[EDIT_ORDER] = [said]
    outcome = broker.submit(ORDER)
    assert outcome.outcome is not AttemptOutcome.ACCEPTED
    assert broker.replace(SERIAL, ORDER) == outcome
    assert len(platform.calls(NEW_ORDER)) == len(platform.calls(EDIT_ORDER)) == 1
    assert len(platform.calls(LOGIN)) == 1


@pytest.mark.parametrize("said", [None, http(200, b"", Content_Length=str(20 << 20))])
def test_an_order_that_left_and_was_not_answered_is_no_answer(
    broker: HttpBroker, platform: Platform, said: bytes | None
) -> None:
    for path, place in ((NEW_ORDER, broker.submit), (EDIT_ORDER, lambda order: broker.replace(SERIAL, order))):
        platform.says[path] = [said]
        with pytest.raises(NoAnswer):
            place(ORDER)
        assert len(platform.calls(path)) == 1


def test_an_order_to_a_host_that_is_gone_is_not_sent(broker: HttpBroker, platform: Platform) -> None:
    platform.server.close()
    with pytest.raises(NotSent):
        broker.submit(ORDER)
    with pytest.raises(NotSent):
        broker.cancel(SERIAL)


def test_a_cancel_is_asked_once(broker: HttpBroker, platform: Platform) -> None:
    broker.cancel(SERIAL)
    assert [(request.method, request.path) for request in platform.calls(CANCEL)] == [
        ("DELETE", f"{CANCEL}?serialNumber=4711")
    ]
    platform.says[CANCEL] = [http(500, b"")]
    with pytest.raises(NoAnswer):
        broker.cancel(SERIAL)
    platform.says[CANCEL] = [None]
    with pytest.raises(NoAnswer):
        broker.cancel(SERIAL)
    platform.says[CANCEL] = [http(400, {"Message": "یافت نشد", "Code": 1903})]
    with pytest.raises(Refused, match="1903"):
        broker.cancel(SERIAL)
    assert len(platform.calls(CANCEL)) == 4
    # A refused token is a certain no, so that is another matter.
    platform.says[CANCEL] = [http(401, b"")]
    broker.cancel(SERIAL)
    assert len(platform.calls(CANCEL)) == 6


def test_the_proof_of_a_connection_is_one_cheap_call_with_the_token_in_it(
    broker: HttpBroker, platform: Platform
) -> None:
    broker.login()
    before = len(platform.server.requests)
    call = broker.prepare_proof()
    assert (call.method, call.path, call.body) == ("GET", MONEY, None)
    assert call.headers["Authorization"].startswith("Bearer ")
    assert call.base_url == broker.prepare(ORDER).base_url
    assert len(platform.server.requests) == before


def test_without_a_token_there_is_no_proof(broker: HttpBroker) -> None:
    broker.forget_token()
    with pytest.raises(NotSent, match="log in"):
        broker.prepare_proof()


def test_lists_come_whole_or_not_at_all(broker: HttpBroker, platform: Platform) -> None:
    def row(serial: int) -> dict[str, object]:
        return {
            "isin": ISIN,
            "orderSide": 1,
            "volume": 10,
            "executedVolume": 0,
            "price": 5860,
            "state": 2,
            "serialNumber": serial,
        }

    def page(total: int, *serials: int) -> bytes:
        return http(200, {"rows": [row(serial) for serial in serials], "totalRecords": total})

    platform.says[DAY_ORDERS] = [page(3, 1, 2), page(3, 3)]
    assert [order.venue_order_id for order in broker.orders(DAY)] == ["1", "2", "3"]
    asked = [request.json for request in platform.calls(DAY_ORDERS)]
    assert [(body["page"], body["fromDate"], body["toDate"]) for body in asked] == [
        (1, "2026/11/21", "2026/11/21"),
        (2, "2026/11/21", "2026/11/21"),
    ]
    platform.says[DAY_ORDERS] = [page(3, 1, 2), http(200, b"<html>")]
    with pytest.raises(Unreadable):
        broker.orders(DAY)
    platform.says[DAY_ORDERS] = [page(4, 1, 2)] * 20
    with pytest.raises(Unreadable, match="two pages"):
        broker.orders(DAY)


def opened(house: House, **own: object) -> HttpBroker:
    account = AccountSettings.model_validate(
        {"name": "Order_A", "username": "user", "password": "p", "broker_code": "ib", "isin": ISIN}
    )
    broker = open_broker(account, house.settings("ib", **own), house.cache, house.solver, clock=house.clock)
    assert isinstance(broker, HttpBroker)
    return broker


def test_the_back_office_of_ib_must_be_named(house: House) -> None:
    assert opened(house).positions() == ()
    with pytest.raises(NotSent, match=r"backoffice_url in \[broker\.ib\]"):
        opened(house, backoffice_url=None).positions()


def test_capabilities_keep_the_configured_interval(house: House) -> None:
    broker = opened(house, min_interval_ms=400)
    assert broker.code == "ib"
    assert broker.capabilities.min_interval_ms == 400
    assert broker.capabilities.client_order_ids is False


def test_no_error_or_log_holds_a_token(house: House, platform: Platform, caplog: pytest.LogCaptureFixture) -> None:
    secret = jwt(exp=9_999_999_999, sub="planted")
    platform.tokens.append(secret)
    platform.says[LOGIN] = [http(200, {"token": secret, "errorCode": 0})]
    broker = house.broker()
    with caplog.at_level("DEBUG"):
        broker.login()
        platform.says = {
            MONEY: [None] * 4,
            DAY_ORDERS: [http(500, secret.encode())] * 4,
            OPEN_ORDERS: [http(200, secret.encode())] * 4,
        }
        for ask in (lambda: broker.buying_power(fresh=True), lambda: broker.orders(DAY), broker.open_orders):
            with pytest.raises(BrokerError) as caught:
                ask()
            assert secret not in str(caught.value)
            assert caught.value.__cause__ is None
    assert secret not in caplog.text


def test_a_server_that_speaks_no_http_is_no_answer(broker: HttpBroker, platform: Platform) -> None:
    platform.says[NEW_ORDER] = [b"\x00\x01\x02 not HTTP at all\r\n\r\n"]
    with pytest.raises(NoAnswer, match="the request had left"):
        broker.submit(ORDER)
