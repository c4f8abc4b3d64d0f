"""Arming one login: what it counts, what it claims, what it says where it claims nothing."""

from __future__ import annotations

import json
import stat
from datetime import timedelta

import pytest
from sniper_house import BELL_IN_S, CONFIG, PLAIN, SECOND, Aims, D, S

from firstbell.brokers.base import Holding, PreparedOrder
from firstbell.errors import JournalError, NoAnswer, RunError
from firstbell.journal.base import HELD_NS, Intent, Owner
from firstbell.journal.owner import this_process
from firstbell.model.identifiers import client_order_id, request_order_id
from firstbell.model.instant import instant
from firstbell.model.order import Order
from firstbell.model.order_status import OrderStatus, ReportKind
from firstbell.model.report import ExecutionReport
from firstbell.model.terms import OrderOutcome, Side, TimeInForce
from firstbell.oms.logins import login_key, logins_of
from firstbell.sniper.arming import Arming

KEY = login_key("shahr", "u")
FEW = CONFIG.format(a="quantity = 10", risk="")
SELL = CONFIG.format(a="side = sell", risk="")


def day(house):
    return instant(house.clock.wall_ns() + BELL_IN_S * S).date()


def earlier(
    house,
    name,
    *kinds,
    value=58_600,
    side=Side.BUY,
    login="elsewhere",
    isin="IRO7OTHER001",
    owner=None,
    days=0,
    tif=TimeInForce.DAY,
    **facts,
):
    """An order of another run of the day, and what became of it."""
    at_work_on = day(house) - timedelta(days=days)
    order = Order(name, "Order_X", "gs", isin, side, D(value), D(1), at_work_on, time_in_force=tif)
    owner = owner or this_process()
    house.journal.claim(Intent(order, login, name, facts.pop("bell_ns", 2**62), frozenset()), "other", owner)
    at = instant(house.clock.wall_ns()) - timedelta(days=days)
    for kind in kinds:
        more = facts if kind is kinds[-1] else {}
        house.journal.append([ExecutionReport(name, "other", kind, at, **more)])


ACCEPTED = (ReportKind.SUBMITTED, ReportKind.ACCEPTED)


def test_a_dry_run_says_what_it_would_do_and_claims_nothing(house):
    house.dry = True
    (row,) = house.run()
    assert (row["outcome"], row["price"], row["quantity"]) == ("not_sent", 5860, 170_018)
    assert row["reason"] == "dry run: would buy 170,018 at 5,860"
    assert house.journal.entries() == ()
    assert house.broker.times("send") == []
    ((account, text),) = house.notes("dry")
    assert (account, json.loads(text)["quantity"]) == ("Order_A", 170_018)


def test_a_dry_run_tells_of_every_slice(house):
    house.dry = True
    house.broker.largest = D(60_000)
    rows = house.run(CONFIG.format(a="orders = all", risk=""))
    assert [row["quantity"] for row in rows] == [60_000, 60_000, 50_018]


def test_what_a_plan_remarks_is_a_warning_and_what_it_denies_a_reason(house):
    house.broker.largest = D(100)
    (row,) = house.run()
    assert row["outcome"] == "accepted"
    assert house.notes("warning") == [
        ("Order_A", "170,018 wanted, the largest order is 100: `orders = all` sends the rest too")
    ]
    assert house.notes("not_sent") == []
    house.broker.money = D(-1)
    (row,) = house.run(SECOND, name="again")
    assert row["reason"] == "buying power is -1 rials: nothing to spend"


def test_an_order_that_cannot_be_written_is_said_and_stops_no_other(house):
    prepare = house.broker.prepare

    def broken(order):
        if order.account == "Order_A":
            raise ValueError("no such instrument")
        return prepare(order)

    house.broker.prepare = broken
    first, second = house.run(FEW + SECOND)
    assert first["reason"] == "the order cannot be written for this broker: no such instrument"
    assert second["outcome"] == "accepted"
    assert len(house.journal.entries()) == 1


