"""An order desk opened from a config file: orders, positions, figures and limits of one paper account together."""

from __future__ import annotations

import socket
from decimal import Decimal

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from firstbell.errors import RunError
from firstbell.model.order_request import OrderRequest
from firstbell.model.order_status import OrderStatus
from firstbell.oms.orders.order_desk import OrderDesk
from firstbell.oms.orders.requests import BracketRequest
from firstbell.risk.trading_state import TradingState, trading_state

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
