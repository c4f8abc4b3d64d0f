"""`firstbell positions`, the real command, against a simulated exchange and on paper."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from firstbell.clock import SystemClock
from firstbell.journal.base import Intent
from firstbell.journal.owner import this_process
from firstbell.journal.sqlite import SqliteJournal
from firstbell.market import Phase
from firstbell.model.order import Order
from firstbell.model.order_status import ReportKind
from firstbell.model.report import ExecutionReport, Fill
from firstbell.model.terms import Side
from firstbell.oms.positions import last_prices
from firstbell.oms.positions.prices import MarketPrice
from firstbell.risk.trading_state import Halt, HaltFile, TradingState
from firstbell.simulator.ephoenix.background import running
from firstbell.simulator.ephoenix.setup import Setup
from firstbell.simulator.exchange_clock import NS, ExchangeClock
from firstbell.simulator.listings import tehran_instruments
from firstbell.simulator.roster import Investor
from firstbell.simulator.schedule import Schedule
from firstbell_process import Process, run_firstbell

MHRN = "IRO1MHRN0001"
FOLD = "IRO1FOLD0001"
DAY_NS = 24 * 3600 * NS


@pytest.fixture(scope="module")
def exchange():
    now = ExchangeClock(0).now_ns()
    schedule = Schedule(
        ((now - 2 * DAY_NS, Phase.ORDER_ENTRY), (now - DAY_NS, Phase.CONTINUOUS), (now + DAY_NS, Phase.CLOSED))
    )
    investor = Investor("ali-gs", "pl4nted-1", "gs", Decimal(10**9), {MHRN: Decimal(5000), FOLD: Decimal(70)}, MHRN)
    with running(Setup(schedule, [investor], tehran_instruments()), ("gs",), port_per_broker=True) as exchange:
        yield exchange


class Desk:
    """A config, the journal beside it, and the command."""

    def __init__(self, folder, exchange):
        self.folder = folder
        self.state_dir = folder / "state"
        self.config = folder / "config.ini"
        url = exchange.addresses["gs"]
        urls = "\n".join(f"{name}_url = {url}" for name in ("identity", "api", "market_data", "backoffice"))
        self.config.write_text(
            f"""
