"""An order desk opened from a config file: orders, positions, figures and limits of one paper account together."""

from __future__ import annotations

import socket
import threading
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from firstbell.config import load
from firstbell.config.order_settings import TradingMode
from firstbell.errors import NoAnswer, RunError
from firstbell.journal.order_files import OrderFiles
from firstbell.journal.owner import this_process
from firstbell.model.order_request import OrderRequest
from firstbell.model.order_status import OrderStatus
from firstbell.oms.engines import Engines
from firstbell.oms.office import Office
from firstbell.oms.orders import health_file
from firstbell.oms.orders.assembling import order_manager
from firstbell.oms.orders.market_data import MarketData
from firstbell.oms.orders.order_desk import OrderDesk
from firstbell.oms.orders.requests import BracketRequest
from firstbell.oms.positions import last_prices
from firstbell.risk.trading_state import Halt, HaltFile, TradingState, trading_state

D = Decimal
ISIN = "IRO1FOLD0001"
CONFIG = """[Order_Paper]
username = me
password = x
broker_code = paper
isin = IRO1FOLD0001

[paper]
liquidity = 0
"""


@pytest.fixture
def open_desk(tmp_path):
    desks = []

    def make(more="", **options):
        path = tmp_path / "config.ini"
        path.write_text(CONFIG + more)
        path.chmod(0o600)
        desk = OrderDesk.open(path, **options)
        desks.append(desk)
        return desk

    yield make
    for desk in desks:
        desk.close()


def market_of(desk):
    return desk.office.broker(desk.office.settings.enabled[0]).market


def buy(**terms):
    return OrderRequest(
        **{"instrument": ISIN, "side": "buy", "order_type": "limit", "quantity": 1000, "price": 4870, **terms}
    )


