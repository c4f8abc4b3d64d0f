"""An order manager put together from a config: what is written there is what holds, and nothing is mixed up."""

from __future__ import annotations

import json
import logging
from datetime import date, timedelta
from decimal import Decimal

import pytest
from oms_desk import ISIN, D, request

from firstbell.brokers.paper.broker import PaperBroker
from firstbell.brokers.paper.market import PaperMarket
from firstbell.config import load
from firstbell.config.order_settings import TradingMode
from firstbell.errors import RunError
from firstbell.journal.owner import this_process
from firstbell.market import Phase
from firstbell.model.instant import instant
from firstbell.model.order_status import OrderStatus
from firstbell.model.policies import CompletionStrategy, RetryStrategy
from firstbell.oms.metrics import OrderMetrics
from firstbell.oms.office import Office
from firstbell.oms.orders.assembling import order_context, order_manager
from firstbell.oms.orders.thread_interrupt import ThreadInterrupt
from firstbell.oms.policies.fallback import FallbackConfig
from firstbell.oms.policies.partial_fills import PartialFillConfig
from firstbell.oms.policies.retry import RetryConfig
from firstbell.risk.checks import Limits
from firstbell.risk.trading_state import Halt, HaltFile, TradingState

CONFIG = """[firstbell]
state_dir = {folder}/state

[Order_Paper]
username = me
password = pl4nted-secret
broker_code = paper
isin = IRO1FOLD0001

{more}
"""
SATURDAY_S = 6 * 3600
"""From the clock's beginning, 8:43 in Tehran on a Saturday, to the afternoon: the exchange is closed."""


@pytest.fixture
def open_office(tmp_path, stepped_clock):
    offices = []

    def make(more=""):
        path = tmp_path / "config.ini"
        path.write_text(CONFIG.format(folder=tmp_path, more=more))
        path.chmod(0o600)
        office = Office(load(path), stepped_clock)
        market = PaperMarket(clock=stepped_clock)
        market.set_quote(ISIN, bid=D(4860), ask=D(4870))
        broker = PaperBroker(market, "me")
        office.broker = lambda _account: broker
        offices.append(office)
        return office

    yield make
    for office in offices:
        office.close()


def phase(hours, clock):
    now = instant(clock.wall_ns())
    return hours.on(now).phase_at(now)


def test_the_users_limits_are_those_of_the_config_each_in_its_place(open_office):
    office = open_office(
        "[risk]\nmax_order_value = 11\nmax_order_quantity = 12\nmax_total_value = 13\nmax_orders_per_account = 14\n"
    )
    assert order_context(office, "r").limits == Limits(D(11), D(12), D(13), 14)


def test_where_nothing_is_limited_nothing_is(open_office):
    assert order_context(open_office(), "r").limits == Limits()


def test_policies_are_those_of_the_config(open_office):
    office = open_office(
        "[retry]\nstrategy = fixed_delay\nmax_attempts = 7\n[fallback]\nmax_parts = 3\n"
        "[partial_fills]\nstrategy = cancel_remaining\n"
    )
    context = order_context(office, "r")
    assert context.retry == RetryConfig(RetryStrategy.FIXED_DELAY, 7)
    assert context.fallback == FallbackConfig(max_parts=3)
    assert context.partial_fills == PartialFillConfig(CompletionStrategy.CANCEL_REMAINING)


def test_a_manager_writes_as_this_process_under_its_runs_name(open_office, stepped_clock):
    office = open_office()
    context = order_context(office, "run-7")
    assert (context.run_id, context.owner, context.market) == ("run-7", this_process(), "XTEH")
    assert (context.journal, context.clock) == (office.journal, stepped_clock)
    assert context.in_hand is office.in_hand


def test_its_day_is_the_exchanges(open_office, stepped_clock):
    context = order_context(open_office(), "r")
    assert context.today() == date(2026, 11, 21)
    # Ten in the evening in Greenwich is another day in Tehran.
    stepped_clock.sleep(17 * 3600)
    assert context.today() == date(2026, 11, 22)