@pytest.mark.parametrize(("limit", "made"), [("max_total_value = 2000000000", True), ("", False)])
def test_logins_take_turns_where_a_limit_counts_over_all_of_them(house, limit, made):
    state = house.folder / "state"
    (row,) = house.run(f"[firstbell]\nstate_dir = {state}\n" + CONFIG.format(a="", risk=limit))
    assert row["outcome"] == "accepted"
    locks = state / "locks"
    assert locks.exists() is made
    if made:
        assert stat.S_IMODE(locks.stat().st_mode) == 0o700
        assert [path.name for path in locks.iterdir()] == ["limits.lock"]


TOTAL = CONFIG.format(a="quantity = 10", risk="max_total_value = 100000")


@pytest.mark.parametrize(
    ("kinds", "facts", "fits"),
    [
        # 58,600 of ours fit beside 41,400 of others, and not beside 41,401.
        ((), {"value": 41_400}, True),
        ((), {"value": 41_401}, False),
        (ACCEPTED, {"value": 41_401}, False),
        # What ended without trading has spent nothing; what traded before its end has.
        ((*ACCEPTED, ReportKind.CANCELED), {"value": 41_401}, True),
        ((*ACCEPTED, ReportKind.CANCELED), {"value": 41_401, "cum_qty": D(1)}, False),
        ((*ACCEPTED, ReportKind.FILLED), {"value": 41_401, "cum_qty": D(1)}, False),
        ((ReportKind.SUBMITTED, ReportKind.REJECTED), {"value": 41_401}, True),
        # Sells spend nothing, and yesterday was another day.
        (ACCEPTED, {"value": 41_401, "side": Side.SELL}, True),
        (ACCEPTED, {"value": 41_401, "days": 1}, True),
        # But what works for longer than a day, and what was held back yesterday and has left today, may trade today.
        (ACCEPTED, {"value": 41_401, "days": 1, "tif": TimeInForce.GTC}, False),
        (ACCEPTED, {"value": 41_400, "days": 1, "tif": TimeInForce.GTC}, True),
        ((*ACCEPTED, ReportKind.CANCELED), {"value": 41_401, "days": 1, "tif": TimeInForce.GTC}, True),
        ((), {"value": 41_401, "days": 1, "bell_ns": HELD_NS}, False),
        ((), {"value": 41_401, "days": 1, "bell_ns": HELD_NS, "side": Side.SELL}, True),
    ],
)
def test_what_counts_against_the_days_total(house, kinds, facts, fits):
    earlier(house, "x", *kinds, **facts)
    (row,) = house.run(TOTAL)
    assert (row["outcome"] == "accepted") is fits
    if not fits:
        assert row["reason"] == "max_total_value: 100,001, allowed at most 100,000"


@pytest.mark.parametrize(("isin", "fits"), [("IRO1MHRN0001", True), ("IRO7OTHER001", False)])
def test_what_a_dead_process_left_of_this_very_plan_is_not_counted_twice(house, isin, fits):
    dead = Owner(this_process().host, 2**22 + 1, 0.0)
    earlier(house, "x", login=KEY, owner=dead, isin=isin, value=41_401)
    (row,) = house.run(TOTAL)
    assert (row["outcome"] == "accepted") is fits


def test_the_logins_own_orders_of_the_day_are_counted(house):
    limits = "max_orders_per_account = 2"
    earlier(house, "x", *ACCEPTED, login=KEY)
    earlier(house, "y", *ACCEPTED, login="another")
    (row,) = house.run(CONFIG.format(a="quantity = 10", risk=limits))
    assert row["outcome"] == "accepted"
    house.broker.positions = lambda: (Holding("IRO1MHRN0001", D(50)),)
    (row,) = house.run(CONFIG.format(a="side = sell", risk=limits), name="again")
    assert row["reason"] == "max_orders_per_account: 3, allowed at most 2"


