"""How requests are written and answers read, without a socket."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbell.brokers.base import Answer, Estimate, PartlyUnreadable, VenueOrder
from firstbell.brokers.ephoenix import answers, calls, lists
from firstbell.brokers.ephoenix.hosts import TABLE, hosts_of
from firstbell.config import BrokerSettings
from firstbell.errors import (
    BrokerError,
    NoAnswer,
    RateLimited,
    Refused,
    TokenEnded,
    Unreadable,
    WrongCaptcha,
    WrongPassword,
)
from firstbell.model.broker_codes import EPHOENIX_CODES
from firstbell.model.identifiers import AccountName, BrokerCode, ClientOrderId, InstrumentId, VenueOrderId
from firstbell.model.order import Order
from firstbell.model.quote import Level
from firstbell.model.terms import Side

ISIN = InstrumentId("IRO1MHRN0001")
HOST = "api.example"
DAY = date(2026, 11, 21)


def answer(body: object, status: int = 200, **headers: str) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, raw, 1, 1, 2, 1)


def order(price: str = "5860", quantity: str = "170018", side: Side = Side.BUY) -> Order:
    return Order(
        ClientOrderId("fb-1"), AccountName("a"), BrokerCode("shahr"), ISIN, side, Decimal(price), Decimal(quantity), DAY
    )


# Requests


def test_a_new_order_is_written_as_the_platform_wants_it() -> None:
    call = calls.new_order(order("5860.0"))
    assert (call.service, call.method, call.path) == ("api", "POST", "/api/v2/orders/NewOrder")
    assert call.body == (
        b'{"isin":"IRO1MHRN0001","side":1,"validity":1,"validityDate":null,"accountType":1,'
        b'"price":5860,"volume":170018,"serialNumber":0}'
    )


def test_sells_edits_and_cancels() -> None:
    assert calls.new_order(order(side=Side.SELL)).document["side"] == 2
    edit = calls.edit_order(order("5870", "5"), VenueOrderId("4711"))
    assert (edit.path, edit.document["serialNumber"], edit.document["price"]) == (
        "/api/v2/orders/EditOrder",
        4711,
        5870,
    )
    cancel = calls.cancel_order(VenueOrderId("4711"))
    assert (cancel.method, cancel.path) == ("DELETE", "/api/v2/orders/CancelOrder?serialNumber=4711")
    assert cancel.body is None


@pytest.mark.parametrize(("price", "quantity"), [("5860.5", "1"), ("5860", "1.5"), ("0.1", "1")])
def test_fractions_never_leave(price: str, quantity: str) -> None:
    with pytest.raises(ValueError, match="whole number"):
        calls.new_order(order(price, quantity))
    with pytest.raises(ValueError, match="whole number"):
        calls.edit_order(order(price, quantity), VenueOrderId("1"))


@pytest.mark.parametrize("name", ["", "x", "-1", "1&type=2", "۱", "1.0", " 1"])
def test_names_of_other_platforms_never_leave(name: str) -> None:
    with pytest.raises(ValueError, match="not the number"):
        calls.cancel_order(VenueOrderId(name))


def test_the_other_calls() -> None:
    assert calls.day_orders(DAY, 3).document == {
        "page": 3,
        "pageSize": calls.PAGE_SIZE,
        "fromDate": "2026/11/21",
        "toDate": "2026/11/21",
        "side": None,
        "isin": None,
        "includeStatus": [],
        "pamCode": None,
    }
    assert calls.login("u", "پ;%", "s", "h", "12345").document == {
        "loginName": "u",
        "password": "پ;%",
        "captcha": {"hash": "h", "salt": "s", "value": "12345"},
    }
    assert calls.instrument(ISIN).body == b'{"isinList":["IRO1MHRN0001"]}'
    asked = calls.calculate(ISIN, Side.BUY, Decimal("1000003827.9"), Decimal(5860))
    assert asked.document == {"isin": ISIN, "side": 1, "totalNetAmount": 1000003827, "price": 5860}
    assert calls.OPEN_ORDERS.path == "/api/v2/orders/GetOpenOrders?type=1"


def test_headers_are_the_same_for_all_calls() -> None:
    with_token = calls.headers("T", has_body=True)
    assert with_token["Authorization"] == "Bearer T"
    assert with_token["User-Agent"].startswith("Mozilla/5.0 (")
    without = calls.headers(None, has_body=False)
    assert set(with_token) - set(without) == {"Authorization", "Content-Type"}


# Hosts


def test_every_code_of_the_platform_has_its_hosts() -> None:
    assert set(TABLE) == set(EPHOENIX_CODES)
    for code in EPHOENIX_CODES:
        hosts = hosts_of(code, BrokerSettings())
        for host in (hosts.identity, hosts.api, hosts.market_data):
            assert host.startswith("https://")
    assert hosts_of(BrokerCode("shahr"), BrokerSettings()).api == "https://api-shahr.ephoenix.ir"
    assert hosts_of(BrokerCode("ib"), BrokerSettings()).identity == "https://identity.ibtrader.ir"
    assert TABLE[BrokerCode("gs")].before_login_s == 2.0


def test_a_config_overrides_one_host_and_keeps_the_others() -> None:
    own = hosts_of(BrokerCode("bbi"), BrokerSettings())
    moved = hosts_of(BrokerCode("bbi"), BrokerSettings(api_url="https://elsewhere.example"))
    assert moved.api == "https://elsewhere.example"
    assert (moved.identity, moved.market_data, moved.backoffice) == (own.identity, own.market_data, own.backoffice)


# Answers to questions


def test_buying_power_in_all_its_spellings() -> None:
    for body in (
        {"buyingPower": 1000003827, "credit": 0},
        {"BuyingPower": "1000003827"},
        {"buyingpower": "۱۰۰۰۰۰۳۸۲۷"},
        {"result": {"buyingPower": 1000003827.0}},
        {"isError": False, "data": {"buyingPower": "١٠٠٠٠٠٣٨٢٧"}},
    ):
        assert answers.read_buying_power(answer(body), HOST) == 1000003827
    assert answers.read_buying_power(answer({"buyingPower": -5.5}), HOST) == Decimal("-5.5")


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        None,
        {"buyingPower": None},
        {"buyingPower": "many"},
        {"buyingPower": "1,000"},
        {"buyingPower": "1e9"},
        {"buyingPower": True},
        {"buyingPower": [1]},
        {"buyingPower": 1, "BuyingPower": 2},
        {"buyingPower": 1, "BuyingPower": True},
        {"buyingPower": "१२"},
        {"buyingPower": "1" * 29},
        b'{"buyingPower": 1e99999999999999999999}',
        b'{"buyingPower": 1e30}',
        {"buyingPower": ""},
        b'{"buyingPower": NaN}',
        b"<html>",
        b"",
    ],
)
def test_buying_power_is_never_guessed(body: object) -> None:
    with pytest.raises(Unreadable):
        answers.read_buying_power(answer(body), HOST)


def instrument(**changed: object) -> list[dict[str, object]]:
    i: dict[str, object] = {
        "isin": ISIN,
        "s": "مهرگان",
        "t": "گروه مالی مهرگان",
        "maxeq": 200000,
        "mineq": 1,
        "ls": 1,
        "ncst": "A",
        "lcp": 5690.0,
    }
    t: dict[str, object] = {"maxap": 5860.0, "minap": 5520.0, "cup": 0}
    for name, value in changed.items():
        (i if name in i else t)[name] = value
    return [{"i": i, "t": t, "bl": []}]


def test_an_instrument_is_read() -> None:
    for body in (instrument(), {"result": instrument()}, instrument(maxap="۵۸۶۰", maxeq="200000")):
        found = answers.read_instrument(answer(body), ISIN, HOST)
        assert (found.id, found.symbol, found.name, found.state) == (ISIN, "مهرگان", "گروه مالی مهرگان", "A")
        assert (found.band.low, found.band.high) == (5520, 5860)
        assert (found.min_quantity, found.max_quantity, found.lot_size) == (1, 200000, 1)
        assert (found.reference_price, found.last_price) == (5690, None)


def test_a_least_quantity_of_nothing_is_a_lot() -> None:
    assert answers.read_instrument(answer(instrument(mineq=0, ls=10)), ISIN, HOST).min_quantity == 10


@pytest.mark.parametrize(
    "changed",
    [
        {"maxap": None},
        {"minap": None},
        {"maxap": 0},
        {"minap": -1},
        {"minap": 5861},
        {"maxap": "high"},
        {"maxeq": 0},
        {"maxeq": -1},
        {"maxeq": 1.5},
        {"mineq": 200001},
        {"mineq": -1},
        {"mineq": None},
        {"ls": 0},
        {"ls": 0.5},
        {"ls": None},
        {"ls": True},
        {"maxap": 10**28},
        {"minap": "0." + "0" * 29 + "1"},
        {"lcp": "x"},
    ],
)
def test_an_instrument_is_never_guessed(changed: dict[str, object]) -> None:
    with pytest.raises(Unreadable):
        answers.read_instrument(answer(instrument(**changed)), ISIN, HOST)


@pytest.mark.parametrize("body", [[{"i": {}}], [{"t": {}}], [7], {"rows": None}, {}])
def test_other_shapes_are_unreadable(body: object) -> None:
    with pytest.raises(Unreadable):
        answers.read_instrument(answer(body), ISIN, HOST)


def test_an_instrument_that_the_broker_does_not_know_is_refused() -> None:
    for body in ([], instrument(isin="IRO1OTHR0001")):
        with pytest.raises(Refused, match=ISIN):
            answers.read_instrument(answer(body), ISIN, HOST)


def test_the_calculator_may_answer_with_less_than_nothing() -> None:
    said = {"volume": -3, "totalNetAmount": -17580, "totalFee": None}
    assert answers.read_estimate(answer(said), HOST) == Estimate(Decimal(-3), Decimal(-17580), None)
    for body in ({"volume": 1.5}, {"totalFee": 1}, {"volume": "x"}):
        with pytest.raises(Unreadable):
            answers.read_estimate(answer(body), HOST)


def test_holdings_are_read() -> None:
    said = {"isError": False, "message": None, "result": [{"isin": ISIN, "remainVolume": 500}]}
    (holding,) = answers.read_holdings(answer(said), HOST)
    assert (holding.instrument, holding.quantity) == (ISIN, 500)
    with pytest.raises(Refused, match="نه"):
        answers.read_holdings(answer({"isError": True, "message": "نه", "result": []}), HOST)
    for body in ({"result": [{"isin": ISIN}]}, {"result": [{"remainVolume": 1}]}, {"result": None}, [3]):
        with pytest.raises(Unreadable):
            answers.read_holdings(answer(body), HOST)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, b"", TokenEnded),
        (429, b"", RateLimited),
        (400, {"Message": "x", "Code": 1900}, Refused),
        (403, b"<html>", Refused),
        (404, b"", Refused),
        (200, {"isSuccess": False}, Refused),
        (200, {"isError": True, "message": "x"}, Refused),
        (200, {"errorCode": 5}, Refused),
        (200, {"Message": "x", "Code": 5}, Refused),
        (302, {"buyingPower": 1}, Unreadable),
        (307, b"", Unreadable),
        (200, b"<html>", Unreadable),
        (500, {"buyingPower": 1}, NoAnswer),
        (503, b"", NoAnswer),
        (102, b"", NoAnswer),
    ],
)
def test_what_an_answer_without_the_answer_is(status: int, body: object, error: type[BrokerError]) -> None:
    with pytest.raises(BrokerError) as caught:
        answers.read_buying_power(answer(body, status), HOST)
    assert type(caught.value) is error
    assert caught.value.host == HOST


def test_a_refusal_keeps_code_status_and_words() -> None:
    with pytest.raises(Refused, match="1900 درخواست") as caught:
        answers.read_buying_power(answer({"Message": "درخواست", "Code": 1900}, 400), HOST)
    assert (caught.value.code, caught.value.status) == (1900, 400)


def test_a_pause_is_read() -> None:
    with pytest.raises(RateLimited) as caught:
        answers.read_buying_power(answer(b"", 429, retry_after="420"), HOST)
    assert caught.value.retry_after == 420.0


def test_a_cancel_that_says_nothing_is_done() -> None:
    for body in (b"", b" ", {"isSuccess": True}, {}, True):
        answers.read_cancel(answer(body), HOST)
    answers.read_cancel(answer(b"", 204), HOST)
    for status, body, error in (
        (200, {"isSuccess": False}, Refused),
        (400, {"Message": "x", "Code": 1903}, Refused),
        (500, b"", NoAnswer),
        (200, b"<html>", Unreadable),
        (307, b"", Unreadable),
    ):
        with pytest.raises(error):
            answers.read_cancel(answer(body, status), HOST)


# Logging in

PNG = b"\x89PNG\r\n\x1a\n..."


AT = datetime(2026, 11, 21, 6, tzinfo=UTC)


def limits(*rows: object, **changed: object) -> list[dict[str, object]]:
    return [{"i": {"isin": ISIN}, "t": {"cup": 5700.0}, "bl": list(rows), **changed}]


def limit(**changed: object) -> dict[str, object]:
    return {"bv": 1000, "boc": 3, "bp": 5690.0, "sv": 2000, "soc": 4, "sp": 5710.0, **changed}


def test_a_quote_is_read_best_first() -> None:
    said = limits(limit(bp="5680", sp="۵۷۲۰", boc=None), limit(), limit(bp=0.0, bv=0, sp=5700.0, SV=5))
    said[0]["bl"][2].pop("sv")  # type: ignore[index,attr-defined]
    found = answers.read_quote(answer(said), ISIN, HOST, AT)
    assert (found.instrument, found.at, found.last_price, found.volume) == (ISIN, AT, 5700, None)
    assert found.bids == (Level(Decimal(5690), Decimal(1000), 3), Level(Decimal(5680), Decimal(1000), None))
    assert [(level.price, level.quantity) for level in found.asks] == [(5700, 5), (5710, 2000), (5720, 2000)]


@pytest.mark.parametrize(
    "said",
    [
        limits(),
        limits(bl=None),
        limits(t={"cup": 0}),
        limits(t=None),
        limits(limit(bp=0, sp=None)),
        limits(limit(bv=0, sv=None)),
    ],
)
def test_a_quote_with_nothing_in_its_book(said: object) -> None:
    found = answers.read_quote(answer(said), ISIN, HOST, AT)
    assert found.bids == found.asks == ()
    assert found.last_price in {None, Decimal(5700)}


@pytest.mark.parametrize(
    "said",
    [
        limits(bl={"bp": 1}),
        limits("5690"),
        limits(limit(bp="x")),
        limits(limit(bp=-5690)),
        limits(limit(bv=-1)),
        limits(limit(bv=1.5)),
        limits(limit(soc="many")),
        limits(limit(BP=5680.0)),
        limits(*[limit()] * 101),
        limits(t={"cup": "x"}),
        {"rows": None},
    ],
)
def test_a_quote_is_never_guessed(said: object) -> None:
    with pytest.raises(Unreadable):
        answers.read_quote(answer(said), ISIN, HOST, AT)


def test_a_quote_of_another_instrument_is_a_refusal() -> None:
    with pytest.raises(Refused):
        answers.read_quote(answer(limits()), InstrumentId("IRO1NONE0001"), HOST, AT)


def test_a_captcha_is_read() -> None:
    encoded = base64.b64encode(PNG).decode()
    for picture in (encoded, f"data:image/png;base64,{encoded}"):
        said = {"captchaByteData": picture, "salt": "s", "hashedCaptcha": "h"}
        assert answers.read_captcha(answer(said), HOST) == answers.Captcha(PNG, "s", "h")
        assert answers.read_captcha(answer({"result": said}), HOST).picture == PNG


@pytest.mark.parametrize(
    "changed",
    [
        {"captchaByteData": "!!"},
        {"captchaByteData": ""},
        {"captchaByteData": None},
        {"salt": None},
        {"hashedCaptcha": 7},
        {"salt": "s" * 5000},
    ],
)
def test_a_captcha_that_is_none(changed: dict[str, object]) -> None:
    said = {"captchaByteData": base64.b64encode(PNG).decode(), "salt": "s", "hashedCaptcha": "h", **changed}
    with pytest.raises(Unreadable):
        answers.read_captcha(answer(said), HOST)


def test_a_token_is_read() -> None:
    for body in (
        {"token": "abc.def.ghi", "errorCode": 0, "isSuccess": True},
        {"Token": "abc.def.ghi"},
        {"isSuccess": True, "result": {"token": "abc.def.ghi"}},
    ):
        assert answers.read_login(answer(body), HOST) == "abc.def.ghi"


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, {"errorCode": 3000, "isSuccess": False, "token": None}, WrongPassword),
        (200, {"errorCode": "3000"}, WrongPassword),
        (200, {"result": {"errorCode": 3000}}, WrongPassword),
        (401, {"errorCode": 3000}, WrongPassword),
        (400, {"Code": 3000, "Message": "x"}, WrongPassword),
        (200, {"errorCode": -1000, "isSuccess": False}, WrongCaptcha),
        (400, {"errorCode": -1000}, WrongCaptcha),
        (200, {"errorCode": 77, "isSuccess": False, "token": "t"}, Refused),
        (200, {"isSuccess": False, "token": "t"}, Refused),
        (401, b"", Refused),
        (429, b"", RateLimited),
        (500, {"errorCode": 3000}, NoAnswer),
        (200, {"token": ""}, Unreadable),
        (200, {"token": None, "errorCode": 0}, Unreadable),
        (200, {"token": "a b"}, Unreadable),
        (200, {"token": "a\r\nX-Planted: b"}, Unreadable),
        (200, {"token": 7}, Unreadable),
        (200, {}, Unreadable),
        (200, b"<html>", Unreadable),
        (307, {"token": "t"}, Unreadable),
    ],
)
def test_log_ins_that_failed(status: int, body: object, error: type[BrokerError]) -> None:
    with pytest.raises(BrokerError) as caught:
        answers.read_login(answer(body, status), HOST)
    assert type(caught.value) is error


# Lists


def row(serial: object = 4711, **changed: object) -> dict[str, object]:
    return {
        "isin": ISIN,
        "orderSide": 1,
        "created": "2026-11-21T08:45:00.123456Z",
        "volume": 100,
        "remainedVolume": 60,
        "executedVolume": 40,
        "canceledVolume": 0,
        "price": 5860,
        "state": 6,
        "trackingNumber": 3,
        "serialNumber": serial,
        **changed,
    }


def one(**changed: object) -> VenueOrder:
    (found,) = lists.read_open_orders(answer([row(**changed)]), HOST)
    return found


def test_a_row_is_read() -> None:
    found = one()
    assert found.venue_order_id == "4711"
    assert (found.instrument, found.side, found.price, found.quantity, found.filled_qty) == (
        ISIN,
        Side.BUY,
        5860,
        100,
        40,
    )
    assert found.created_at == datetime(2026, 11, 21, 8, 45, 0, 123456, ZoneInfo("Asia/Tehran"))
    assert (found.working, found.refused, found.status, found.client_order_id) == (True, False, "6", None)


@pytest.mark.parametrize(
    ("state", "executed", "working", "refused"),
    [
        (1, 0, True, False),
        (2, 0, True, False),
        (3, 100, False, False),
        (4, 40, False, False),
        (5, 0, False, True),
        (5, 40, False, False),
        (6, 40, True, False),
        (7, 0, True, False),
        (8, 0, True, False),
        (9, 0, True, False),
        (10, 0, False, True),
        ("5", 0, False, True),
        ("۱۰", 0, False, True),
        (3.0, 100, False, False),
        (11, 0, True, False),
        ("new word", 0, True, False),
        (None, 0, True, False),
    ],
)
def test_states(state: object, executed: int, working: bool, refused: bool) -> None:
    """One that nobody knows still works, as far as we know."""
    found = one(state=state, executedVolume=executed)
    assert (found.working, found.refused) == (working, refused)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-21T08:45:00Z",
        "2026-11-21T08:45:00",
        "2026-11-21T08:45:00+00:00",
        "2026-11-21T08:45:00+03:30",
        "2026-11-21 08:45:00",
        "2026-11-21T08:45:00.0000000",
        "2026-11-21T07:15:00+02:00",
    ],
)
def test_times_are_tehrans_wall_clock_whatever_their_label(text: str) -> None:
    assert one(created=text).created_at == datetime(2026, 11, 21, 8, 45, tzinfo=ZoneInfo("Asia/Tehran"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        None,
        "1405/08/30",
        "yesterday",
        "2026-13-41T00:00:00",
        7,
        "9999-12-31T23:59:59-05:00",
        "0001-01-01T00:00:00+14:00",
        "1999-12-31",
    ],
)
def test_what_is_no_time_is_none(text: object) -> None:
    assert one(created=text).created_at is None


def test_what_traded_may_have_to_be_reckoned() -> None:
    assert one(executedVolume=None, remainedVolume=60, canceledVolume=10).filled_qty == 30
    assert one(executedVolume=None, remainedVolume=60, canceledVolume=None).filled_qty == 40
    silent = {"executedVolume": None, "remainedVolume": None, "canceledVolume": None}
    assert one(**silent, state=2).filled_qty == 0
    assert one(**silent, state=3).filled_qty == 100


@pytest.mark.parametrize(
    "changed",
    [
        {"serialNumber": None},
        {"serialNumber": 0},
        {"serialNumber": "x"},
        {"serialNumber": -1},
        {"isin": None},
        {"isin": ""},
        {"orderSide": 3},
        {"orderSide": None},
        {"price": 0},
        {"price": -1},
        {"price": None},
        {"volume": None},
        {"volume": -1},
        {"volume": 99.5},
        {"volume": True},
        {"executedVolume": 99.5},
        {"executedVolume": None, "remainedVolume": 0.5},
        {"executedVolume": None, "remainedVolume": 10, "canceledVolume": -10},
        {"executedVolume": 101},
        {"executedVolume": -1},
        {"executedVolume": "x"},
        {"executedVolume": None, "remainedVolume": 200},
        {"Price": 5870},
    ],
)
def test_a_row_is_never_guessed(changed: dict[str, object]) -> None:
    with pytest.raises(Unreadable):
        one(**changed)


@pytest.mark.parametrize("state", [5, 10, "5"])
@pytest.mark.parametrize("changed", [{"price": None}, {"price": 0}, {"volume": None}])
def test_what_was_refused_needs_no_terms(state: object, changed: dict[str, object]) -> None:
    found = one(state=state, executedVolume=0, remainedVolume=0, **changed)
    assert (found.refused, found.working, found.filled_qty) == (True, False, 0)
    with pytest.raises(Unreadable):
        one(state=2, executedVolume=0, **{"remainedVolume": 0, **changed})


def test_a_row_that_cannot_be_read_hides_no_other() -> None:
    bad = row(5, price=None, state=1)
    with pytest.raises(PartlyUnreadable, match=r"price is missing \(1 of 3 rows\)") as caught:
        lists.read_open_orders(answer([row(9), bad, row(8)]), HOST)
    assert ids(caught.value.rows) == [9, 8]
    first, second = (
        {"rows": [row(9), bad], "totalRecords": 4},
        {"rows": [row(7), row(6, orderSide=7)], "totalRecords": 4},
    )
    with pytest.raises(PartlyUnreadable, match=r"price is missing \(2 of 4 rows\)") as caught:
        lists.whole_list(pages(first, second), HOST)
    assert ids(caught.value.rows) == [9, 7]
    with pytest.raises(Unreadable, match="did not come whole") as unread:
        lists.whole_list(pages(first), HOST)
    assert not isinstance(unread.value, PartlyUnreadable)


def pages(*bodies: object) -> Callable[[int], lists.Page]:
    """Page 1 is the first body."""

    def page(number: int) -> lists.Page:
        if not 1 <= number <= len(bodies):
            return lists.Page((), pages_total(bodies[0]))
        return lists.read_page(answer(bodies[number - 1]), HOST)

    return page


def pages_total(body: object) -> int:
    assert isinstance(body, dict)
    return int(body["totalRecords"])


def body(total: int, *serials: int) -> dict[str, object]:
    return {"rows": [row(serial) for serial in serials], "totalRecords": total}


def ids(rows: tuple[VenueOrder, ...]) -> list[int]:
    return [int(found.venue_order_id) for found in rows]


def test_all_pages_are_read() -> None:
    assert ids(lists.whole_list(pages(body(0)), HOST)) == []
    assert ids(lists.whole_list(pages(body(2, 9, 8)), HOST)) == [9, 8]
    assert ids(lists.whole_list(pages(body(5, 9, 8), body(5, 7, 6), body(5, 5)), HOST)) == [9, 8, 7, 6, 5]


def test_pages_that_are_counted_from_zero_are_read_too() -> None:
    content = [body(5, 9, 8), body(5, 7, 6), body(5, 5)]

    def page(number: int) -> lists.Page:
        return lists.read_page(answer(content[number] if number < 3 else body(5)), HOST)

    assert sorted(ids(lists.whole_list(page, HOST))) == [5, 6, 7, 8, 9]


@pytest.mark.parametrize(
    "bodies",
    [
        [body(3, 9, 8)],
        [body(3)],
        [body(4, 9, 8), body(4, 9, 8)],
        [body(4, 9, 8), body(4, 8, 7)],
        [body(1, 9, 8)],
        [body(4, 9, 8), body(3, 7)],
        [body(3, 9, 8), body(4, 7)],
        [body(3, 9, 8), body(3, 7, 6)],
        [body(10**20, 9, 8)],
    ],
)
def test_a_list_that_is_not_whole_is_an_error_and_never_a_part(bodies: list[object]) -> None:
    with pytest.raises(Unreadable, match="did not come whole"):
        lists.whole_list(pages(*bodies), HOST)


def test_a_page_that_fails_fails_the_list() -> None:
    def page(number: int) -> lists.Page:
        if number == 1:
            return lists.read_page(answer(body(3, 9, 8)), HOST)
        return lists.read_page(answer(b"", 500), HOST)

    with pytest.raises(NoAnswer):
        lists.whole_list(page, HOST)


def test_a_list_that_grows_while_it_is_read_is_read_anew() -> None:
    grown = iter([body(3, 3, 2), body(4, 2, 1), body(4, 4, 3), body(4, 2, 1)])
    assert ids(lists.whole_list(lambda _: lists.read_page(answer(next(grown)), HOST), HOST)) == [4, 3, 2, 1]


@pytest.mark.parametrize(
    "said",
    [
        {"rows": []},
        {"totalRecords": 0},
        {"rows": None, "totalRecords": 0},
        {"rows": {}, "totalRecords": 0},
        {"rows": [], "totalRecords": -1},
        {"rows": [], "totalRecords": 0.5},
        {"rows": [], "totalRecords": "many"},
        [],
        {},
    ],
)
def test_a_page_without_rows_or_total_is_unreadable(said: object) -> None:
    with pytest.raises(Unreadable):
        lists.read_page(answer(said), HOST)


def test_a_page_may_be_wrapped() -> None:
    assert lists.read_page(answer({"isSuccess": True, "result": body(1, 9)}), HOST).total == 1


@given(st.integers(0, 40), st.integers(1, 7), st.booleans())
def test_however_many_rows_and_pages_there_are_all_are_read_once(total: int, size: int, from_zero: bool) -> None:
    everything = list(range(1, total + 1))

    def page(number: int) -> lists.Page:
        start = (number if from_zero else number - 1) * size
        part = everything[start : start + size] if start >= 0 else []
        return lists.read_page(answer(body(total, *part)), HOST)

    assert sorted(ids(lists.whole_list(page, HOST))) == everything


def trade(**changed: object) -> dict[str, object]:
    return {"tradeType": 1, "isin": ISIN, "volume": 10, "netAmount": 58817, "avgPrice": 5860, **changed}


def test_trades_are_read() -> None:
    (fill,) = lists.read_fills(answer([trade(tradeNumber=77, serialNumber=4711)]), HOST)
    assert (fill.instrument, fill.side, fill.venue_order_id) == (ISIN, Side.BUY, "4711")
    assert (fill.fill.trade_id, fill.fill.last_qty, fill.fill.last_px) == ("77", 10, 5860)
    assert lists.read_fills(answer({"result": [trade(tradeType=2)]}), HOST)[0].side is Side.SELL


def test_a_trades_name_is_said_to_be_ours_where_it_is() -> None:
    """A row without one may be a sum that grows."""
    named, ours = lists.read_fills(answer([trade(tradeNumber=77), trade()]), HOST)
    assert (named.named, ours.named) == (True, False)


@pytest.mark.parametrize(
    ("changed", "fee"),
    [
        ({"netAmount": 58_817}, 217),
        ({"netAmount": 58_600}, 0),
        ({"netAmount": 58_084, "tradeType": 2}, 516),
        ({"netAmount": None}, None),
        ({"netAmount": 58_599}, None),
        ({"netAmount": 58_817, "tradeType": 2}, None),
        ({"netAmount": 59_772}, 1_172),
        ({"netAmount": 59_773}, None),
    ],
)
def test_a_fee_is_what_the_net_amount_leaves_where_it_can_be_one(changed: dict[str, object], fee: int | None) -> None:
    (found,) = lists.read_fills(answer([trade(**changed)]), HOST)
    assert found.fill.fee == fee


@pytest.mark.parametrize(
    ("volume", "average", "worth"),
    [
        (3_800, 4740.263157894737, 18_013_000),
        (3, 4849.333333333333, 14_548),
        (3, 4849.33, "14547.99"),
        (10, 5860, 58_600),
    ],
)
def test_an_average_comes_to_whole_rials_where_only_a_binary_fraction_is_in_the_way(
    volume: int, average: float, worth: int | str
) -> None:
    (found,) = lists.read_fills(answer([trade(volume=volume, avgPrice=average)]), HOST)
    assert round(found.fill.last_qty * found.fill.last_px, 12) == Decimal(worth)


def test_trades_without_a_name_get_one_that_stays() -> None:
    """The same list read again gives the same names; trades that are alike stay as many as they are."""
    said = [trade(), trade(), trade(volume=11), trade(tradeType=2)]
    first = [fill.fill.trade_id for fill in lists.read_fills(answer(said), HOST)]
    again = [fill.fill.trade_id for fill in lists.read_fills(answer([*said, trade(volume=12)]), HOST)]
    assert len(set(first)) == 4
    assert again[:4] == first


@pytest.mark.parametrize(
    "changed",
    [
        {"volume": 0},
        {"volume": 0.5},
        {"volume": None},
        {"avgPrice": 0},
        {"tradeType": 0},
        {"isin": None},
        {"serialNumber": "x"},
    ],
)
def test_a_trade_is_never_guessed(changed: dict[str, object]) -> None:
    with pytest.raises(Unreadable):
        lists.read_fills(answer([trade(**changed)]), HOST)


def test_a_list_longer_than_any_is_not_even_begun() -> None:
    asked: list[int] = []

    def page(number: int) -> lists.Page:
        asked.append(number)
        return lists.read_page(answer(body(50_001, number)), HOST)

    with pytest.raises(Unreadable, match="50001 rows were announced"):
        lists.whole_list(page, HOST)
    assert set(asked) == {1}


READERS: list[Callable[[Answer], object]] = [
    lambda said: answers.read_buying_power(said, HOST),
    lambda said: answers.read_instrument(said, ISIN, HOST),
    lambda said: answers.read_estimate(said, HOST),
    lambda said: answers.read_holdings(said, HOST),
    lambda said: answers.read_captcha(said, HOST),
    lambda said: answers.read_login(said, HOST),
    lambda said: answers.read_cancel(said, HOST),
    lambda said: lists.read_page(said, HOST),
    lambda said: lists.read_open_orders(said, HOST),
    lambda said: lists.read_fills(said, HOST),
]
NAMES = """
    isin i t s maxap minap maxeq mineq ls lcp cup rows totalRecords result data volume price state serialNumber
    orderSide executedVolume remainedVolume buyingPower token errorCode isSuccess isError message created
"""
WORDS = st.sampled_from(NAMES.split())
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
ATOMS = st.none() | st.booleans() | NUMBERS | st.text(max_size=6)
ANYTHING = st.recursive(
    ATOMS | st.just(ISIN),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=5),
    max_leaves=15,
)


@given(ANYTHING, st.sampled_from([200, 200, 200, 400, 401, 429, 500, 307]))
def test_whatever_comes_the_errors_are_ours(said: object, status: int) -> None:
    for read in READERS:
        try:
            read(answer(said, status))
        except BrokerError:
            continue


def test_the_day_is_written_with_all_its_digits() -> None:
    assert calls.day_orders(date(2026, 1, 2), 1).document["fromDate"] == "2026/01/02"
    assert calls.day_orders(DAY + timedelta(days=1), 1).document["toDate"] == "2026/11/22"