def test_only_so_many_orders_are_sent_in_a_minute(open_office, stepped_clock):
    budget = order_context(open_office("[orders]\nmax_attempts_per_minute = 2\n"), "r").budget
    assert [budget.take() for _ in range(2)] == [None, None]
    assert "2" in budget.take()
    stepped_clock.sleep(61)
    assert budget.take() is None


def test_paper_never_closes_and_other_brokers_trade_at_the_markets_hours(open_office, stepped_clock):
    context = order_context(open_office(), "r")
    stepped_clock.sleep(SATURDAY_S)
    assert phase(context.hours_of("paper"), stepped_clock) is Phase.CONTINUOUS
    assert phase(context.hours_of("shahr"), stepped_clock) is Phase.CLOSED
    assert {context.hours_of(code).market for code in ("paper", "shahr")} == {"XTEH"}
    assert context.hours_of("paper").calendar.tz == context.hours_of("shahr").calendar.tz


def test_paper_may_keep_the_markets_hours_too(open_office, stepped_clock):
    context = order_context(open_office("[paper]\nhours = market\n"), "r")
    stepped_clock.sleep(SATURDAY_S)
    assert phase(context.hours_of("paper"), stepped_clock) is Phase.CLOSED


def test_whoever_wants_no_look_at_the_hours_is_held_up_by_none(open_office, stepped_clock):
    context = order_context(open_office("[validation]\nmarket_hours = no\n[paper]\nhours = market\n"), "r")
    stepped_clock.sleep(SATURDAY_S)
    assert phase(context.hours_of("shahr"), stepped_clock) is Phase.CONTINUOUS
    assert phase(context.hours_of("paper"), stepped_clock) is Phase.CONTINUOUS
    assert phase(context.validator.hours, stepped_clock) is Phase.CONTINUOUS
    strict = order_context(open_office(), "r")
    assert phase(strict.validator.hours, stepped_clock) is Phase.CLOSED


def test_a_halt_of_the_state_folder_holds_where_nobody_says_otherwise(open_office):
    office = open_office()
    manager = order_manager(office, "r")
    assert manager.place(request()).is_success
    file = HaltFile.of(office.state_dir)
    file.write(Halt(None, "me", "wrong price"))
    assert manager.place(request()).status is OrderStatus.DENIED
    assert manager.interrupt.is_halt
    file.remove()
    manager.interrupt.resume()
    HaltFile.of(office.state_dir, TradingState.REDUCING).write(Halt(None, "me", "enough lost"))
    told = manager.place(request())
    assert (told.status, "REDUCING" in told.message) == (OrderStatus.DENIED, True)


def test_whoever_makes_it_may_stop_it_and_say_what_may_leave(open_office, tmp_path):
    interrupt = ThreadInterrupt(tmp_path)
    states = [TradingState.ACTIVE]
    manager = order_manager(open_office(), "r", interrupt=interrupt, state=lambda: states[-1])
    assert manager.interrupt is interrupt
    assert manager.place(request()).is_success
    states.append(TradingState.REDUCING)
    assert "REDUCING" in manager.place(request()).message
    states.append(TradingState.ACTIVE)
    interrupt.stop()
    assert not manager.place(request()).is_success


def test_where_a_person_has_to_look_whoever_makes_it_is_told_or_else_the_run_log(open_office, caplog):
    told = []
    context = order_context(open_office(), "r", intervene=lambda *what: told.append(what))
    context.intervene("fb-1", "it is there twice")
    assert told == [("fb-1", "it is there twice")]
    manager = order_manager(open_office(), "r", intervene=lambda *what: told.append(what))
    assert manager._context.intervene is not context.intervene
    manager._context.intervene("fb-2", "likewise")
    assert told[1:] == [("fb-2", "likewise")]
    assert "a person has to look" not in caplog.text
    with caplog.at_level(logging.ERROR):
        order_context(open_office(), "r").intervene("fb-3", "nobody is told")
    assert caplog.messages == ["fb-3: a person has to look: nobody is told"]