def test_an_unresolved_order_of_the_login_stands_before_every_other_of_it(house):
    earlier(house, "x", ReportKind.SUBMITTED, ReportKind.UNRESOLVED, login=KEY)
    house.broker.list_fails = True
    (row,) = house.run(FEW)
    assert row["reason"] == "this login's order x is unresolved; nothing new until it is known"
    assert house.broker.times("send") == house.broker.times("money") == []
    # It was asked for while there was time, each two seconds, and no longer.
    asked = house.broker.times("orders")
    assert asked[0] == 0
    assert asked[1] == 2
    assert house.bell_s - 12 <= asked[-1] <= house.bell_s - 8


def test_orders_of_several_days_are_asked_for_each_in_the_list_of_its_day(house):
    for name, days in (("old", 3), ("older", 5)):
        earlier(house, name, ReportKind.SUBMITTED, ReportKind.UNRESOLVED, login=KEY, days=days)
    asked = []
    orders = house.broker.orders
    house.broker.orders = lambda day: asked.append(day) or orders(day)
    (row,) = house.run(FEW)
    today = day(house)
    # In today's as well: what is sent in the evening is for the next day.
    assert [each for each in asked if each != today][:2] == [today - timedelta(days=5), today - timedelta(days=3)]
    # Their days are over, so the login is free; lists that show nothing of those days do not say what became of them.
    assert row["outcome"] == "accepted"
    state = house.journal.entry("old").state
    assert (state.status, state.outcome) == (OrderStatus.EXPIRED, OrderOutcome.UNRESOLVED)


def test_a_log_in_that_fails_while_asking_is_no_reason_to_go_on(house):
    earlier(house, "x", ReportKind.SUBMITTED, ReportKind.UNRESOLVED, login=KEY)
    house.broker.login_error = NoAnswer("the log-in is down")
    (row,) = house.run(FEW)
    assert row["reason"] == "this login's order x is unresolved; nothing new until it is known"
    assert house.broker.times("orders") == []


def test_asking_ends_when_it_is_stopped(house):
    earlier(house, "x", ReportKind.SUBMITTED, ReportKind.UNRESOLVED, login=KEY)
    house.broker.list_fails = True
    context = house.context(FEW)
    house.interrupt.stop_at_ns = 5 * S
    house.carry_out(context)
    assert house.broker.times("orders") == [0, 2, 4]


def test_an_open_order_of_the_account_itself_is_what_its_line_stands_for(house):
    name = client_order_id(day(house), "shahr", "u", "IRO1MHRN0001", Side.BUY, 0)
    earlier(house, name, ReportKind.SUBMITTED, ReportKind.UNRESOLVED, login=KEY, isin="IRO1MHRN0001")
    house.broker.list_fails = True
    (row,) = house.run(FEW)
    assert (row["outcome"], row["client_order_id"]) == ("unresolved", name)
    assert house.notes("stands_for") == [("Order_A", None)]


@pytest.mark.parametrize("fate", ["works", "canceled"])
def test_one_that_was_asked_for_by_hand_is_not_the_one_that_is_configured(house, fate):
    name = request_order_id(day(house), "shahr", "u", "by hand")
    kinds = (*ACCEPTED, *([ReportKind.CANCELED] if fate == "canceled" else []))
    earlier(house, name, *kinds, login=KEY, isin="IRO1MHRN0001", venue_order_id="5")
    (row,) = house.run(FEW)
    assert (row["outcome"], row["quantity"]) == ("accepted", 10)
    assert row["client_order_id"] != name
    assert house.notes("stands_for") == []


def test_another_side_of_the_instrument_is_another_plan(house):
    earlier(house, "x", *ACCEPTED, login=KEY, isin="IRO1MHRN0001", side=Side.SELL, venue_order_id="5")
    (row,) = house.run(FEW)
    assert row["outcome"] == "accepted"
    assert row["client_order_id"] != "x"


