"""Casting a rehearsal, its config, and the judgement on it; a whole one is played in tests/cli/test_cli_rehearse.py."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstbell.cli.rehearse import _print_outcomes
from firstbell.cli.shell import Shell
from firstbell.config import AccountSettings, BrokerSettings, OrdersMode, RiskSettings, RunSettings, Settings, load
from firstbell.errors import RunError
from firstbell.market import tick_size
from firstbell.model.identifiers import AccountName, BrokerCode, InstrumentId
from firstbell.model.terms import Side
from firstbell.oms.logins import logins_of
from firstbell.oms.plan import DayUsed, Facts, plan_login
from firstbell.risk.checks import Limits
from firstbell.simulator.ephoenix.config_file import write_config
from firstbell.simulator.record import Decision, Submission
from firstbell.sniper.measured import Measured, MeasuredHost
from firstbell.sniper.rehearsal import on_stage, prepare
from firstbell.sniper.rehearsal_config import rehearsal_config
from firstbell.sniper.rehearsed import Lateness, _outcome

MHRN, FUND = InstrumentId("IRO1MHRN0001"), InstrumentId("IRT1ABCD0001")
NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
API = "https://api-{}.ephoenix.ir"


def account(name="Order_A", code="gs", isin=MHRN, username="ali", **changed):
    fields = {"name": AccountName(name), "username": username, "password": "pl4nted", "broker_code": BrokerCode(code)}
    return AccountSettings(**fields, isin=isin, **changed)


def config(*accounts, risk=None, brokers=None):
    return Settings(
        file=Path("/nowhere/config.ini"),
        firstbell=RunSettings(state_dir=Path("/nowhere/state"), give_up_after=timedelta(seconds=90.5)),
        risk=risk or RiskSettings(),
        brokers=brokers or {},
        accounts=accounts,
    )


def host(*codes, url=None, offset=Decimal("1.25")):
    return MeasuredHost(
        broker_codes=tuple(BrokerCode(code) for code in codes),
        url=url or API.format(codes[0]),
        offset_ms=offset,
        uncertainty_ms=Decimal("0.8"),
        round_trips_ms=(Decimal("20.5"), Decimal("23.25")),
        expected_delay_ms=Decimal("3.1"),
    )


def measured(*hosts, at=NOW):
    return Measured(measured_at=at, hosts=hosts)


def test_every_measured_host_is_a_stage_and_brokers_that_share_one_meet_there():
    shared = "https://orders.example"
    brokers = {BrokerCode(code): BrokerSettings(api_url=shared) for code in ("gs", "bbi")}
    accounts = (
        account("Order_A", "gs"),
        account("Order_B", "bbi"),
        account("Order_C", "shahr"),
        account("Order_D", "gs", FUND),
        account("Order_Off", "shams", enabled=False),
    )
    rehearsal = prepare(config(*accounts, brokers=brokers), measured(host("gs", "bbi", url=shared), host("shahr")))
    assert [(stage.host.url, stage.codes) for stage in rehearsal.stages] == [
        (shared, ("gs", "bbi")),
        (API.format("shahr"), ("shahr",)),
    ]
    # One stand-in a login, each with a name of its own wherever it logs in.
    assert [len(stage.investors) for stage in rehearsal.stages] == [2, 1]
    assert len({investor.username for stage in rehearsal.stages for investor in stage.investors}) == 3
    assert rehearsal.people["Order_A"] is rehearsal.people["Order_D"]
    assert [each.name for each in rehearsal.accounts] == ["Order_A", "Order_B", "Order_C", "Order_D"]
    assert rehearsal.warnings(NOW + timedelta(hours=24)) == ()


def test_the_bell_leaves_time_for_the_log_ins_of_the_busiest_host():
    accounts = [account(f"Order_{n}", username=f"user{n}") for n in range(6)]
    one = prepare(config(accounts[0]), measured(host("gs")))
    six = prepare(config(*accounts), measured(host("gs")))
    assert timedelta(seconds=35) <= one.bell_in <= timedelta(seconds=40)
    # The courtesy second before a captcha, the two that this broker wants before a log-in, and a few calls.
    assert six.bell_in - one.bell_in >= 5 * timedelta(seconds=3.5)


def test_what_cannot_be_rehearsed_is_named_and_the_others_go_on():
    rehearsal = prepare(config(account(), account("Order_P", "paper", "FOLD")), measured(host("gs")))
    assert [each.name for each in rehearsal.accounts] == ["Order_A"]
    (said,) = rehearsal.warnings(NOW)
    assert said.startswith("paper cannot be rehearsed, its accounts are left out")
    with pytest.raises(RunError, match=r"none of this config's brokers can be rehearsed: paper"):
        prepare(config(account("Order_P", "paper", "FOLD")), measured())


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (None, "there are none yet: run `firstbell preflight` first"),
        (measured(), "gs: not measured from here yet, or at another address: run `firstbell preflight` first"),
        (measured(host("gs", url="https://old.example")), "gs: not measured from here yet, or at another address"),
        (measured(host("shahr", url=API.format("gs"))), "gs: not measured from here yet"),
    ],
)
def test_without_a_measurement_of_every_host_there_is_none(found, message):
    with pytest.raises(RunError, match=message):
        prepare(config(account()), found)


@pytest.mark.parametrize(("hours", "age"), [(24.1, "24 hours"), (47, "47 hours"), (49, "2 days")])
def test_an_old_measurement_is_warned_of(hours, age):
    rehearsal = prepare(config(account()), measured(host("gs")))
    (said,) = rehearsal.warnings(NOW + timedelta(hours=hours))
    assert f"measured {age} ago: `firstbell preflight` measures them anew" in said


def test_the_config_keeps_what_is_his_and_leads_nowhere_else(tmp_path):
    accounts = (
        account("Order_Mine", price="5,860", max_value="900000000", orders="all"),
        account("Order_Sale", "shahr", FUND, side="sell", quantity=1000),
    )
    own = config(
        *accounts,
        risk=RiskSettings(max_order_value="1,000,000,000", max_attempts_per_order=7),
        brokers={BrokerCode("gs"): BrokerSettings(min_interval_ms=420, lead_ms="4.5")},
    )
    rehearsal = prepare(own, measured(host("gs"), host("shahr", url=API.format("shahr"), offset=Decimal(-80))))
    bell = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    with on_stage(rehearsal, bell, tmp_path) as exchanges:
        path = tmp_path / "config.ini"
        text = rehearsal_config(rehearsal, exchanges, bell, tmp_path)
        write_config(path, text)
        made = load(path)
        assert [exchange.desk.clock.offset_ns for exchange in exchanges] == [1_250_000, -80_000_000]
        assert [exchange.desk.exchange.schedule.bell for exchange in exchanges] == [int(bell.timestamp()) * 10**9] * 2
    assert made.warnings == ()
    assert made.risk == own.risk
    assert made.firstbell.give_up_after == timedelta(seconds=90.5)
    assert made.firstbell.state_dir.parent == made.firstbell.results_dir.parent == tmp_path
    assert (made.broker("gs").min_interval_ms, made.broker("gs").lead_ms) == (420, Decimal("4.5"))
    changed = {"username", "password"}
    for mine, his in zip(made.accounts, own.accounts, strict=True):
        assert mine.model_dump(exclude=changed) == his.model_dump(exclude=changed)
        assert mine.username != his.username
    for code in ("gs", "shahr"):
        broker = made.broker(code)
        urls = {broker.identity_url, broker.api_url, broker.market_data_url, broker.backoffice_url}
        assert len(urls) == 1
        assert urls.pop().startswith("https://127.0.0.1:")
    assert made.captcha.url.get_secret_value().startswith("http://127.0.0.1:")
    assert "pl4nted" not in text
    assert "ali" not in text


def test_a_section_with_several_instruments_is_rehearsed_as_one(tmp_path):
    text = f"""
