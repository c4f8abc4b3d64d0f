"""Faults: how they are ordered, and what they do over real HTTP."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import requests

from firstbell.errors import SimulatorError
from firstbell.simulator.ephoenix.damage import EFFECTS
from firstbell.simulator.faults import KINDS, Call, FaultBox, Moment, parse_fault

if TYPE_CHECKING:
    from collections.abc import Callable

CUT = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)


def test_every_fault_has_an_effect() -> None:
    assert EFFECTS.keys() == KINDS.keys()


def test_a_fault_is_read_from_its_text() -> None:
    fault = parse_fault("delay:ms=20.5,account=ali,n=2,on=order+login")
    assert (fault.kind.name, fault.account, fault.left) == ("delay", "ali", 2)
    assert fault.values == {"ms": Decimal("20.5"), "spread": Decimal(0)}
    assert fault.calls == {Call.ORDER, Call.LOGIN}
    assert parse_fault("html").calls == {Call.ORDER}
    assert parse_fault("html:on=any").calls == set(Call)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dealy", "no fault 'dealy'; there are: delay"),
        ("delay:s=1", "no parameter 's=1'; there are: ms, spread, n, account, on"),
        ("delay:ms=x", "ms must be a number"),
        ("delay:ms=-1", "cannot be -1"),
        ("html:n=1.5", "cannot be 1.5"),
        ("html:on=nothing", "on must name calls of captcha, login"),
        ("html:account=", "no parameter"),
    ],
)
def test_a_wrong_fault_is_refused_with_what_there_is(text: str, message: str) -> None:
    with pytest.raises(SimulatorError, match=message):
        parse_fault(text)


def test_a_fault_is_due_as_often_and_for_whom_it_was_ordered() -> None:
    box = FaultBox([parse_fault("html:n=2,account=ali")])

    def due(account: str | None, call: Call = Call.ORDER, moment: Moment = Moment.ACCEPTED) -> int:
        return len(box.take(moment, call, account, bell_rung=False))

    assert [due("zahra"), due(None), due("ali", Call.EDIT), due("ali", moment=Moment.AFTER)] == [0, 0, 0, 0]
    assert [due("ali"), due("ali"), due("ali")] == [1, 1, 0]


def test_a_token_ends_once_for_each_account_and_not_before_the_bell() -> None:
    box = FaultBox([parse_fault("token_ends_at_bell")])

    def due(account: str, *, bell_rung: bool) -> int:
        return len(box.take(Moment.BEFORE, Call.ORDER, account, bell_rung=bell_rung))

    assert due("ali", bell_rung=False) == 0
    assert [due(name, bell_rung=True) for name in ("ali", "ali", "zahra", "zahra")] == [1, 0, 1, 0]


def ali_with(practice: Callable[..., Any], *faults: str) -> Any:
    return practice(faults=[parse_fault(each) for each in faults]).client("ali")


def only(client: Any) -> dict[str, Any]:
    (seen,) = client.seen()["submissions"]
    assert isinstance(seen, dict)
    return seen


def test_dropped_before_it_is_looked_at_the_order_is_not_there(practice: Callable[..., Any]) -> None:
    ali = ali_with(practice, "drop_before_accept:n=1")
    with pytest.raises(CUT):
        ali.order()
    assert ali.day_orders()["totalRecords"] == 0
    seen = only(ali)
    assert (seen["decision"], seen["http_status"], seen["faults"]) == ("dropped", None, ["drop_before_accept"])
    assert ali.order().status_code == 200


def test_dropped_after_it_was_accepted_the_order_is_there(practice: Callable[..., Any]) -> None:
    ali = ali_with(practice, "drop_after_accept:n=1")
    with pytest.raises(CUT):
        ali.order()
    assert ali.day_orders()["totalRecords"] == 1
    seen = only(ali)
    assert (seen["decision"], seen["http_status"], seen["faults"]) == ("accepted", None, ["drop_after_accept"])


def test_an_answer_that_breaks_off(practice: Callable[..., Any]) -> None:
    ali = ali_with(practice, "truncate:n=1")
    with pytest.raises(CUT):
        ali.order()
    assert ali.day_orders()["totalRecords"] == 1


@pytest.mark.parametrize(
    ("fault", "status", "text"),
    [
        ("http_500_after_accept", 500, '"Code":500'),
        ("html", 200, "<html>"),
        ("redirect", 307, ""),
        ("no_serial", 200, '"isSuccess":true'),
    ],
)
def test_an_answer_that_hides_the_acceptance(practice: Callable[..., Any], fault: str, status: int, text: str) -> None:
    ali = ali_with(practice, f"{fault}:n=1")
    response = ali.order()
    assert response.status_code == status
    assert text in response.text
    assert "serialNumber" not in response.text
    assert ali.day_orders()["totalRecords"] == 1
    assert (only(ali)["decision"], only(ali)["http_status"]) == ("accepted", status)
    assert "serialNumber" in ali.order().text


def test_a_redirect_leads_back_to_the_same_place_so_that_following_it_orders_twice(
    practice: Callable[..., Any],
) -> None:
    ali = ali_with(practice, "redirect:n=1")
    body = {"isin": "IRO1MHRN0001", "side": 1, "price": 5690, "volume": 1000}
    assert ali.call("POST", "/api/v2/orders/NewOrder", body, allow_redirects=True).status_code == 200
    assert ali.day_orders()["totalRecords"] == 2


def test_a_refused_order_does_not_use_a_fault_up(practice: Callable[..., Any]) -> None:
    ali = ali_with(practice, "html:n=1")
    assert ali.order(volume=0).json()["Code"] == 1001
    assert "<html>" in ali.order().text


def test_an_order_may_be_hidden_from_the_lists_but_not_from_the_exchange(practice: Callable[..., Any]) -> None:
    ali = ali_with(practice, "hidden:seconds=3600,n=1")
    hidden = ali.order().json()["serialNumber"]
    shown = ali.order().json()["serialNumber"]
    assert [row["serialNumber"] for row in ali.open_orders()] == [shown]
    assert ali.day_orders()["totalRecords"] == 1
    assert [each["serial"] for each in ali.seen()["orders"]] == [hidden, shown]


def test_a_hidden_order_appears_in_time(practice: Callable[..., Any]) -> None:
    ali = ali_with(practice, "hidden:seconds=0")
    ali.order()
    assert ali.day_orders()["totalRecords"] == 1


def test_lists_fail_as_often_as_they_were_told_to(practice: Callable[..., Any]) -> None:
    ali = ali_with(practice, "list_fails:n=2")
    statuses = [ali.call("GET", "/api/v2/orders/GetOpenOrders?type=1").status_code for _ in range(3)]
    assert statuses == [500, 500, 200]
    assert ali.order().status_code == 200


def test_a_token_ends_at_the_bell_once(practice: Callable[..., Any]) -> None:
    ali = ali_with(practice, "token_ends_at_bell")
    assert ali.order().status_code == 401
    assert ali.order().status_code == 401
    ali.log_in()
    assert ali.order().status_code == 200
    decisions = [each["decision"] for each in ali.seen()["submissions"]]
    assert decisions == ["unauthorized", "unauthorized", "accepted"]


def test_faults_strike_the_named_account_alone(practice: Callable[..., Any]) -> None:
    begun = practice(faults=[parse_fault("drop_after_accept:account=zahra")])
    ali, zahra = begun.client("ali"), begun.client("zahra")
    assert ali.order().status_code == 200
    with pytest.raises(CUT):
        zahra.order()


def test_delays_hold_up_but_change_nothing(practice: Callable[..., Any]) -> None:
    ali = ali_with(practice, "delay:ms=2,spread=1", "slow_path:ms=2", "slow_list:ms=2")
    assert ali.order().status_code == 200
    assert len(ali.open_orders()) == 1
    assert only(ali)["faults"] == ["slow_path", "delay"]


def test_other_calls_can_be_struck_too(practice: Callable[..., Any]) -> None:
    ali = ali_with(practice, "html:on=money+trades")
    assert "<html>" in ali.call("GET", "/api/v2/tradingbook/GetLastTradingBook").text
    assert "<html>" in ali.call("GET", "/api/v2/Trades/GetDayTrades").text
    assert ali.order().json()["isSuccess"]