def test_a_login_that_cannot_be_armed_as_a_whole_lets_go_of_what_it_claimed(house):
    house.broker.largest = D(60_000)
    claim, claimed = house.journal.claim, []

    def failing(intent, run_id, owner):
        if claimed:
            raise JournalError("the disk is full")
        claimed.append(intent.order.client_order_id)
        return claim(intent, run_id, owner)

    house.journal.claim = failing
    context = house.context(CONFIG.format(a="orders = all", risk=""))
    house.carry_out(context)
    state = house.journal.entry(claimed[0]).state
    assert (state.status, state.reason) == (OrderStatus.DENIED, "its login could not be armed as a whole")
    assert house.notes("not_sent") == [("Order_A", "the disk is full")]
    assert house.broker.times("send") == []


def arm(house, text=PLAIN, **more):
    context = house.context(text)
    (login,) = logins_of(context.settings.enabled)
    aims = Aims(context)
    return Arming(context, login, house.broker, aims, aims.of("shahr", 300_000_000), **more).arm()


def leaves_from_ns(house):
    """Three seconds before the bell: no host's clock is known here."""
    return round(house.bell_s * S) + house.clock.wall_ns() - house.clock.now_ns - 3 * S


def test_a_claim_says_from_when_on_the_order_may_leave_and_whose_it_is(house):
    other = Owner("another-machine", 4711, 0.0)
    armed = arm(house, owner=other, margin_ns=7 * S)
    (entry,) = house.journal.entries()
    assert entry.owner == other
    assert entry.intent.login == KEY
    assert entry.intent.bell_ns == leaves_from_ns(house) - 7 * S
    assert [order for order, _ in armed.ready] == [entry.intent.order]
    assert set(armed.around) == {entry.intent.order.client_order_id}


def test_without_a_margin_it_is_this_process_that_fires_at_the_bell(house):
    arm(house)
    (entry,) = house.journal.entries()
    assert entry.owner == this_process()
    assert entry.intent.bell_ns == leaves_from_ns(house)


def test_what_a_claim_renames_is_written_anew(house):
    name = client_order_id(day(house), "shahr", "u", "IRO1MHRN0001", Side.BUY, 0)
    earlier(house, name, ReportKind.SUBMITTED, ReportKind.REJECTED, login=KEY, isin="IRO1MHRN0001")
    written = []
    house.broker.prepare = lambda order: (
        written.append(order) or PreparedOrder(order, "POST", "http://127.0.0.1", "/", {}, b"")
    )
    armed = arm(house)
    ((order, prepared),) = armed.ready
    assert order.client_order_id == f"{name}-r2"
    assert prepared.order is order
    assert [each.client_order_id for each in written] == [name, f"{name}-r2"]


def test_a_limit_that_cannot_be_checked_sends_nothing(house, monkeypatch):
    def busy(*_args, **_more):
        raise TimeoutError("somebody holds it")

    monkeypatch.setattr("firstbell.sniper.arming.locked", busy)
    state = house.folder / "state"
    (row,) = house.run(f"[firstbell]\nstate_dir = {state}\n" + CONFIG.format(a="", risk="max_total_value = 2000000000"))
    assert row["reason"] == "the limits could not be checked: somebody holds it"
    assert house.broker.times("send") == []


def test_where_the_run_ends_while_it_is_read_that_is_the_reason(house):
    context = house.context()
    house.interrupt.stop_at_ns = house.clock.now_ns + 100 * S
    house.carry_out(context)
    assert house.notes("not_sent") == [("Order_A", "stopped before the bell")]
    assert house.broker.times("money") == []


def test_a_clock_that_cannot_be_read_is_the_reason_too(house, monkeypatch):
    def broken(*_):
        raise RunError("no clock")

    monkeypatch.setattr(Aims, "look_roughly", broken)
    (row,) = house.run()
    assert row["reason"] == "no clock"


@pytest.mark.parametrize(("login", "days"), [("another", 0), (KEY, 1)])
def test_only_the_logins_own_orders_of_the_day_stand_for_its_plans(house, login, days):
    earlier(house, "x", *ACCEPTED, login=login, days=days, isin="IRO1MHRN0001", venue_order_id="5")
    (row,) = house.run(FEW)
    assert row["client_order_id"] != "x"
    assert house.notes("stands_for") == []


