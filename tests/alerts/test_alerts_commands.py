"""Commands from the chat: carried out once, for that chat alone, and a resume only when confirmed."""

from __future__ import annotations

import json
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts_server import BOT
from firstbell.alerts.base import Heard, Message
from firstbell.alerts.bookmark import FORGET_AFTER_S, Bookmark
from firstbell.alerts.commands import Commands, command_of
from firstbell.alerts.listener import Listener
from firstbell.clock import SystemClock
from firstbell.errors import JournalError, RunError

HEARD = Heard(1, ours=True, text="", sender="@alice")


class Desk:
    """Carries out what it is told, and remembers it."""

    def __init__(self):
        self.done, self.halt_in_force = [], None

    def status(self):
        self.done.append("status")
        return Message("Status", ("fine",))

    def orders(self):
        self.done.append("orders")
        raise JournalError("the journal is damaged")

    def positions(self):
        self.done.append("positions")
        return Message("Positions")

    def results(self):
        self.done.append("results")
        return 1 / 0

    def halted(self):
        return self.halt_in_force

    def halt(self, by, why):
        self.done.append(f"halt {by}: {why}")
        self.halt_in_force = f"halted by {by}: {why}"
        return Message("Halted", (self.halt_in_force,))

    def resume(self, by):
        self.done.append(f"resume {by}")
        self.halt_in_force = None
        return Message("Resumed", (by,))


@pytest.fixture
def desk():
    return Desk()


@pytest.fixture
def clock():
    return {"now": 0.0}


@pytest.fixture
def commands(desk, clock):
    return Commands(desk, "Telegram", lambda: clock["now"])


def code_in(message):
    return re.search(r"/resume (\d{6}) within 60 s", "\n".join(message.lines))[1]


def test_a_resume_needs_the_code_that_was_just_told(commands, desk):
    desk.halt("x", "y")
    asked = commands.carry_out("resume", "", HEARD)
    assert desk.halt_in_force is not None
    done = commands.carry_out("resume", code_in(asked), HEARD)
    assert done.title == "Resumed"
    assert desk.done[-1] == "resume @alice by Telegram"
    assert commands.carry_out("resume", code_in(asked), HEARD).title == "Not halted"


def test_a_code_may_be_written_in_persian_digits(commands, desk):
    desk.halt("x", "y")
    code = code_in(commands.carry_out("resume", "", HEARD)).translate(str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹"))
    assert commands.carry_out("resume", code, HEARD).title == "Resumed"


@pytest.mark.parametrize("given", ["000000", "x", "1234567", "رمز", "\ud800"])
def test_a_wrong_code_spends_the_right_one(commands, desk, given):
    desk.halt("x", "y")
    code = code_in(commands.carry_out("resume", "", HEARD))
    assert commands.carry_out("resume", given, HEARD).title == "Not resumed"
    assert commands.carry_out("resume", code, HEARD).title == "Not resumed"
    assert desk.halt_in_force is not None


def test_a_code_is_valid_for_a_minute_and_once(commands, desk, clock):
    desk.halt("x", "y")
    code = code_in(commands.carry_out("resume", "", HEARD))
    clock["now"] = 60.0
    assert commands.carry_out("resume", code, HEARD).title == "Not resumed"
    code = code_in(commands.carry_out("resume", "", HEARD))
    clock["now"] += 59.9
    assert commands.carry_out("resume", code, HEARD).title == "Resumed"
    desk.halt("x", "again")
    assert commands.carry_out("resume", code, HEARD).title == "Not resumed"


def test_a_code_does_not_end_a_halt_that_was_called_after_it_was_told(commands, desk):
    desk.halt("x", "y")
    code = code_in(commands.carry_out("resume", "", HEARD))
    desk.halt("x", "something else")
    done = commands.carry_out("resume", code, HEARD)
    assert "halted anew" in done.lines[0]
    assert desk.halt_in_force is not None


def test_what_goes_wrong_is_answered(commands, desk):
    assert commands.carry_out("orders", "", HEARD).lines == ("/orders: the journal is damaged",)
    assert commands.carry_out("resume", "", HEARD).title == "Not halted"
    assert commands.carry_out("help", "", HEARD).lines[0].startswith("/status")
    assert commands.carry_out("start", "", HEARD).title == "Commands"
    assert desk.done == ["orders"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/halt", ("halt", "")),
        ("  /HALT  wrong   price ", ("halt", "wrong price")),
        ("/halt\nwrong\nprice", ("halt", "wrong price")),
        (f"/halt@{BOT.upper()} x", ("halt", "x")),
        ("/halt@another_bot x", None),
        ("/halt@", None),
        ("halt", None),
        ("/", None),
        ("", None),
        ("/resume 123456", ("resume", "123456")),
    ],
)
def test_what_is_a_command(text, expected):
    assert command_of(text, BOT) == expected