def quote(desk, bid, ask):
    market_of(desk).set_quote(ISIN, bid=D(bid), ask=D(ask))
    market_of(desk).trade(ISIN, (D(bid) + D(ask)) / 2 // 10 * 10, D(1))


def test_real_money_needs_the_word_in_the_config_too(open_desk):
    with pytest.raises(RunError, match=r"write mode = live into its section \[orders\]"):
        open_desk(live=True)


REAL = """
[Order_Real]
username = u
password = p
broker_code = shahr
isin = IRO1FOLD0001
"""


@pytest.mark.parametrize(
    ("more", "live", "only_watched"),
    [
        ("[positions]\nposition_timeout_hours = 6\n" + REAL, False, True),
        ("[positions]\nauto_close_on_stop = yes\n" + REAL, False, True),
        ("[positions]\nauto_close_on_stop = yes\n[orders]\nmode = live\n" + REAL, False, True),
        ("[positions]\nauto_close_on_stop = yes\n[orders]\nmode = live\n" + REAL, True, False),
        ("[positions]\nauto_close_on_stop = yes\n", False, False),
        ("[positions]\ndefault_stop_loss = 5\n" + REAL, False, False),
    ],
)
def test_positions_of_real_money_that_would_only_be_watched_are_named(open_desk, more, live, only_watched):
    why = open_desk("\n" + more, live=live).why_only_watched
    assert (why is not None) == only_watched
    assert why is None or ("Order_Real" in why and "Order_Paper" not in why and "--live" in why)


def test_while_an_order_is_in_hand_the_office_says_so(open_desk):
    desk = open_desk()
    in_hand = []
    desk.orders.subscribe(lambda report, _: in_hand.append((report.kind, desk.office.in_hand.any())))
    quote(desk, 4860, 4870)
    name = desk.orders.place(buy(price=4800)).order_id
    desk.orders.replace(name, price=4810)
    desk.orders.cancel(name)
    desk.orders.place_bracket(BracketRequest(entry=buy(price=4800), take_profit=5000, stop_loss=4700))
    request = buy(side="sell", price=5000, key="k", role="exit")
    desk.orders.close_position(desk.accounts[0], request)
    assert {kind for kind, _ in in_hand} >= {"ACCEPTED", "REPLACED", "CANCELED"}
    assert all(said for _, said in in_hand)
    assert not desk.office.in_hand.any()


def test_the_order_log_is_written_behind_the_orders_and_whole(open_desk):
    desk = open_desk()
    quote(desk, 4860, 4870)
    for _ in range(3):
        desk.orders.place(buy(price=4800))
    desk.office.flush()
    log = desk.office.logs_dir / "orders.log"
    assert len(log.read_text().splitlines()) == 9
    desk.orders.place(buy(price=4800))
    desk.close()
    assert len(log.read_text().splitlines()) == 12


def test_no_order_writes_its_own_lines_of_the_order_log(open_desk, monkeypatch):
    writers = []
    add = OrderFiles.add
    monkeypatch.setattr(OrderFiles, "add", lambda *what: (writers.append(threading.current_thread()), add(*what))[1])
    desk = open_desk()
    quote(desk, 4860, 4870)
    desk.orders.place(buy(price=4800))
    desk.office.flush()
    assert {thread.name for thread in writers} == {"order-log"}


def test_while_losses_cannot_be_judged_trading_only_reduces(open_desk):
    desk = open_desk("[positions]\nmax_daily_loss = 100000\nprice_update_interval = 1s\n")
    quote(desk, 4860, 4870)
    desk.orders.place(buy())
    desk.orders.poll()
    broker = desk.office.broker(desk.office.settings.enabled[0])

    def silent(_):
        raise NoAnswer("silence")

    broker.quote = silent
    desk.positions.poll()
    del broker.quote
    # It is written down nowhere: it ends as soon as they can.
    assert trading_state(desk.office.state_dir) is TradingState.ACTIVE
    denied = desk.orders.place(buy())
    assert (denied.status, "REDUCING" in denied.message) == (OrderStatus.DENIED, True)
    desk.positions._priced_ns = None
    desk.positions.poll()
    assert desk.orders.place(buy(price=4800)).is_success


def test_a_position_that_has_lost_enough_is_closed_once(open_desk):
    desk = open_desk("[positions]\ndefault_stop_loss = -100000\nauto_close_on_stop = yes\nprice_update_interval = 1s\n")
    quote(desk, 4860, 4870)
    desk.orders.place(buy())
    desk.orders.poll()
    desk.positions.poll()
    assert len(desk.office.journal.entries()) == 1
    quote(desk, 4800, 4810)
    desk.positions._priced_ns = None
    for _ in range(3):
        desk.positions.poll()
        desk.orders.poll()
    entries = desk.office.journal.entries()
    assert [(e.intent.order.role.value, e.state.status, e.state.filled_qty) for e in entries] == [
        ("entry", OrderStatus.FILLED, 1000),
        ("stop_loss", OrderStatus.FILLED, 1000),
    ]
    told = desk.positions.get_position_summary()
    assert told["total_realized_pnl"] < -60_000


def test_a_day_that_has_lost_enough_lets_trading_only_reduce_and_that_survives_a_restart(open_desk):
    more = "[positions]\nmax_daily_loss = 100000\nprice_update_interval = 1s\n"
    desk = open_desk(more)
    quote(desk, 4860, 4870)
    desk.orders.place(buy())
    desk.orders.poll()
    desk.positions.poll()
    quote(desk, 4800, 4810)
    desk.positions._priced_ns = None
    desk.positions.poll()
    assert trading_state(desk.office.state_dir) is TradingState.REDUCING
    denied = desk.orders.place(buy(price=4810))
    assert denied.status is OrderStatus.DENIED
    assert "trading state: REDUCING" in denied.message
    desk.close()
    again = open_desk(more)
    assert again.orders.place(buy(price=4810)).status is OrderStatus.DENIED
    quote(again, 4800, 4810)
    sold = again.orders.place(buy(side="sell", price=4800))
    assert sold.is_success


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_the_figures_are_shown_on_this_machine_and_name_no_order(open_desk):
    desk = open_desk(f"[metrics]\nport = {free_port()}\n")
    quote(desk, 4860, 4870)
    name = desk.orders.place_bracket(BracketRequest(entry=buy(), take_profit=5000, stop_loss=4800))[0].order_id
    desk.start()
    text = requests.get(desk.metrics_url, timeout=5).text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert name not in text
    overhead = families["firstbell_overhead_seconds"]
    assert next(each.value for each in overhead.samples if each.name.endswith("_count")) >= 1
    assert desk.metrics_url.startswith("http://127.0.0.1:")


def figure(desk, name, **labels):
    return desk.metrics.registry.get_sample_value(f"firstbell_{name}", labels or None)


def test_what_other_processes_write_is_counted_each_once(open_desk, monkeypatch):
    # Else nothing would leave that is more than is held.
    monkeypatch.setattr(MarketData, "holding", lambda *_args, **_options: None)
    desk = open_desk()
    quote(desk, 4860, 4870)
    desk.orders.place(buy(price=4800))
    with Office(desk.office.settings) as other:
        manager = order_manager(other, "other-run")
        assert manager.place(buy(price=4810)).is_success
        # Refused for want of shares, and nothing less can be sold instead.
        assert not manager.place(buy(side="sell", price=5000, quantity=99_000)).is_success
        assert manager.cancel(manager.orders()[-1].intent.order.client_order_id).is_success
    for _ in range(3):
        desk.orders.poll()
    assert desk.metrics.figures()["answered"] == {"accepted": 2, "rejected": 1}
    counted = {
        kind: figure(desk, "reports_total", account="Order_Paper", kind=kind)
        for kind in ("INITIALIZED", "ACCEPTED", "REJECTED", "CANCELED")
    }
    assert counted == {"INITIALIZED": 3, "ACCEPTED": 2, "REJECTED": 1, "CANCELED": 1}
    assert figure(desk, "attempts_total", account="Order_Paper", outcome="accepted") == 2
    assert figure(desk, "attempts_total", account="Order_Paper", outcome="rejected") == 1


def test_the_last_prices_are_written_down_while_it_works_now_and_then(open_desk, monkeypatch):
    desk = open_desk("[positions]\nprice_update_interval = 1s\n")
    quote(desk, 4860, 4870)
    desk.orders.place(buy())
    desk.orders.poll()
    written = []
    save = last_prices.save
    monkeypatch.setattr(last_prices, "save", lambda folder, prices: (written.append(prices), save(folder, prices)))
    desk.positions.poll()
    assert last_prices.load(desk.office.state_dir) == desk._prices.known != {}
    for _ in range(3):
        desk._prices.read([("Order_Paper", ISIN)])
        desk.positions.poll()
    assert len(written) == 1, "not with every round"
    monkeypatch.setattr("firstbell.oms.orders.order_desk._KEEP_PRICES_NS", 0)
    desk._prices.read([("Order_Paper", ISIN)])
    for _ in range(2):
        desk.positions.poll()
    assert last_prices.load(desk.office.state_dir) == desk._prices.known


@pytest.fixture
def threads():
    """What works for a desk, by its name; a call tells how it stands now."""
    others = set(threading.enumerate())

    def now():
        made = set(threading.enumerate()) - others
        return {thread.name.partition("-")[2] for thread in made if thread.name.startswith("firstbell-")}

    return now


def test_what_orders_come_to_is_counted_and_shown_with_how_things_stand(open_desk):
    desk = open_desk()
    quote(desk, 4860, 4870)
    desk.orders.place(buy())
    desk.orders.place(buy(price=4800))
    desk.orders.poll()
    desk.positions.poll()
    assert figure(desk, "orders_answered_total", account="Order_Paper", outcome="accepted") == 2
    assert figure(desk, "orders", status="ACCEPTED") == 1
    assert figure(desk, "positions_open") == 1
    assert figure(desk, "overhead_seconds_count") >= 2


def test_a_desk_writes_under_the_name_of_its_run_or_a_new_one(open_desk, tmp_path):
    path = tmp_path / "other" / "config.ini"
    path.parent.mkdir()
    path.write_text(CONFIG)
    path.chmod(0o600)
    with OrderDesk(Office(load(path)), run_id="run-7") as desk:
        assert desk.run_id == "run-7"
        quote(desk, 4860, 4870)
        desk.orders.place(buy(price=4800))
        (entry,) = desk.office.journal.entries()
        assert entry.run_id == "run-7"
        # It keeps no order log unless it was opened from a file.
        assert not desk.office.logs_dir.exists()
    first, second = open_desk(), open_desk()
    assert first.run_id != "run-7"
    # By the exchange's day, which begins before that of Greenwich.
    assert datetime.strptime(first.run_id[:8], "%Y%m%d").date() <= date.today() + timedelta(days=1)  # noqa: DTZ007, DTZ011
    assert first.orders is not second.orders


def test_the_accounts_are_those_that_are_enabled(open_desk):
    desk = open_desk(
        "[Order_Off]\nusername = me\npassword = x\nbroker_code = paper\nisin = IRO1FOLD0001\nenabled = no\n"
    )
    assert desk.accounts == ("Order_Paper",)


def test_real_money_is_traded_with_where_both_say_so_and_never_by_itself(open_desk):
    more = "[orders]\nmode = live\n"
    assert open_desk(more, live=True).orders.mode is TradingMode.LIVE
    desk = open_desk(more)
    assert desk.orders.mode is TradingMode.PAPER
    with OrderDesk(Office(desk.office.settings)) as another:
        assert another.orders.mode is TradingMode.PAPER


def test_what_was_opened_for_a_desk_that_cannot_be_is_closed_again(open_desk, monkeypatch):
    closed = []
    close = Office.close
    monkeypatch.setattr(Office, "close", lambda office: (closed.append(office), close(office)))
    with pytest.raises(RunError):
        open_desk(live=True)
    assert len(closed) == 1


def test_started_it_looks_after_everything_and_closed_it_leaves_nothing_running(open_desk, threads):
    desk = open_desk(f"[metrics]\nport = {free_port()}\n[orders]\nevery = 100ms\n")
    quote(desk, 4860, 4870)
    engines = Engines.of(desk.office.state_dir)
    assert (desk.metrics_url, engines.living()) == (None, [])
    seen, round_made = threading.Event(), threading.Event()
    desk.positions.after_round(lambda _: seen.set())
    desk.orders.after_round(round_made.set)
    desk.start()
    url = desk.metrics_url
    assert requests.get(url, timeout=5).ok
    assert engines.living() == [this_process()]
    (trader,) = desk.orders.traders
    assert threads() == {"halt", "metrics", "positions", trader.login.key}
    assert seen.wait(30)
    assert round_made.wait(30)
    desk.stop()
    assert threads() == {"halt"}
    assert desk.metrics_url is None
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=5)
    # What is stopped still sees a halt, and takes orders.
    assert desk.orders.place(buy(price=4800)).is_success
    # And it begins again.
    round_made.clear()
    desk.start()
    assert threads() == {"halt", "metrics", "positions", trader.login.key}
    assert requests.get(desk.metrics_url, timeout=5).ok
    assert round_made.wait(30)
    desk.close()
    assert threads() == set()
    assert engines.living() == []
    assert desk.interrupt.is_set()