def test_who_holds_an_order_is_said_before_the_money_is_counted(house):
    """The money that seems to be missing may be in that very order."""
    name = client_order_id(day(house), "shahr", "u", "IRO1MHRN0001", Side.BUY, 0)
    owner = Owner("another-machine", 4711, 0.0)
    earlier(house, name, login=KEY, isin="IRO1MHRN0001", owner=owner)
    house.broker.money = D(-1)
    (row,) = house.run()
    assert row["reason"] == "process 4711 on another-machine has claimed this order, in run other"
    assert house.broker.times("money") == []


CLAIMED = "process 4711 on another-machine has claimed this order, in run other"


@pytest.mark.parametrize(
    ("kinds", "facts", "outcome", "reason", "stands_for"),
    [
        ((), {}, "not_sent", CLAIMED, False),
        (ACCEPTED, {"venue_order_id": "5"}, "accepted", None, True),
        ((ReportKind.SUBMITTED, ReportKind.UNRESOLVED), {}, "unresolved", None, True),
        # What it was denied or refused is no reason for the money that is missing.
        ((*ACCEPTED, ReportKind.REJECTED), {}, "not_sent", "buying power is -1 rials: nothing to spend", False),
    ],
)
@pytest.mark.parametrize("trouble", [None, "the list of holdings: no answer"])
def test_who_has_claimed_while_the_money_was_read_is_said(house, kinds, facts, outcome, reason, stands_for, trouble):
    """Another run of the same config is quicker: what is missing is in its order."""
    name = client_order_id(day(house), "shahr", "u", "IRO1MHRN0001", Side.BUY, 0)
    read = house.broker.buying_power

    def slow(*, fresh=False):
        if name not in [entry.intent.order.client_order_id for entry in house.journal.entries()]:
            owner = Owner("another-machine", 4711, 0.0)
            earlier(house, name, *kinds, login=KEY, isin="IRO1MHRN0001", owner=owner, **facts)
            house.broker.money = D(-1)
        if trouble is not None:
            raise NoAnswer(trouble)
        return read(fresh=fresh)

    house.broker.buying_power = slow
    (row,) = house.run()
    assert row["outcome"] == outcome
    if reason is not None and (trouble is None or reason == CLAIMED):
        assert row["reason"] == reason
    assert house.notes("stands_for") == ([("Order_A", None)] if stands_for else [])
    assert house.broker.times("send") == []


def test_what_this_very_run_has_claimed_is_not_anothers(house):
    """Of two slices the second is too much for the day: the first leaves, and this run reports on it."""
    house.broker.largest = D(60_000)
    taken = []

    def estimate(*_):
        if not taken:
            taken.append(earlier(house, "other", value=600_000_000))

    house.broker.estimate = estimate
    text = CONFIG.format(a="orders = all", risk="max_total_value = 1000000000")
    rows = house.run(f"[firstbell]\nstate_dir = {house.folder / 'state'}\n" + text)
    assert [(row["outcome"], row["quantity"]) for row in rows] == [("accepted", 60_000)]
    ((_, why),) = house.notes("not_sent")
    assert why.startswith("max_total_value: 1,303,200,000")


def test_the_days_total_that_another_runs_same_order_uses_up_names_that_run(house):
    name = client_order_id(day(house), "shahr", "u", "IRO1MHRN0001", Side.BUY, 0)

    def estimate(*_):
        owner = Owner("another-machine", 4711, 0.0)
        earlier(house, name, login=KEY, isin="IRO1MHRN0001", owner=owner, value=58_600)

    house.broker.estimate = estimate
    (row,) = house.run(f"[firstbell]\nstate_dir = {house.folder / 'state'}\n" + TOTAL)
    assert (row["outcome"], row["reason"]) == ("not_sent", CLAIMED)


def test_several_orders_take_turns_one_after_the_other(house):
    limit = CONFIG.format(a="quantity = 10", risk="max_total_value = 2000000000")
    rows = house.run(f"[firstbell]\nstate_dir = {house.folder / 'state'}\n" + limit + SECOND)
    assert {row["outcome"] for row in rows} == {"accepted"}