@given(st.text())
def test_whatever_is_written_is_a_command_or_none(text):
    found = command_of(text, BOT)
    assert found is None or (found[0] and text.strip().startswith("/"))


@pytest.fixture
def book(tmp_path, quick):
    return Bookmark(tmp_path / "alerts" / "heard.json", quick.key, SystemClock())


@pytest.fixture
def listen(quick, dispatcher, desk, book):
    """Start listeners one after another, each as a new process would."""
    started = []

    def start(bookmark=book):
        for each in started:
            each.close()
        listener = Listener(quick, dispatcher, desk, bookmark, SystemClock(), first_backoff_s=0.05)
        listener.start()
        started.append(listener)
        return listener

    yield start
    for each in started:
        each.close(0)


def ready(server, count=1):
    """Wait until a listener waits for what comes."""
    server.until(lambda: len([1 for _, method, document in server.calls if document.get("timeout")]) >= count)


def test_a_command_is_answered(listen, server, desk):
    listen()
    ready(server)
    server.write("/status")
    server.until_told()
    assert server.told == ["Status\nfine"]
    server.write("/halt wrong price")
    server.until_told(2)
    assert desk.done == ["status", "halt @alice by Telegram: wrong price"]
    server.write("/results")
    server.until_told(3)
    assert "a fault of firstbell's own" in server.told[2]
    server.write("/status")
    server.until_told(4)


def test_others_are_ignored_and_counted(listen, server, desk):
    listener = listen()
    ready(server)
    server.write("/halt", chat=666)
    server.write("good morning")
    server.write("/halt@other_bot")
    server.write("/status")
    server.until_told()
    assert listener.ignored == 3
    assert desk.done == ["status"]


def test_nothing_is_carried_out_twice_across_restarts(listen, server, desk, tmp_path, quick):
    listen()
    ready(server)
    server.write("/status")
    server.until_told()
    for count in (2, 3):
        listen(Bookmark(tmp_path / "alerts" / "heard.json", quick.key, SystemClock()))
        ready(server, count + 1)
    assert desk.done == ["status"]
    assert json.loads((tmp_path / "alerts" / "heard.json").read_text())["heard"] == 1000


def test_nothing_is_carried_out_twice_though_a_server_brings_it_again(listen, server, desk):
    listen()
    server.until(lambda: "getUpdates" in server.methods())
    server.forgets = True
    server.write("/halt", number=2000)
    server.write("/halt", number=2000)
    server.until(lambda: desk.done)
    desk.halt_in_force = None
    asked = server.methods().count("getUpdates")
    server.until(lambda: server.methods().count("getUpdates") >= asked + 2)
    server.write("/status", number=2001)
    server.until(lambda: "status" in desk.done)
    assert [each for each in desk.done if each.startswith("halt")] == desk.done[:1]
    assert desk.done[1:] == ["status"]


def test_what_is_written_in_a_channel_is_heard(listen, server, desk):
    listen()
    server.until(lambda: "getUpdates" in server.methods())
    channel = {"kind": "channel_post", "from": None, "author_signature": "Trader"}
    server.write("/halt", **channel)
    server.until(lambda: desk.done)
    assert desk.done[0].startswith("halt Trader")
    (asked, *_) = (document for _, method, document in server.calls if method == "getUpdates")
    assert asked["allowed_updates"] == ["message", "channel_post"]


def test_what_was_sent_while_nobody_listened_is_not_carried_out_but_a_halt_is(listen, server, desk):
    desk.halt("x", "y")
    desk.done.clear()
    server.write("/status", age_s=5)
    server.write("/resume", age_s=5)
    server.write("/halt now", age_s=300)
    listen()
    server.until(lambda: "Halted" in "".join(server.told))
    said = "\n".join(server.told)
    assert desk.done == ["halt @alice by Telegram: now"]
    assert said.count("Send it again.") == 2


def test_a_halt_of_long_ago_is_not_carried_out_and_that_is_said(listen, server, desk):
    server.write("/halt now", age_s=700)
    listen()
    server.until_told()
    assert desk.done == []
    assert "/halt: it was sent before anybody listened" in server.told[0]