def test_a_port_that_somebody_else_has_is_said_and_nothing_is_left_running(open_desk, threads):
    with socket.create_server(("127.0.0.1", 0)) as other:
        desk = open_desk(f"[metrics]\nport = {other.getsockname()[1]}\n")
        with pytest.raises(RunError, match="the figures cannot be shown on 127.0.0.1:"):
            desk.start()
    assert desk.metrics_url is None
    desk.close()
    assert threads() == set()


def test_a_desk_is_closed_with_its_block_whatever_ends_that(open_desk, threads):
    desk = open_desk()

    def work():
        with desk as same:
            assert same is desk
            desk.start()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert threads() == set()
    assert desk.interrupt.is_set()


def test_a_halt_stops_a_desk_that_is_at_work(open_desk):
    desk = open_desk()
    quote(desk, 4860, 4870)
    HaltFile.of(desk.office.state_dir).write(Halt(None, "me", "wrong price"))
    assert desk.orders.place(buy(price=4800)).status is OrderStatus.DENIED
    assert desk.orders.interrupt is desk.interrupt
    assert desk.interrupt.is_halt
    HaltFile.of(desk.office.state_dir).remove()
    assert desk.orders.place(buy(price=4800)).is_success


def test_how_brokers_do_is_written_down_for_those_who_look_from_elsewhere(open_desk):
    desk = open_desk()
    quote(desk, 4860, 4870)
    desk.orders.place(buy(price=4800))
    assert health_file.read(desk.office.state_dir) is None
    desk.orders.poll()
    _, accounts = health_file.read(desk.office.state_dir)
    assert accounts == desk.orders.health()
    assert accounts["Order_Paper"].is_well


