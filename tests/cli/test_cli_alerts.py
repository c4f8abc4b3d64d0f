"""What the chat's commands do to a real office, and who of several processes tells of halts."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from alerts_server import CHAT, TOKEN, Server
from firstbell.alerts.telegram import Telegram
from firstbell.brokers.paper.broker import PaperBroker
from firstbell.cli.alerting import Alerts, HaltWatch, messenger_of, tell_of_halt, tell_orders
from firstbell.cli.desk import OfficeDesk
from firstbell.cli.main import cli
from firstbell.clock import exchange_now
from firstbell.config import load
from firstbell.errors import RunError
from firstbell.journal.base import HELD_NS, Claimed, Intent, Owner, RunLine, RunRecord
from firstbell.journal.owner import this_process
from firstbell.model.instructions import Instructions
from firstbell.model.order import Order
from firstbell.model.order_status import ReportKind
from firstbell.model.report import ExecutionReport, Fill
from firstbell.model.terms import OrderType, Side
from firstbell.oms import OrderDesk, OrderRequest, symbols
from firstbell.oms.office import Office
from firstbell.oms.orders.market_data import MarketData
from firstbell.risk.trading_state import Halt, HaltFile, TradingState

AT = datetime(2026, 11, 21, 5, 15, tzinfo=UTC)
CONFIG = """
[Order_A]
username = u
password = pl4nted
broker_code = shahr
isin = IRO1MHRN0001
[telegram]
bot_token = {token}
chat_id = {chat}
api_url = {url}
{more}
"""


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(Telegram, "pause_s", 0.02)
    for name in ("TELEGRAM_BOT_TOKEN", "TELEGRAM_CHAT_ID"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def config(tmp_path, server):
    def write(more=""):
        path = tmp_path / "config.ini"
        path.write_text(CONFIG.format(token=TOKEN, chat=CHAT, url=server.url, more=more), encoding="utf-8")
        path.chmod(0o600)
        return path

    return write


@pytest.fixture
def office(config):
    with Office(load(config())) as office:
        yield office


@pytest.fixture
def desk(office):
    return OfficeDesk(office, nullcontext)


def claimed(office, name="fb-1"):
    day = exchange_now(office.clock, office.calendar.tz).date()
    order = Order(name, "Order_A", "shahr", "IRO1MHRN0001", Side.BUY, Decimal(5860), Decimal(170018), day)
    office.journal.claim(Intent(order, "login", name, 0, frozenset()), "run", this_process())


def report(kind, name="fb-1", **facts):
    return ExecutionReport(name, "run", kind, AT, **facts)


def bought(office):
    claimed(office)
    fill = Fill("t1", Decimal(1000), Decimal(5800))
    kinds = [report(ReportKind.SUBMITTED), report(ReportKind.ACCEPTED, venue_order_id="77")]
    office.journal.append([*kinds, report(ReportKind.PARTIALLY_FILLED, fill=fill)])


def test_status_before_anything_happened(desk):
    assert desk.status().lines == ("Trading is active.", "No process here can send.", "today: no orders")
    assert desk.orders().lines == ("None.",)
    assert desk.positions().lines == ("None through our orders.",)
    assert desk.results().lines == ("There was no run yet.",)


def test_what_stands_is_told_from_the_journal(office, desk):
    bought(office)
    line = RunLine("Order_A", "shahr", "IRO1MHRN0001", Side.BUY)
    office.journal.begin_run(RunRecord("run", AT, (line,), str(office.settings.firstbell.results_dir)))
    assert "today: 1 PARTIALLY_FILLED" in desk.status().lines
    assert "newest run: run, bell at 2026-11-21 05:15:00+00:00" in desk.status().lines
    assert desk.orders().lines == (
        "PARTIALLY_FILLED, 1,000 filled: Order_A (shahr): buy 170,018 IRO1MHRN0001 at 5,860; id 77, ours fb-1",
    )
    assert desk.positions().lines == ("Order_A (shahr): +1,000 IRO1MHRN0001 at 5,800 on average",)
    assert desk.results().lines[0] == "1 configured: 1 accepted"


def held_back(office, name="fb-2"):
    """A stop that is held back, as its process claims it, or another one after that."""
    day = exchange_now(office.clock, office.calendar.tz).date()
    terms = Instructions(trigger_price=Decimal(5800))
    order = Order(
        name,
        "Order_A",
        "shahr",
        "IRO1MHRN0001",
        Side.SELL,
        Decimal(5800),
        Decimal(9),
        day,
        order_type=OrderType.STOP,
        instructions=terms,
    )
    return office.journal.claim(Intent(order, "login", name, HELD_NS, frozenset()), "run", this_process())


def test_of_what_was_taken_over_the_newest_round_alone_is_listed(office, desk):
    held_back(office)
    for _ in range(3):
        (entry,) = (each for each in office.journal.entries() if each.is_held_back)
        name = entry.intent.order.client_order_id
        office.journal.append([report(ReportKind.HANDED_OVER, name), report(ReportKind.WITHDRAWN, name)])
        assert isinstance(held_back(office), Claimed)
    assert len(office.journal.entries()) == 4
    assert "today: 1 held back" in desk.status().lines
    assert desk.orders().lines == (
        "held back: Order_A (shahr): sell 9 IRO1MHRN0001 at the market, once 5,800 has traded; ours fb-2-r4",
    )


def test_what_is_open_since_another_day_is_listed_too(office, desk):
    day = exchange_now(office.clock, office.calendar.tz).date() - timedelta(days=3)
    order = Order("fb-0", "Order_A", "shahr", "IRO1MHRN0001", Side.BUY, Decimal(5000), Decimal(7), day)
    office.journal.claim(Intent(order, "login", "fb-0", 0, frozenset()), "run", this_process())
    office.journal.append([replace(report(ReportKind.SUBMITTED, "fb-0"), at=AT - timedelta(days=3))])
    kinds = ReportKind.ACCEPTED
    office.journal.append([replace(report(kinds, "fb-0", venue_order_id="5"), at=AT - timedelta(days=3))])
    assert [line.partition(":")[0] for line in desk.orders().lines] == ["ACCEPTED"]
    assert "today: no orders" in desk.status().lines


def test_an_average_price_that_nobody_told_is_marked_as_an_estimate(office, desk):
    claimed(office)
    kinds = [report(ReportKind.SUBMITTED), report(ReportKind.ACCEPTED, venue_order_id="77")]
    office.journal.append([*kinds, report(ReportKind.PARTIALLY_FILLED, cum_qty=Decimal(1000))])
    assert desk.positions().lines == ("Order_A (shahr): +1,000 IRO1MHRN0001 at ~5,860 on average",)


def test_a_halt_is_written_and_resumed(office, desk):
    halted = desk.halt("@alice by Telegram", "wrong price")
    assert halted.lines[0].startswith("Trading is halted since ")
    assert halted.lines[0].endswith("by @alice by Telegram (wrong price)")
    assert halted.lines[1] == "No run is going on here."
    assert str(HaltFile.of(office.state_dir).read()) == desk.halted()
    again = desk.halt("@bob by Telegram", "other")
    assert "@alice by Telegram (wrong price)" in again.lines[0], "it stays as it was called first"
    assert desk.resume("@bob").title == "Resumed"
    assert desk.halted() is None


def test_a_resume_where_nothing_has_ever_been_says_so(config):
    ended = CliRunner().invoke(cli, ["-c", str(config()), "resume"])
    assert (ended.exit_code, ended.output) == (0, "Trading was not halted.\n")


def test_the_lesser_halt_is_told_and_resumed_as_well(office, desk):
    HaltFile.of(office.state_dir, TradingState.REDUCING).write(Halt(AT, "a limit", "lost", TradingState.REDUCING))
    assert desk.status().lines[0].startswith("Trading is reducing since")
    desk.resume("@bob")
    assert desk.halted() is None


def test_a_halt_that_cannot_be_written_down_is_said(desk, monkeypatch):
    def fail(*_):
        raise RunError("the disk is full")

    monkeypatch.setattr(HaltFile, "write", fail)
    said = desk.halt("x", "y")
    assert said.title == "Not halted"
    assert said.lines == (
        "Not halted: it could not be written down, and orders may leave.",
        "No run is going on here.",
        "It will not survive a restart: the disk is full",
    )


@pytest.mark.parametrize("place", ["state/x", "nowhere/x"])
def test_a_halt_that_could_not_be_written_down_is_not_claimed_and_told_to_nobody(config, server, tmp_path, place):
    (tmp_path / "state").write_text("a file, where a folder should be")
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone" / "away")
    path = config(f"[firstbell]\nstate_dir = {tmp_path / place}\n")
    for more in ([], ["--json"]):
        done = CliRunner().invoke(cli, ["-c", str(path), "halt", *more], standalone_mode=False)
        assert done.return_value == 1
        assert "It will not survive a restart" in done.stderr
        if more:
            told = json.loads(done.stdout)
            assert (told["state"], told["since"], told["engines"]) == ("ACTIVE", None, [])
            assert "cannot be written" in told["failure"]
        else:
            assert done.stdout.startswith("NOT HALTED: it could not be written down, and orders may leave.")
    assert server.told == []


def test_commands_of_the_chat_reach_the_office(office, server):
    with Alerts.of(office) as alerts:
        assert alerts.stand_for_all()
        server.until(lambda: any(document.get("timeout") for _, _, document in server.calls))
        server.write("/halt wrong price")
        server.until_told()
        assert HaltFile.of(office.state_dir).is_there
        alerts.look_for_halts()
        server.write("/resume")
        server.until_told(2)
        code = server.told[1].rpartition("/resume ")[2].partition(" ")[0]
        server.write(f"/resume {code}")
        server.until_told(3)
        alerts.look_for_halts()
    assert [each.partition("\n")[0] for each in server.told] == ["Halted", "Resume?", "Resumed"]
    assert not HaltFile.of(office.state_dir).is_there


def test_one_process_of_a_state_folder_stands_for_all(office, config, server):
    first, second = Alerts.of(office), Alerts.of(office)
    assert first.stand_for_all()
    assert not second.stand_for_all()
    halt = Halt(AT, "somebody", "x")
    HaltFile.of(office.state_dir).write(halt)
    tell_of_halt(config(), halt, None)
    for each in (second, first):
        each.look_for_halts()
    assert first.close()
    assert second.close()
    assert len(server.told) == 1
    tell_of_halt(config(), None, "me")
    assert server.told[1].startswith("Resumed\n")
    with Alerts.of(office) as third:
        assert third.stand_for_all()


def test_without_commands_a_halt_is_told_and_nothing_is_heard(config, server):
    with Office(load(config("commands = no"))) as office, Alerts.of(office) as alerts:
        assert alerts.stand_for_all()
        HaltFile.of(office.state_dir).write(Halt(AT, "somebody", "x"))
        alerts.look_for_halts()
        server.until_told()
        HaltFile.of(office.state_dir).remove()
        alerts.look_for_halts()
        server.until_told(2)
    assert [each.partition("\n")[0] for each in server.told] == ["Halted", "Resumed"]
    assert server.methods() == ["sendMessage"] * 2


def test_events_that_are_not_wanted_are_not_told(config, server):
    with Office(load(config("events = failed, summary"))) as office:
        tell_orders(office)
        claimed(office)
        office.journal.append([report(ReportKind.SUBMITTED), report(ReportKind.ACCEPTED)])
        office.journal.append([report(ReportKind.REJECTED, reason="the exchange said no")])
        tell_of_halt(config("events = failed, summary"), None, "me")
    assert [each.partition("\n")[0] for each in server.told] == ["Rejected"]


def test_what_a_command_writes_is_told_when_it_ends(office, server):
    tell_orders(office)
    bought(office)
    office.close()
    said = "\n".join(server.told)
    assert said.count("Confirmed") == said.count("Filled in part") == 1


def test_an_alert_that_a_command_could_not_deliver_is_said_in_one_line(office, server, capsys):
    server.always["sendMessage"] = "refuse 401 Unauthorized"
    tell_orders(office)
    bought(office)
    office.close()
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("2 alerts were not told by Telegram: Telegram answered 401: Unauthorized. Look at [")


def test_symbols_that_the_warm_up_has_read_are_told(office, server):
    symbols.keep(office.state_dir, {"IRO1MHRN0001": "مهرگان"})
    with Alerts.of(office) as alerts:
        alerts.follow_orders()
        bought(office)
        assert OfficeDesk(office, nullcontext, alerts.symbols).orders().lines[0].count("مهرگان IRO1MHRN0001") == 1
    assert "\n".join(server.told).count("buy 170,018 مهرگان IRO1MHRN0001 at 5,860") == 2


def test_symbols_that_cannot_be_read_or_written_stop_nothing(tmp_path, caplog):
    assert symbols.load(tmp_path) == {}
    for damaged in ("[", "[]", '{"symbols": 5}', '{"symbols": {"A": 5}}'):
        (tmp_path / symbols.FILE).write_text(damaged)
        assert symbols.load(tmp_path) == {}
    symbols.keep(tmp_path, {"A": "a"})
    symbols.keep(tmp_path, {"B": "b"})
    assert symbols.load(tmp_path) == {"A": "a", "B": "b"}
    symbols.keep(tmp_path / symbols.FILE, {"C": "c"})
    assert "cannot be written" in caplog.text


PAPER = """
[Order_Paper]
username = me
password = x
broker_code = paper
isin = IRO1FOLD0001
[paper]
liquidity = 0
[telegram]
bot_token = {token}
chat_id = {chat}
api_url = {url}
"""
LIMIT = ("--instrument", "IRO1FOLD0001", "--type", "limit", "--price", "4860", "--side")


@pytest.fixture
def paper(tmp_path, server):
    path = tmp_path / "paper.ini"
    path.write_text(PAPER.format(token=TOKEN, chat=CHAT, url=server.url))
    path.chmod(0o600)
    return path


def run(config, *arguments):
    return CliRunner().invoke(cli, ["-c", str(config), "--json", "orders", *arguments], standalone_mode=False)


def test_what_the_watcher_finds_out_at_its_start_is_told_and_stands_in_its_stream(paper, server, monkeypatch):
    monkeypatch.setattr("firstbell.cli.order_watch._work", lambda *_, **_more: None)
    with Office(load(paper)) as office:
        day = exchange_now(office.clock, office.calendar.tz).date()
        order = Order("fb-1", "Order_Paper", "paper", "IRO1FOLD0001", Side.BUY, Decimal(4860), Decimal(100), day)
        dead = Owner(this_process().host, 2**22 + 1, 1.0)
        office.journal.claim(Intent(order, "login", "fb-1", 0, frozenset()), "run", dead)
    done = run(paper, "watch")
    assert done.exception is None
    assert [json.loads(line)["report"] for line in done.stdout.splitlines()] == ["UNRESOLVED"]
    assert [each.partition("\n")[0] for each in server.told] == ["Unresolved"]


def test_where_a_person_has_to_look_is_said_on_the_terminal_in_json_in_the_log_and_to_the_chat(
    paper, server, monkeypatch
):
    # Else nothing would leave that is more than is held.
    monkeypatch.setattr(MarketData, "holding", lambda *_args, **_options: None)
    # Nothing is held, so nothing less could be sold instead.
    done = run(paper, "place", *LIMIT, "sell", "--quantity", "1000")
    assert done.return_value == 1
    document = json.loads(done.stdout)
    (order,), (look,) = document["orders"], document["to_look_at"]
    assert look["name"] == order["client_order_id"]
    assert f"Look at {look['name']}: {look['why']}"[:60] in done.stderr
    assert f"{look['name']}: a person has to look: {look['why']}" in (
        paper.parent / ".firstbell" / "logs" / "firstbell.log"
    ).read_text(encoding="utf-8")
    told = "\n".join(server.told)
    assert told.count(f"A person has to look\n{look['name']}\n{look['why']}") == 1
    placed = json.loads(run(paper, "place", *LIMIT, "buy", "--quantity", "10").stdout)
    assert placed["to_look_at"] == []
    name = placed["orders"][0]["client_order_id"]
    assert json.loads(run(paper, "replace", name, "--price", "4850").stdout)["to_look_at"] == []
    assert json.loads(run(paper, "cancel", name).stdout)["to_look_at"] == []
    assert json.loads(run(paper, "reconcile", "--once").stdout)["to_look_at"] == []


def test_a_cancel_that_came_too_late_says_which_shares_nothing_looks_after(paper, server, monkeypatch):
    placed = json.loads(run(paper, "place", *LIMIT, "buy", "--quantity", "1000", "--take-profit", "4950").stdout)
    entry, exit_ = (each["client_order_id"] for each in placed["orders"])
    run(paper, "cancel", exit_)
    listed = PaperBroker.orders
    monkeypatch.setattr(
        PaperBroker,
        "orders",
        lambda self, day: tuple(replace(row, filled_qty=Decimal(400)) for row in listed(self, day)),
    )
    done = run(paper, "cancel", entry)
    (look,) = json.loads(done.stdout)["to_look_at"]
    assert look["name"] == entry
    assert "400 shares are unprotected" in look["why"]
    assert "400 shares are unprotected" in "\n".join(server.told)


def test_a_request_that_is_denied_is_told(paper, server):
    with OrderDesk.open(paper) as desk:
        tell_orders(desk.office)
        terms = {"instrument": "IRO1FOLD0001", "order_type": "limit", "quantity": 100}
        assert desk.orders.place(OrderRequest(side="buy", price=99_999, **terms)).order_id is None
    (said,) = server.told
    assert said.splitlines()[:2] == ["Denied", "Order_Paper (paper): buy 100 IRO1FOLD0001 at 99,999"]
    assert "price band: 99,999" in said


def test_a_halt_is_told_at_once_to_a_messenger_that_is_not_there_and_that_is_said(config, server, capsys):
    server.always["sendMessage"] = "refuse 401 Unauthorized"
    tell_of_halt(config(), None, "me")
    assert "Nobody was told of it: Telegram answered 401" in capsys.readouterr().err


def test_a_broken_config_tells_nobody_and_stops_nothing(config, capsys):
    tell_of_halt(config("nonsense = 1"), None, "me")
    assert "Nobody was told of it" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["bot_token", "chat_id"])
def test_without_token_or_chat_there_is_no_messenger(config, missing):
    path = config()
    text = "\n".join(line for line in path.read_text().splitlines() if not line.startswith(missing))
    path.write_text(text)
    settings = load(path)
    assert messenger_of(settings) is None
    assert f"[telegram] {missing} is not set; alerts need both" in settings.warnings


@pytest.mark.parametrize("deed", ["halt", "resume"])
def test_whoever_looks_for_halts_meanwhile_tells_none_that_is_answered(office, deed):
    told = []
    watch = HaltWatch(office, SimpleNamespace(post=lambda *said: told.append(said)))
    desk = OfficeDesk(office, watch.answered)
    looked = []

    def look():
        watch.look()
        looked.append(True)

    @contextmanager
    def answered():
        with watch.answered():
            yield
            # It is written down, and not known to be answered yet.
            looks = threading.Thread(target=look)
            looks.start()
            looks.join(0.1)
            assert looked == []
        looks.join(20)

    if deed == "resume":
        desk.halt("@alice by Telegram", "wrong price")
    between = OfficeDesk(office, answered)
    between.halt("@alice by Telegram", "wrong price") if deed == "halt" else between.resume("@alice by Telegram")
    watch.look()
    assert (looked, told) == ([True], [])
