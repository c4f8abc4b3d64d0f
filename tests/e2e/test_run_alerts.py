"""Alerts of real runs: a messenger that misbehaves changes nothing, and one that works is told everything once."""

from __future__ import annotations

import re
import time
from datetime import datetime

import pytest

from alerts_server import CHAT, TOKEN, Server

SECRET = TOKEN.partition(":")[2]


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture
def told_venue(open_venue, server):
    """An exchange, and a config whose alerts go to a server of our own."""
    venue = open_venue("--accounts", "3", "--bell-in", "1s")
    with venue.config.open("a", encoding="utf-8") as config:
        config.write(f"\n[telegram]\nbot_token = {TOKEN}\nchat_id = {CHAT}\napi_url = {server.url}\n")
    return venue


def quiet_broken(venue, server) -> list[float]:
    """Calls from shortly before the bell until the last answer was in, as seconds after the bell."""
    document = venue.results()
    bell = datetime.fromisoformat(document["bell"]).timestamp()
    answered = max(each["answered_at"] for row in document["orders"] for each in row["attempts"])
    until = datetime.fromisoformat(answered).timestamp()
    to_wall = time.time() - time.monotonic()
    calls = [at + to_wall - bell for at, _, _ in server.calls]
    return [after for after in calls if -1.9 < after <= until - bell]


def logs(venue) -> str:
    return "".join(path.read_text(encoding="utf-8") for path in venue.folder.rglob("firstbell.log"))


@pytest.mark.parametrize("misdeed", ["hang", "limit 30", "refuse 401 Unauthorized"])
def test_a_messenger_that_hangs_limits_or_refuses_changes_nothing(told_venue, server, misdeed):
    for method in ("getMe", "getUpdates", "sendMessage"):
        server.always[method] = misdeed
    process = told_venue.start("run", "--at", told_venue.in_seconds(12))
    out, err = process.communicate(timeout=100)
    ended = time.time()
    assert process.returncode == 0, err
    document = told_venue.results()
    assert document["summary"] == {"configured": 3, "accepted": 3, "rejected": 0, "unresolved": 0, "not_sent": 0}
    assert {str(order["serial"]) for order in told_venue.accepted()} == {
        row["venue_order_id"] for row in document["orders"]
    }
    # A hung messenger holds its caller up for many seconds; a busy machine does so for a moment.
    assert all(attempt["lateness_us"] < 3_000_000 for row in document["orders"] for attempt in row["attempts"])
    assert ended - datetime.fromisoformat(document["bell"]).timestamp() < 25
    assert server.calls
    assert quiet_broken(told_venue, server) == []
    assert SECRET not in out + err + logs(told_venue)
    assert "alert" in logs(told_venue)


@pytest.mark.parametrize("options", [(), ("--processes", "2")])
def test_everything_is_told_once_and_nothing_around_the_bell(told_venue, server, options):
    process = told_venue.start("run", "--at", told_venue.in_seconds(18), *options)
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    said = "\n".join(server.told)
    # "Warmed up" comes before it where there is time.
    armed = re.search(r"Armed\n3 of 3 go; the bell is at \d\d:\d\d:\d\d on .*(?:\ngo Order_Account.*){3}", said)
    assert armed, said
    for row in told_venue.results()["orders"]:
        assert said.count(f"id {row['venue_order_id']}, ours {row['client_order_id']}") == 1
    assert said.count("Confirmed") >= 1
    assert said.count("3 configured: 3 accepted") == 1
    assert not re.search(r"Rejected|Unresolved|Not sent|Not told", said)
    assert quiet_broken(told_venue, server) == []
    assert SECRET not in out + err + logs(told_venue)


def test_a_halt_from_the_chat_ends_a_run_and_a_cancel_is_told(told_venue, server):
    process = told_venue.start("run", "--at", told_venue.in_seconds(25))
    server.until(lambda: server.methods().count("getUpdates") >= 2)
    server.write("/status")
    server.until_told()
    server.write("/halt wrong price <b>")
    _, err = process.communicate(timeout=100)
    assert process.returncode == 4, err
    assert told_venue.submissions() == []
    said = "\n".join(server.told)
    assert "Trading is active." in said
    assert re.search(r"Halted\nTrading is halted since .* by @alice by Telegram \(wrong price <b>", said)
    assert "3 configured: 3 not sent" in said
    assert said.count("Halted") == 1

    # Nobody listens any more, so the command itself tells.
    assert told_venue.firstbell("resume").returncode == 0
    assert "Resumed" in server.told[-1]
    done = told_venue.firstbell("run", "--at", "now", "--", "Order_Account1_Gs_User1")
    placed = [row for row in told_venue.results()["orders"] if row["outcome"] == "accepted"]
    assert len(placed) == 1, done.stderr
    canceled = told_venue.firstbell("orders", "cancel", placed[0]["client_order_id"])
    assert canceled.returncode == 0, canceled.stderr
    assert server.told[-1].startswith("Canceled\nOrder_Account1_Gs (gs): buy ")
    assert placed[0]["client_order_id"] in server.told[-1]


def test_a_test_message_arrives_or_it_is_said_why_not(told_venue, server):
    done = told_venue.firstbell("alerts", "test")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("ok: Telegram has taken the message")
    assert "Alerts arrive here." in server.told[0]
    server.always["sendMessage"] = "refuse 400 Bad Request: chat not found"
    done = told_venue.firstbell("alerts", "test", "--json")
    assert done.returncode == 1
    assert "chat not found" in done.stdout
    server.always["getMe"] = "refuse 401 Unauthorized"
    done = told_venue.firstbell("alerts", "test")
    assert done.returncode == 1
    assert "bot_token" in done.stdout
    assert SECRET not in done.stdout + done.stderr
    told_venue.edit(f"chat_id = {CHAT}\n", "")
    done = told_venue.firstbell("alerts", "test")
    assert done.returncode == 2
    assert "chat_id" in done.stderr