[Order_Basket]
username = ali
password = pl4nted
broker_code = gs
isin = {MHRN}, {FUND}, IRO1FOLD0001
weights = 98.5, 1, 0.000001
max_value = 900,000,000,001
[Order_Sale]
username = ali
password = pl4nted
broker_code = gs
isin = {MHRN}, {FUND}
side = sell
orders = all
"""
    path = tmp_path / "own.ini"
    write_config(path, text)
    own = load(path)
    rehearsal = prepare(own, measured(host("gs")))
    bell = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    with on_stage(rehearsal, bell, tmp_path) as exchanges:
        played = tmp_path / "config.ini"
        write_config(played, rehearsal_config(rehearsal, exchanges, bell, tmp_path))
        made = load(played)
    changed = {"username", "password"}
    assert [each.model_dump(exclude=changed) for each in made.accounts] == [
        each.model_dump(exclude=changed) for each in own.accounts
    ]
    # However little an instrument weighs, its share pays for an order; and what is to be sold is there.
    investor = rehearsal.people["Order_Basket.IRO1FOLD0001"]
    facts = Facts(investor.money, rehearsal.instruments, holdings=investor.holdings)
    (login,) = logins_of(own.enabled)
    uncapped = [account.model_copy(update={"max_value": None}) for account in login.accounts]
    lines = plan_login(
        uncapped, facts, lambda *_: None, day=bell.date(), market="XTEH", limits=Limits(), used=DayUsed()
    )
    assert [len(line.orders) for line in lines] == [1, 1, 1, 2, 2]


PRICE = st.none() | st.integers(500, 900).map(lambda ticks: Decimal(ticks * 10))
WHOLE = st.none() | st.integers(1, 10**6).map(Decimal)
LIMIT = st.none() | st.integers(10**7, 10**10).map(Decimal)
SECTION = st.fixed_dictionaries(
    {
        "isin": st.sampled_from([MHRN, FUND, InstrumentId("IRO1FOLD0001")]),
        "side": st.sampled_from(list(Side)),
        "price": PRICE,
        "quantity": WHOLE,
        "orders": st.sampled_from(list(OrdersMode)),
    }
)


@given(
    section=SECTION,
    max_order_value=LIMIT,
    max_order_quantity=WHOLE,
    max_total_value=LIMIT,
    max_orders=st.none() | st.integers(1, 3),
)
@settings(max_examples=200)
def test_a_stand_in_can_do_what_the_account_is_meant_to_within_the_users_limits(
    section, max_order_value, max_order_quantity, max_total_value, max_orders
):
    risk = RiskSettings(
        max_order_value=max_order_value,
        max_order_quantity=max_order_quantity,
        max_total_value=max_total_value,
        max_orders_per_account=max_orders,
    )
    own = config(account(**section), risk=risk)
    rehearsal = prepare(own, measured(host("gs")))
    investor = rehearsal.people["Order_A"]
    (login,) = logins_of(own.enabled)
    (line,) = plan_login(
        login.accounts,
        Facts(investor.money, rehearsal.instruments, holdings=investor.holdings),
        lambda *_: None,
        day=NOW.date(),
        market="XTEH",
        limits=Limits(max_order_value, max_order_quantity, max_total_value, max_orders),
        used=DayUsed(),
    )
    assert line.denied is None
    assert line.orders
    wants_two = section["orders"] is OrdersMode.ALL and section["quantity"] is None and max_orders != 1
    assert len(line.orders) == (2 if wants_two else 1) or section["quantity"] is not None
    band = rehearsal.instruments[section["isin"]].band
    for order in line.orders:
        assert band.holds(order.price)
        assert order.price % tick_size("XTEH", order.price) == 0


def call(lateness_us, serial=None, user="rehearsal001", kind="order"):
    decision = Decision.REFUSED if serial is None else Decision.ACCEPTED
    return Submission(kind, "gs", user, 0, lateness_us, decision, serial=serial)


def row(outcome, serial=None, *late_us, name="Order_A"):
    attempts = [{"outcome": "REJECTED", "lateness_us": late} for late in late_us]
    if outcome == "accepted":
        attempts[-1]["outcome"] = "ACCEPTED"
    venue = None if serial is None else str(serial)
    return {
        "account": name,
        "broker_code": "gs",
        "outcome": outcome,
        "venue_order_id": venue,
        "attempts": attempts,
    }


def judged(submissions, rows):
    accounts = account(), account("Order_D", isin=FUND), account("Order_B", username="zahra")
    rehearsal = prepare(config(*accounts), measured(host("gs")))
    return _outcome(rehearsal, rehearsal.stages[0], submissions, rows)


def test_lateness_is_that_of_each_logins_first_order_and_early_attempts_are_counted():
    came = [
        call(-900),
        call(7_000, 1, "rehearsal002"),
        call(350_000, 2),
        call(700_000, 3),
        call(5, kind="cancel"),
    ]
    rows = [
        row("accepted", 2, -1_200, 349_000),
        row("accepted", 3, 701_000, name="Order_D"),
        row("accepted", 1, 6_500, name="Order_B"),
    ]
    found = judged(came, rows)
    assert (found.logins, found.orders, found.accepted, found.tried, found.early) == (2, 3, 3, 4, 1)
    assert found.seen == Lateness(7_000, 7_000, 350_000)
    assert found.believed == Lateness(6_500, 6_500, 349_000)
    assert (found.attempts, found.further, found.doubt) == ((1, 2), 1, None)
    assert found.words == (
        "gs: the first of 2 logins is there 7.0 ms after the bell, the last 350.0 ms; "
        "too early: 1 of 4 attempts, each refused at the price of an interval; "
        "1 more order of the same login follows, paced by the interval"
    )


@pytest.mark.parametrize(
    ("came", "rows", "doubt"),
    [
        ([call(5, 1)], [row("accepted", 1, 5)], None),
        ([call(5, 1)], [row("unresolved", None, 5)], None),
        ([call(5)], [row("rejected", None, 5)], None),
        ([], [row("not_sent")], None),
        ([call(5)], [row("accepted", 1, 5)], "the run tells of orders that the exchange has not accepted: 1"),
        ([call(5, 1)], [row("rejected", None, 5)], "the exchange accepted orders that the run does not tell of: 1"),
        ([call(5, 1), call(9, 2)], [row("accepted", 1, 5)], "does not tell of: 2"),
        ([call(5, 1), call(9, 2)], [row("unresolved", None, 5)], "does not tell of: 1, 2"),
    ],
)
def test_what_cannot_be_true_at_once_is_a_doubt(came, rows, doubt):
    found = judged(came, rows).doubt
    assert found == doubt or (doubt is not None and found is not None and doubt in found)


def test_nothing_accepted_is_said_so():
    found = judged([call(-5)], [row("rejected", None, -5)])
    assert (found.seen, found.believed, found.early) == (None, None, 1)
    assert found.words == "gs: no order was accepted; the run's table says why"


def test_people_get_a_table_and_plain_words(capsys):
    rehearsal = prepare(config(account()), measured(host("gs")))
    outcome = judged([call(-900), call(3_140, 1)], [row("accepted", 1, -800, 2_960)])
    silent = judged([], [row("not_sent")])
    _print_outcomes(Shell(), rehearsal, (outcome, silent))
    said = capsys.readouterr().out
    for words in (
        "20.5 to 23.2",
        "+1.2 ± 0.8",
        "3.1 / 3.1 / 3.1",
        "3.0 / 3.0 / 3.0",
        "1 of 1",
        "To be expected tomorrow",
        "  gs: your order is there 3.1 ms after the bell; 1 of 2 logins had no order accepted; too early: 1 of 2",
        "  gs: no order was accepted; the run's table says why.",
        "what they were on 2026-11-21 at 09:30.",
    ):
        assert words in said