def test_what_orders_take_is_counted_where_somebody_counts(open_office):
    metrics = OrderMetrics()
    assert order_manager(open_office(), "r", metrics=metrics).place(request()).is_success
    for name in ("overhead", "validation"):
        assert metrics.registry.get_sample_value(f"firstbell_{name}_seconds_count") == 1
    assert order_manager(open_office(), "r").place(request()).is_success


def test_a_request_that_was_denied_before_it_got_a_name_stands_in_the_order_log(open_office):
    office = open_office()
    office.keep_order_log()
    assert order_manager(office, "r").place(request(price=9000)).order_id is None
    office.close()
    (line,) = [json.loads(line) for line in (office.logs_dir / "orders.log").read_text().splitlines()]
    assert line["account"] == "Order_Paper"
    assert line["broker_code"] == "paper"
    assert (line["instrument"], line["side"]) == (ISIN, "buy")
    assert (Decimal(line["quantity"]), Decimal(line["price"])) == (1000, 9000)
    assert "9,000" in line["reason"]


def test_secrets_are_kept_out_of_why_a_request_was_denied(open_office):
    office = open_office()
    office.keep_order_log()
    (account,) = office.settings.enabled
    order_context(office, "r").denied(account, request(), "Authorization: Bearer pl4nted-token-of-some-length")
    office.close()
    text = (office.logs_dir / "orders.log").read_text()
    assert "Authorization" in text
    assert "pl4nted" not in text


def test_without_an_order_log_a_denial_is_told_all_the_same(open_office):
    office = open_office()
    assert order_manager(office, "r").place(request(price=9000)).status is OrderStatus.DENIED
    assert not office.logs_dir.exists()


def test_a_broker_whose_orders_cannot_be_prepared_is_refused_at_once(open_office):
    office = open_office()
    office.broker = lambda _account: object()
    with pytest.raises(RunError, match="^orders at paper cannot be prepared$"):
        order_manager(office, "r")


@pytest.mark.parametrize(
    ("config", "live", "mode"),
    [("paper", False, TradingMode.PAPER), ("live", False, TradingMode.PAPER), ("live", True, TradingMode.LIVE)],
)
def test_real_money_is_asked_for_in_both_places_or_not_at_all(open_office, config, live, mode):
    assert order_manager(open_office(f"[orders]\nmode = {config}\n"), "r", live=live).mode is mode


def test_by_default_no_real_money_is_asked_for(open_office):
    office = open_office("[orders]\nmode = live\n")
    assert order_manager(office, "r").mode is TradingMode.PAPER


def test_the_command_line_alone_asks_for_no_real_money(open_office):
    with pytest.raises(RunError, match=r"^--live asks for real money, and the config does not: write mode = live into"):
        order_manager(open_office(), "r", live=True)


def test_rounds_are_made_as_often_and_quotes_are_as_old_as_the_config_allows(open_office):
    manager = order_manager(open_office("[orders]\nevery = 7s\nstale_after = 90s\n"), "r")
    assert manager._every_s == 7
    assert [rounds._stale_after for rounds in manager._rounds.values()] == [timedelta(seconds=90)]


def test_a_limit_on_the_day_holds_over_all_logins_and_processes(tmp_path):
    config = tmp_path / "config.ini"
    sections = "".join(
        f"[Order_{name}]\nusername = {name}\npassword = x\nbroker_code = paper\nisin = IRO1FOLD0001\n" for name in "ab"
    )
    config.write_text(f"[risk]\nmax_total_value = 2000000\n{sections}")
    config.chmod(0o600)
    placed = []
    for account in ("Order_a", "Order_b", "Order_a", "Order_b"):
        # Each in a desk of its own, as commands are.
        with Office(load(config)) as office:
            manager = order_manager(office, f"run-{len(placed)}")
            placed.append(manager.place(request(quantity=150, price=4800, account=account)))
    assert [each.is_success for each in placed] == [True, True, False, False]
    assert all("max_total_value: 2,160,000" in each.message for each in placed[2:])