def test_a_command_that_was_long_on_its_way_is_not_carried_out(listen, server, desk):
    listen()
    ready(server)
    server.write("/status", age_s=400)
    server.until_told()
    assert desk.done == []
    assert "/status: it was sent before" in server.told[0]


def test_more_than_one_answer_full_of_old_commands_is_all_old(listen, server, desk):
    for number in range(30):
        server.write(f"/status {number}")
    listen()
    server.until(lambda: "".join(server.told).count("Send it again") == 30)
    assert desk.done == []


def test_where_nothing_can_be_noted_only_a_halt_is_carried_out(listen, server, desk, tmp_path, quick):
    (tmp_path / "alerts").write_text("no folder")
    listen(Bookmark(tmp_path / "alerts" / "heard.json", quick.key, SystemClock()))
    ready(server)
    server.write("/status")
    server.write("/halt")
    server.until(lambda: "Halted" in "".join(server.told))
    assert desk.done == ["halt @alice by Telegram: called from the chat"]
    assert "it cannot be noted" in "".join(server.told)


@pytest.mark.parametrize("misdeed", ["refuse 500", "reset", "garbage", "page 502", "limit 0", "refuse 409 Conflict"])
def test_an_unwell_server_is_asked_again(listen, server, desk, misdeed):
    server.misbehave("getMe", misdeed)
    server.misbehave("getUpdates", misdeed, misdeed)
    listen()
    ready(server)
    server.write("/status")
    server.until_told()
    assert desk.done == ["status"]


def test_a_limit_is_obeyed_while_listening(listen, server):
    server.misbehave("getUpdates", "limit 1")
    listen()
    server.until(lambda: len(server.at("getUpdates")) >= 2)
    first, second = server.at("getUpdates")[:2]
    assert second - first >= 1


def test_a_wrong_token_ends_the_listening(listen, server, caplog):
    server.always["getMe"] = "refuse 401 Unauthorized"
    listener = listen()
    # It says so right after it has ended.
    server.until(lambda: listener.ended is not None and caplog.records)
    assert "bot_token" in listener.ended
    assert server.methods() == ["getMe"]
    assert [each.levelname for each in caplog.records] == ["ERROR"]


def test_while_held_nothing_is_asked_and_no_question_runs_into_it(listen, server, dispatcher, desk):
    began = time.monotonic()
    dispatcher.hold(in_s=13)
    listen()
    ready(server)
    asked = [document["timeout"] for _, method, document in server.calls if method == "getUpdates"]
    assert max(asked) <= 7
    dispatcher.hold()
    server.write("/status")
    time.sleep(0.5)
    asked = len(server.calls)
    time.sleep(1.5)
    assert len(server.calls) == asked
    dispatcher.release()
    server.until_told()
    assert desk.done == ["status"]
    assert time.monotonic() - began < 30


def test_closing_does_not_wait_for_the_question_that_is_under_way(listen, server):
    listener = listen()
    ready(server)
    began = time.monotonic()
    listener.close()
    assert time.monotonic() - began < 2


class LaterClock(SystemClock):
    later_ns = 0

    def wall_ns(self):
        return super().wall_ns() + self.later_ns


def test_a_bookmark_is_kept_for_its_bot_and_chat_and_not_for_ever(tmp_path):
    path, clock = tmp_path / "alerts" / "heard.json", LaterClock()
    assert Bookmark(path, "a", clock).number is None
    book = Bookmark(path, "a", clock)
    book.move(7)
    assert book.number == Bookmark(path, "a", clock).number == 7
    assert Bookmark(path, "b", clock).number is None
    clock.later_ns = (FORGET_AFTER_S + 2) * 10**9
    assert book.number is None
    assert Bookmark(path, "a", clock).number is None
    assert [each.name for each in path.parent.iterdir()] == ["heard.json"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'{"key": "a", "heard": "x", "at": 1}', b"\xff" * 9000])
def test_a_damaged_bookmark_is_none(tmp_path, content):
    path = tmp_path / "heard.json"
    path.write_bytes(content)
    assert Bookmark(path, "a", SystemClock()).number is None


def test_a_bookmark_that_cannot_be_written_is_remembered_all_the_same(tmp_path):
    (tmp_path / "file").write_text("")
    book = Bookmark(tmp_path / "file" / "heard.json", "a", SystemClock())
    with pytest.raises(RunError, match="cannot be written"):
        book.move(3)
    assert book.number == 3
