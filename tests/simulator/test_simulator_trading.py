"""The trading, back-office and market-data calls over real HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from firstbell.market import Phase
from firstbell.simulator.exchange_clock import instant
from firstbell.simulator.rules import Rules

if TYPE_CHECKING:
    from collections.abc import Callable

NEW, EDIT = "/api/v2/orders/NewOrder", "/api/v2/orders/EditOrder"
CALCULATOR = "/api/v2/orders/CalculateOrderParam"
MHRN = "IRO1MHRN0001"


def canceled(client: Any, serial: Any) -> Any:
    return client.call("DELETE", f"/api/v2/orders/CancelOrder?serialNumber={serial}")


def body(price: Any = 5690, volume: Any = 1000, side: Any = 1, **changed: Any) -> dict[str, Any]:
    return {"isin": MHRN, "side": side, "price": price, "volume": volume, "serialNumber": 0, **changed}


@pytest.fixture
def ali(practice: Callable[..., Any]) -> Any:
    return practice().client("ali")


def test_instruments_have_their_bands_and_best_limits(ali: Any) -> None:
    ali.order(5600, 1000)
    ali.order(5600, 900)
    ali.order(5590, 1000)
    ali.order(5700, 700, side=2)
    asked = {"isinList": [MHRN, "IRO1NONE0001", "IRO1BORS0001"]}
    mhrn, bors = ali.call("POST", "/api/v2/instruments/full", asked).json()
    assert mhrn["i"] == {
        "isin": MHRN,
        "s": "مهرگان",
        "t": "گروه مالی مهرگان تامین پارس",
        "maxeq": 200_000,
        "mineq": 1,
        "ls": 1,
        "ncst": "A",
        "lcp": 5690.0,
    }
    assert mhrn["t"] == {"maxap": 5860.0, "minap": 5520.0, "cup": 5690.0}
    assert mhrn["bl"] == [
        {"bv": 1900, "boc": 2, "bp": 5600.0, "sv": 700, "soc": 1, "sp": 5700.0},
        {"bv": 1000, "boc": 1, "bp": 5590.0, "sv": 0, "soc": 0, "sp": 0.0},
    ]
    assert (bors["i"]["maxeq"], bors["t"]["maxap"], bors["i"]["s"]) == (400_000, 3601.0, "")
    for wrong in ({}, {"isinList": MHRN}, {"isinList": [[]]}, []):
        assert ali.call("POST", "/api/v2/instruments/full", wrong).status_code == 400


def test_buying_power_is_what_is_left_and_may_be_negative(practice: Callable[..., Any]) -> None:
    begun = practice()
    ali = begun.client("ali")
    assert ali.buying_power() == 1_000_003_827
    assert ali.order(5860, 170_018).status_code == 200
    book = ali.call("GET", "/api/v2/tradingbook/GetLastTradingBook").json()
    assert book == {"buyingPower": 61, "credit": 0, "remain": 1_000_003_827, "blockRemain": 1_000_003_765}
    assert begun.client("debtor").buying_power() == -7_000_000


@pytest.mark.parametrize(
    ("side", "money", "price", "volume"),
    [(1, 1_000_003_827, 5860, 170_018), (1, -7_000_000, 5860, -1190), (2, 5_640_000, 5690, 1000), (1, 100, 5860, 0)],
)
def test_the_calculator_says_what_money_buys(ali: Any, side: int, money: int, price: int, volume: int) -> None:
    asked = {"isin": MHRN, "side": side, "totalNetAmount": money, "price": price}
    answer = ali.call("POST", CALCULATOR, asked).json()
    assert answer["volume"] == volume
    rate = Decimal("0.003712") if side == 1 else Decimal("0.0088")
    assert answer["totalFee"] == int(volume * price * rate)


def test_a_calculation_that_makes_no_sense_is_refused(ali: Any) -> None:
    asked = {"isin": MHRN, "side": 1, "totalNetAmount": 1000, "price": 5690}
    for changed in ({"price": 0}, {"side": 3}, {"isin": "IRO1NONE0001"}, {"totalNetAmount": None}):
        response = ali.call("POST", CALCULATOR, asked | changed)
        assert (response.status_code, response.json()["Code"]) == (400, 1900)


def test_an_accepted_order_is_in_both_lists_and_on_record(ali: Any) -> None:
    answer = ali.order(5860, 170_018).json()
    assert answer["isSuccess"] is True
    (row,) = ali.open_orders()
    assert ali.day_orders() == {"rows": [row], "totalRecords": 1}
    assert row["serialNumber"] == answer["serialNumber"]
    wanted = {"isin": MHRN, "orderSide": 1, "volume": 170_018, "remainedVolume": 170_018, "price": 5860, "state": 2}
    assert {key: row[key] for key in wanted} == wanted
    (seen,) = ali.seen()["submissions"]
    assert (seen["account"], seen["broker_code"], seen["decision"]) == ("ali", "gs", "accepted")
    assert (seen["serial"], seen["http_status"], seen["price"], seen["quantity"]) == (
        row["serialNumber"],
        200,
        5860,
        170_018,
    )
    assert seen["lateness_us"] == (seen["arrival_ns"] - ali.seen()["bell_ns"]) // 1000
    assert ali.seen()["orders"][0]["status"] == "ACCEPTED"


def test_times_are_tehrans_wall_clock_labelled_utc(ali: Any) -> None:
    ali.order()
    (row,) = ali.open_orders()
    labelled = datetime.fromisoformat(row["created"])
    assert labelled.tzinfo == UTC
    arrived = instant(ali.seen()["submissions"][0]["arrival_ns"])
    assert labelled - arrived == timedelta(hours=3, minutes=30)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"volume": 0}, 1001),
        ({"volume": 200_001}, 1001),
        ({"volume": 10.5}, 1001),
        ({"volume": 1}, 1006),
        ({"price": 5860, "volume": 180_000}, 1011),
        ({"price": 5870}, 1904),
        ({"price": 5695}, 1905),
        ({"isin": "IRO1NONE0001"}, 1902),
        ({"side": 2, "volume": 5_001}, 1907),
        ({"side": 0}, 1900),
        ({"side": "1"}, 1900),
        ({"price": None}, 1900),
        ({"price": "5690"}, 1900),
        ({"price": True}, 1900),
        ({"side": []}, 1900),
    ],
)
def test_every_refusal_has_its_code(ali: Any, changed: dict[str, Any], code: int) -> None:
    response = ali.call("POST", NEW, body() | changed)
    assert (response.status_code, response.json()["Code"]) == (400, code)
    assert response.json()["Message"]
    assert ali.day_orders()["totalRecords"] == 0
    (seen,) = ali.seen()["submissions"]
    assert seen["code"] == (None if code == 1900 else code)
    assert seen["decision"] == ("malformed" if code == 1900 else "refused")
    assert seen["http_status"] == 400


@pytest.mark.parametrize("data", [b"", b"null", b"[]", b"{", b'{"isin": NaN}', b"\xff", b"{}"])
def test_bodies_that_are_no_orders_are_refused(ali: Any, data: bytes) -> None:
    response = ali.session.post(ali.address + NEW, data=data, timeout=20)
    assert (response.status_code, response.json()["Code"]) == (400, 1900)


def test_a_body_too_large_is_put_on_record_as_malformed(ali: Any) -> None:
    response = ali.session.post(ali.address + NEW, data=b" " * 100_000, timeout=20)
    assert response.status_code == 413
    (seen,) = ali.seen()["submissions"]
    assert (seen["decision"], seen["http_status"]) == ("malformed", 413)


def test_a_closed_market_says_1017_and_a_hurried_account_1018(practice: Callable[..., Any]) -> None:
    ali = practice(Phase.CLOSED).client("ali")
    response = ali.order()
    assert (response.status_code, response.json()) == (
        400,
        {"Message": "بازار در وضعیت سفارش گیری نمی باشد.", "Code": 1017},
    )
    assert ali.seen()["submissions"][0]["lateness_us"] < 0
    hurried = practice(rules=Rules(min_interval_ns=3600 * 10**9)).client("ali")
    assert hurried.order().status_code == 200
    assert hurried.order().json()["Code"] == 1018


def test_an_order_is_edited_and_canceled(ali: Any) -> None:
    serial = ali.order(5690, 1000).json()["serialNumber"]
    edited = ali.call("POST", EDIT, body(5700, 2000, serialNumber=serial)).json()
    assert (edited["serialNumber"], edited["state"]) == (serial, 7)
    (row,) = ali.open_orders()
    assert (row["price"], row["volume"], row["state"]) == (5700, 2000, 7)
    assert canceled(ali, serial).json()["state"] == 4
    assert ali.open_orders() == []
    (row,) = ali.day_orders()["rows"]
    assert (row["canceledVolume"], row["remainedVolume"], row["state"]) == (2000, 0, 4)
    assert ali.buying_power() == 1_000_003_827
    assert [(each["kind"], each["serial"]) for each in ali.seen()["submissions"]] == [
        ("order", serial),
        ("edit", serial),
        ("cancel", serial),
    ]


def test_changes_of_what_is_not_there_are_refused(ali: Any) -> None:
    assert canceled(ali, 1).json()["Code"] == 1903
    assert canceled(ali, "x").json()["Code"] == 1900
    assert ali.call("DELETE", "/api/v2/orders/CancelOrder").json()["Code"] == 1900
    assert ali.call("POST", EDIT, body(serialNumber=1)).json()["Code"] == 1903
    without = body()
    del without["serialNumber"]
    assert ali.call("POST", EDIT, without).json()["Code"] == 1900


def test_before_the_auction_nothing_is_canceled(practice: Callable[..., Any]) -> None:
    ali = practice(Phase.NO_CANCEL).client("ali")
    serial = ali.order().json()["serialNumber"]
    assert canceled(ali, serial).json()["Code"] == 1901


def test_a_trade_shows_on_both_sides(practice: Callable[..., Any]) -> None:
    begun = practice(Phase.CONTINUOUS)
    ali, zahra = begun.client("ali"), begun.client("zahra")
    bought = ali.order(5700, 1000).json()["serialNumber"]
    sold = zahra.order(5690, 400, side=2).json()["serialNumber"]
    assert [row["state"] for row in ali.open_orders()] == [6]
    assert zahra.open_orders() == []
    (row,) = zahra.day_orders()["rows"]
    assert (row["state"], row["executedVolume"], row["remainedVolume"]) == (3, 400, 0)
    (mine,) = ali.call("GET", "/api/v2/Trades/GetDayTrades").json()
    (theirs,) = zahra.call("GET", "/api/v2/Trades/GetDayTrades").json()
    assert (mine["tradeType"], mine["volume"], mine["avgPrice"], mine["serialNumber"]) == (1, 400, 5700, bought)
    assert mine["netAmount"] == int(400 * 5700 * Decimal("1.003712"))
    assert (theirs["tradeType"], theirs["volume"], theirs["avgPrice"], theirs["serialNumber"]) == (2, 400, 5700, sold)
    assert theirs["netAmount"] == int(400 * 5700 * Decimal("0.9912"))
    holdings = [
        client.call("POST", "/api/portfolio/getrealsecuritypositionbydate", {"entity": True}).json()
        for client in (ali, zahra)
    ]
    assert [each["result"] for each in holdings] == [
        [{"isin": MHRN, "remainVolume": 5400}],
        [{"isin": MHRN, "remainVolume": 4600}],
    ]
    assert [(t["buy"], t["sell"], t["price"], t["quantity"]) for t in ali.seen()["trades"]] == [
        (bought, sold, 5700, 400)
    ]


def test_the_days_list_is_paged_and_filtered(ali: Any) -> None:
    serials = [ali.order(5600 + 10 * number, 1000).json()["serialNumber"] for number in range(5)]
    sold = ali.order(5700, 100, side=2).json()["serialNumber"]
    newest_first = [sold, *reversed(serials)]
    pages = [ali.day_orders(page=page, pageSize=4) for page in (1, 2, 3)]
    assert [len(each["rows"]) for each in pages] == [4, 2, 0]
    assert [row["serialNumber"] for each in pages for row in each["rows"]] == newest_first
    assert {each["totalRecords"] for each in pages} == {6}
    assert [row["serialNumber"] for row in ali.day_orders(side=2)["rows"]] == [sold]
    assert ali.day_orders(isin="IRO1BORS0001")["totalRecords"] == 0
    canceled(ali, serials[0])
    assert [row["serialNumber"] for row in ali.day_orders(includeStatus=[4])["rows"]] == [serials[0]]
    assert ali.day_orders(toDate="2001/01/01")["totalRecords"] == 0
    assert ali.day_orders(fromDate="2998/01/01")["totalRecords"] == 0
    for changed in ({"page": 0}, {"pageSize": 0}, {"fromDate": "1404/13/01"}, {"toDate": None}, {"side": 9}):
        assert ali.day_orders(**changed)["Code"] == 1900


def test_one_account_never_sees_anothers_orders(practice: Callable[..., Any]) -> None:
    begun = practice()
    ali, zahra = begun.client("ali"), begun.client("zahra")
    serial = ali.order().json()["serialNumber"]
    assert zahra.open_orders() == []
    assert zahra.day_orders()["totalRecords"] == 0
    assert canceled(zahra, serial).json()["Code"] == 1903


def test_a_connection_is_kept(ali: Any) -> None:
    for _ in range(3):
        assert ali.order().headers.get("Connection", "keep-alive") == "keep-alive"