[Order_Ali]
username = ali-gs
password = pl4nted-1
broker_code = gs
isin = {MHRN}
[Order_Paper]
username = somebody
password = pl4nted-2
broker_code = paper
isin = {MHRN}
[firstbell]
state_dir = state
[broker.gs]
{urls}
[captcha]
solver = url
url = {exchange.practice_address}/practice/captcha
[positions]
price_update_interval = 200ms
""",
            encoding="utf-8",
        )
        self.config.chmod(0o600)
        self.state_dir.mkdir(mode=0o700)
        self.journal = SqliteJournal(self.state_dir / "journal.db", SystemClock())

    def order(self, name, account, side, quantity, price, instrument=MHRN, *, at=None, **facts):
        order = Order(name, account, "gs", instrument, side, Decimal(price), Decimal(quantity), date(2026, 11, 21))
        self.journal.claim(Intent(order, account, name, 0, frozenset()), "run", this_process())
        at = at or datetime.now(UTC)
        for kind, more in ((ReportKind.SUBMITTED, {}), (ReportKind.ACCEPTED, {}), (ReportKind.FILLED, facts)):
            self.journal.append([ExecutionReport(name, "run", kind, at, **more)])

    def bought(self, name, account, quantity, price, **more):
        fill = Fill("1", Decimal(quantity), Decimal(price))
        self.order(name, account, Side.BUY, quantity, price, fill=fill, **more)

    def sold(self, name, account, quantity, price, **more):
        fill = Fill("1", Decimal(quantity), Decimal(price))
        self.order(name, account, Side.SELL, quantity, price, fill=fill, **more)

    def command(self, *arguments):
        return ["-c", self.config, *arguments]

    def environment(self, columns=200):
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("FIRSTBELL", "TELEGRAM"))}
        return kept | {"PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": str(columns)}

    def firstbell(self, *arguments, status=0, columns=200):
        done = run_firstbell(self.command(*arguments), cwd=self.folder, env=self.environment(columns))
        assert done.returncode == status, done.stderr
        assert "pl4nted" not in done.stdout + done.stderr
        return done

    def document(self, *arguments):
        return json.loads(self.firstbell("positions", "--json", *arguments).stdout)


@pytest.fixture
def desk(tmp_path, exchange):
    made = Desk(tmp_path, exchange)
    yield made
    made.journal.close()


def test_without_orders_there_are_no_positions(desk):
    found = desk.document("--offline")
    assert (found["positions"], found["total_pnl"], found["day_pnl"]) == ([], 0, 0)
    assert found["holdings"] == []
    assert desk.firstbell("positions", "--offline").stderr == ""


def test_offline_the_last_known_prices_are_shown_with_their_age(desk):
    desk.bought("a", "Order_Ali", 100, 5000)
    desk.bought("b", "Order_Paper", 10, 5000)
    at = datetime.now(UTC) - timedelta(hours=3)
    last_prices.save(desk.state_dir, {("gs", MHRN): MarketPrice(Decimal(5100), at)})
    found = desk.document("--offline")
    ali, paper = found["positions"]
    assert (ali["account"], ali["instrument"], ali["quantity"], ali["average_price"]) == ("Order_Ali", MHRN, 100, 5000)
    assert (ali["last_price"], ali["stale"]) == (5100, True)
    assert ali["price_at"] == at.isoformat(timespec="microseconds")
    assert 3 * 3600 <= float(ali["age_s"]) < 3 * 3600 + 120
    assert (ali["realized_pnl"], ali["fees"]) == (0, 1856)
    assert ali["unrealized_pnl"] == 10_000 - 4488
    assert ali["total_pnl"] == ali["day_pnl"] == 10_000 - 4488 - 1856
    assert (paper["last_price"], paper["unrealized_pnl"], paper["stale"]) == (None, None, True)
    assert (found["open_positions"], found["unpriced"], found["stale"]) == (2, 1, True)
    assert (found["total_unrealized_pnl"], found["day_pnl"]) == (5512, None)

    shown = desk.firstbell("positions", "--offline")
    row = next(line for line in shown.stdout.splitlines() if "Order_Ali" in line)
    assert re.split(r"\s{2,}", row.strip())[2:] == [
        "100", "5,000", "5,100", "3 h, stale", "0", "5,512", "1,856", "3,656"
    ]  # fmt: skip
    assert "1 without a price: not in these sums" in shown.stdout
    assert shown.stderr == ""


def test_the_brokers_are_asked_for_prices_and_for_what_is_held_in_all(desk):
    desk.bought("a", "Order_Ali", 100, 5000)
    desk.sold("b", "Order_Ali", 40, 5200)
    before = desk.firstbell("positions", "--json")
    assert json.loads(before.stdout)["positions"][0]["last_price"] is None
    assert "Order_Ali is not asked for prices: it has no living token; `firstbell warmup` logs in" in before.stderr

    desk.firstbell("warmup")
    found = desk.document()
    (ali,) = found["positions"]
    reference = tehran_instruments()
    listed = next(each for each in reference if each.id == MHRN)
    assert ali["last_price"] == int(listed.reference_price)
    assert (ali["stale"], ali["estimated"], ali["quantity"]) == (False, False, 60)
    assert float(ali["age_s"]) < 30
    assert ali["realized_pnl"] == 8000
    ours = [each for each in found["holdings"] if each["account"] == "Order_Ali"]
    assert {each["instrument"]: each["quantity"] for each in ours} == {MHRN: 5000, FOLD: 70}

    shown = desk.firstbell("positions")
    row = next(line for line in shown.stdout.splitlines() if "Order_Ali" in line)
    assert re.split(r"\s{2,}", row.strip())[2:5] == ["60", "5,000", "5,000"]
    assert "held besides, says the broker: Order_Ali IRO1FOLD0001 70" in shown.stdout
    assert "stale" not in shown.stdout
    # What was asked for is there when nobody can be asked.
    assert desk.document("--offline")["positions"][0]["last_price"] == ali["last_price"]


def test_a_paper_account_needs_no_log_in(desk):
    desk.bought("a", "Order_Paper", 100, 5000)
    (paper,) = desk.document()["positions"]
    assert paper["last_price"] is not None
    assert paper["stale"] is False


def test_an_estimate_is_marked(desk):
    desk.order("a", "Order_Ali", Side.BUY, 100, 5000, cum_qty=Decimal(100))
    assert desk.document("--offline")["positions"][0]["estimated"] is True
    assert "~5,000" in desk.firstbell("positions", "--offline").stdout


def test_every_figure_of_a_closed_position_that_is_an_estimate_is_marked(desk):
    desk.order("a", "Order_Ali", Side.BUY, 100, 5000, cum_qty=Decimal(100))
    desk.order("b", "Order_Ali", Side.SELL, 100, 4900, cum_qty=Decimal(100))
    shown = desk.firstbell("positions", "--offline").stdout
    row = next(line for line in shown.splitlines() if "Order_Ali" in line)
    realized, unrealized, fees, total = re.split(r"\s{2,}", row.strip())[-4:]
    assert (realized, unrealized) == ("~-10,000", "~0")
    assert fees.startswith("~")
    assert total.startswith("~-")
    sums = next(line for line in shown.splitlines() if line.startswith("realized"))
    assert sums.startswith(f"realized ~-10,000, unrealized ~0, fees {fees}: total {total}; the day ~-")


def test_what_was_told_is_not_marked(desk):
    desk.bought("a", "Order_Ali", 100, 5000)
    assert "~" not in desk.firstbell("positions", "--offline").stdout


def test_a_narrow_terminal_cuts_nothing(desk):
    desk.bought("a", "Order_Ali", 123_456, 5000)
    shown = desk.firstbell("positions", "--offline", columns=40).stdout
    assert "quantity: 123,456" in shown
    assert MHRN in shown


def test_what_stands_against_trading_is_said(desk):
    halt = Halt(datetime.now(UTC), "the limit on losses", "max_daily_loss: 6", TradingState.REDUCING)
    HaltFile.of(desk.state_dir, TradingState.REDUCING).write(halt)
    assert "Trading is reducing since" in desk.firstbell("positions", "--offline").stdout


def test_an_account_that_is_not_in_the_config_any_more_is_still_shown(desk):
    desk.bought("a", "Order_Gone", 100, 5000)
    done = desk.firstbell("positions", "--json")
    assert json.loads(done.stdout)["positions"][0]["quantity"] == 100
    assert "Order_Gone is not asked for prices: it is not among the enabled accounts" in done.stderr


@pytest.mark.parametrize("text", ["{", "[]", '{"prices": [{"broker_code": "gs"}]}'])
def test_damaged_last_prices_are_none(desk, text):
    desk.bought("a", "Order_Ali", 100, 5000)
    (desk.state_dir / last_prices.FILE).write_text(text)
    assert desk.document("--offline")["positions"][0]["last_price"] is None


def test_it_can_be_watched_until_it_is_interrupted(desk):
    process = Process(desk.command("positions", "--offline", "--watch"), cwd=desk.folder, env=desk.environment())
    try:
        seen = []
        # It shows what another process writes meanwhile.
        for line in iter(process.stdout.readline, ""):
            seen.append(line)
            if "Positions:" in line and desk.journal.entry("a") is None:
                desk.bought("a", "Order_Ali", 100, 5000)
            if "Order_Ali" in line:
                break
        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert any("Order_Ali" in line for line in seen)
    assert (process.returncode, complaints) == (0, "")


def test_watching_is_for_people(desk):
    assert "--watch is for people" in desk.firstbell("positions", "--watch", "--json", status=2).stderr