def test_the_last_prices_are_known_after_a_restart(open_desk):
    desk = open_desk()
    quote(desk, 4860, 4870)
    desk.orders.place(buy())
    desk.orders.poll()
    desk.positions.poll()
    known = desk._prices.known
    assert len(known) == 1
    desk.close()
    assert last_prices.load(desk.office.state_dir) == known
    assert open_desk()._prices.known == known


def test_prices_that_cannot_be_written_down_hold_up_no_closing(open_desk, caplog):
    desk = open_desk()
    (desk.office.state_dir / last_prices.FILE).mkdir()
    desk.close()
    assert f"{last_prices.FILE} cannot be written" in caplog.text
    assert desk.interrupt.is_set()


def test_what_was_held_overnight_is_no_profit_of_the_days_after_a_restart(open_desk):
    desk = open_desk()
    quote(desk, 4860, 4870)
    desk.orders.place(buy())
    desk.orders.poll()
    desk.positions.poll()
    before = desk.positions.get_position_summary()
    desk.close()
    again = open_desk()
    assert [standing.opening.quantity for standing in again._book.standings()] == [0]
    again.positions.poll()
    after = again.positions.get_position_summary()
    assert after["day_pnl"] == before["day_pnl"] != 0


def test_whoever_opens_a_desk_hears_what_positions_have_reached_and_where_to_look(open_desk):
    alerts, interventions = [], []
    limit = "[positions]\nmax_daily_loss = 100000\nprice_update_interval = 1s\n"
    desk = open_desk(f"{limit}[fallback]\nmanual_intervention_threshold = 1\n")
    settings = desk.office.settings
    desk.close()
    with OrderDesk(Office(settings), alert=alerts.append, intervene=lambda *what: interventions.append(what)) as desk:
        quote(desk, 4860, 4870)
        desk.orders.place(buy())
        desk.orders.poll()
        desk.positions.poll()
        # More than the money pays for: refused, and at once for a person.
        refused = desk.orders.place(buy(quantity=250_000, price=4800))
        assert refused.status is OrderStatus.REJECTED
        quote(desk, 4800, 4810)
        desk.positions._priced_ns = None
        desk.positions.poll()
    assert any("max_daily_loss" in str(alert) for alert in alerts)
    assert [name for name, _ in interventions] == [refused.order_id]
