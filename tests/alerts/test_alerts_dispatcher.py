"""The dispatcher: whatever the server does, posting costs microseconds, and what cannot be told is counted."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts_server import CHAT, TOKEN
from firstbell.alerts.base import Importance, Message
from firstbell.alerts.dispatcher import Dispatcher
from firstbell.alerts.outbox import Outbox
from firstbell.alerts.telegram import Telegram

LONG = 8.0


def message(words, importance=Importance.NORMAL, title="T"):
    return Message(title, (str(words),), importance)


def all_told(server):
    return "\n".join(server.told)


def test_what_is_posted_together_is_told_together(dispatcher, server):
    for number in range(30):
        dispatcher.post(message(number))
    server.until_told()
    assert dispatcher.close(LONG)
    assert server.told == ["T\n" + "\n".join(map(str, range(30)))]
    assert (dispatcher.told, dispatcher.lost) == (30, 0)


def test_pages_come_no_faster_than_the_chat_takes_them(telegram, server):
    dispatcher = Dispatcher(telegram, gather_s=0)
    for number in range(3):
        dispatcher.post(Message(f"t{number}", ("x" * 3000,)))
    dispatcher.start()
    assert dispatcher.close(LONG)
    assert len(server.told) == 3
    between = [later - earlier for earlier, later in zip(server.told_at, server.told_at[1:], strict=False)]
    assert min(between) >= 1.0


@pytest.mark.parametrize("seconds", [1, 2])
def test_retry_after_is_obeyed_exactly(dispatcher, server, seconds):
    server.misbehave("sendMessage", f"limit {seconds}")
    dispatcher.post(message("a"))
    server.until_told()
    first, second = server.at("sendMessage")
    assert seconds <= second - first < seconds + 0.5
    assert dispatcher.close(LONG)
    assert (dispatcher.told, dispatcher.lost) == (1, 0)


def test_a_server_that_only_limits_is_never_pressed_and_loses_nothing(dispatcher, server):
    server.always["sendMessage"] = "limit 1"
    dispatcher.post(message("a"))
    server.until(lambda: len(server.calls) == 3)
    assert min(b - a for a, b in zip(server.at("sendMessage"), server.at("sendMessage")[1:], strict=False)) >= 1.0
    server.always.clear()
    server.until_told()
    assert dispatcher.lost == 0


@pytest.mark.parametrize("misdeed", ["refuse 500", "page 502", "reset", "garbage", "redirect 302", "huge"])
def test_what_is_not_taken_is_tried_again_with_growing_pauses(dispatcher, server, misdeed, caplog):
    server.misbehave("sendMessage", *[misdeed] * 3)
    dispatcher.post(message("a"))
    server.until_told()
    pauses = [
        later - earlier for earlier, later in zip(server.at("sendMessage"), server.at("sendMessage")[1:], strict=False)
    ]
    assert len(pauses) == 3
    assert all(pause >= wanted for pause, wanted in zip(pauses, (0.05, 0.1, 0.2), strict=True))
    assert len([each for each in caplog.records if "tried again" in each.message]) == 1
    assert TOKEN.partition(":")[2] not in caplog.text


def test_what_is_never_taken_is_given_up_and_said_later(quick, server):
    dispatcher = Dispatcher(quick, first_backoff_s=0.01, gather_s=0)
    server.misbehave("sendMessage", *["refuse 500"] * 8)
    dispatcher.start()
    dispatcher.post(message("lost"))
    server.until(lambda: dispatcher.lost == 1)
    dispatcher.post(message("told"))
    server.until_told()
    assert dispatcher.close(LONG)
    assert server.told == ["Not told\n1 alert was dropped or refused: the results and logs have it all.\n\nT\ntold"]
    assert server.methods() == ["sendMessage"] * 9
    dispatcher.close(0)


def test_a_message_that_is_refused_does_not_stand_in_the_others_way(dispatcher, server, caplog):
    server.misbehave("sendMessage", "refuse 400 Bad Request: can't parse")
    dispatcher.post(message("bad"))
    server.until(lambda: dispatcher.lost == 1)
    dispatcher.post(message("good"))
    server.until_told()
    assert "good" in server.told[0]
    assert "1 alert was dropped" in server.told[0]
    assert [each.levelname for each in caplog.records if "refused" in each.message] == ["WARNING"]


@pytest.mark.parametrize(
    "misdeed", ["refuse 401 Unauthorized", "refuse 403 Forbidden: bot was kicked", "refuse 404 Not Found"]
)
def test_a_wrong_token_or_a_closed_chat_is_said_once_and_ends_it(dispatcher, server, misdeed, caplog):
    server.always["sendMessage"] = misdeed
    dispatcher.post(message("a"))
    server.until(lambda: dispatcher.ended is not None)
    for number in range(5):
        dispatcher.post(message(number))
    time.sleep(0.1)
    assert server.methods() == ["sendMessage"]
    assert dispatcher.lost == 6
    assert not dispatcher.close(LONG)
    assert [each.levelname for each in caplog.records] == ["ERROR"]
    assert TOKEN.partition(":")[2] not in caplog.text


def test_posting_waits_for_nothing_whatever_the_server_does(quick, server):
    server.always["sendMessage"] = "hang"
    dispatcher = Dispatcher(quick, capacity=500)
    dispatcher.start()
    dispatcher.post(message("first"))
    server.until(lambda: server.calls)
    for number in range(20_000):
        dispatcher.post(message(number, Importance(number % 3)))
    assert len(server.calls) == 1, "all of that while the first one hangs"
    assert dispatcher.lost == 20_000 - 500
    began = time.monotonic()
    assert not dispatcher.close(0.3)
    assert time.monotonic() - began < 1
    assert dispatcher.lost == 20_001


def test_many_threads_post_at_once_and_every_message_is_told_or_counted(quick, server):
    dispatcher = Dispatcher(quick, capacity=100, gather_s=0)
    dispatcher.start()
    threads = [
        threading.Thread(target=lambda: [dispatcher.post(message(each)) for each in range(500)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert dispatcher.close(LONG)
    notices = all_told(server).count("dropped or refused")
    assert dispatcher.told - notices + dispatcher.lost == 8 * 500


def test_while_held_nothing_is_sent_and_afterwards_everything_is(dispatcher, server):
    dispatcher.hold()
    for number in range(10):
        dispatcher.post(message(number))
        time.sleep(0.04)
    assert server.calls == []
    dispatcher.release()
    server.until_told()
    assert server.told == ["T\n" + "\n".join(map(str, range(10)))]


def test_while_held_nobody_is_even_woken(dispatcher, monkeypatch):
    dispatcher.hold()
    woken = []
    monkeypatch.setattr(dispatcher.quiet.changed, "notify_all", lambda: woken.append(1))
    for number in range(10):
        dispatcher.post(message(number))
    assert woken == []
    monkeypatch.undo()


def test_however_often_it_is_limited_nothing_is_given_up(dispatcher, server):
    server.misbehave("sendMessage", *["limit 0"] * 20)
    dispatcher.post(message("a"))
    server.until_told()
    assert dispatcher.close(LONG)
    assert (dispatcher.told, dispatcher.lost) == (1, 0)


def test_a_call_is_over_when_a_hold_begins_that_was_announced(dispatcher, server):
    server.always["sendMessage"] = "hang"
    dispatcher.hold(in_s=3.0)
    begins = time.monotonic() + 3.0
    dispatcher.post(message("a"))
    server.until(lambda: server.calls)
    while dispatcher._failures == 0:
        assert time.monotonic() < begins
        time.sleep(0.02)
    tried = len(server.calls)
    time.sleep(max(0.0, begins - time.monotonic()) + 1.0)
    assert all(at < begins for at in server.at("sendMessage"))
    assert len(server.calls) <= tried + 1
    server.always.clear()
    dispatcher.release()
    server.until_told()


def test_closing_tells_what_waits_even_while_held(dispatcher, server):
    dispatcher.hold()
    dispatcher.post(message("a"))
    assert dispatcher.close(LONG)
    assert server.told == ["T\na"]
    dispatcher.post(message("too late"))
    assert dispatcher.lost == 1


def test_closing_waits_no_longer_than_it_may(dispatcher, server):
    server.always["sendMessage"] = "limit 60"
    dispatcher.post(message("a"))
    server.until(lambda: server.calls)
    began = time.monotonic()
    assert not dispatcher.close(5)
    assert time.monotonic() - began < 1, "sixty seconds do not fit into five"
    assert dispatcher.lost == 1


def test_a_fault_of_ours_silences_nothing_that_comes_later(dispatcher, server, monkeypatch, caplog):
    pages = Telegram.pages
    monkeypatch.setattr(Telegram, "pages", lambda *_: 1 / 0)
    dispatcher.post(message("a"))
    server.until(lambda: dispatcher.lost == 1)
    monkeypatch.setattr(Telegram, "pages", pages)
    dispatcher.post(message("b"))
    server.until_told()
    assert "b" in server.told[0]
    assert "a fault of firstbell's own" in caplog.text


@given(
    st.lists(st.one_of(st.sampled_from(Importance), st.integers(1, 6)), max_size=60),
    st.integers(1, 8),
)
def test_an_outbox_drops_the_oldest_of_what_matters_least(steps, capacity):
    outbox, model, number = Outbox(capacity), [], 0
    for step in steps:
        if isinstance(step, Importance):
            number += 1
            model.append((number, step))
            dropped = 0
            if len(model) > capacity:
                model.remove(min(model, key=lambda each: (each[1], each[0])))
                dropped = 1
            assert outbox.put(message(number, step)) == dropped
        else:
            urgent = [each for each in model if each[1] is Importance.HIGH]
            others = [each for each in model if each[1] is not Importance.HIGH]
            chosen = sorted([*urgent, *others][:step])
            model = [each for each in model if each not in chosen]
            assert [int(each.lines[0]) for each in outbox.take(step)] == [each[0] for each in chosen]
        assert len(outbox) == len(model)
    assert outbox.clear() == len(model)
    assert outbox.take(9) == []


UNDER_GEVENT = """
from gevent import monkey
monkey.patch_all()
import sys, time
import gevent
from firstbell.alerts.base import Message
from firstbell.alerts.dispatcher import Dispatcher
from firstbell.alerts.telegram import Telegram
from firstbell.brokers.transport import Transport
token, chat, url, hanging = sys.argv[1:]
turns = 0
def turn():
    global turns
    while True:
        turns += 1
        gevent.sleep(0.005)
gevent.spawn(turn)
stuck = Dispatcher(Telegram(token, chat, Transport(), hanging))
dispatcher = Dispatcher(Telegram(token, chat, Transport(), url), gather_s=0.05)
for each in (stuck, dispatcher):
    each.start()
    each.hold()
    each.post(Message("from a greenlet", ("a",)))
gevent.sleep(0.3)
assert not dispatcher.told
for each in (stuck, dispatcher):
    each.release()
gevent.sleep(1.0)
assert dispatcher.told == 1, dispatcher.told
assert stuck.told == 0
began = time.monotonic()
assert dispatcher.close(3)
assert not stuck.close(0.5)
assert time.monotonic() - began < 2
assert turns > 50, turns
print("told", dispatcher.told)
"""


def test_under_gevent_the_thread_is_a_greenlet_and_the_others_go_on(server):
    stuck = type(server)()
    stuck.always["sendMessage"] = "hang"
    source = str(Path(__file__).parents[2] / "src")
    try:
        done = subprocess.run(
            [sys.executable, "-c", UNDER_GEVENT, TOKEN, CHAT, server.url, stuck.url],
            env={"PYTHONPATH": source},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    finally:
        stuck.close()
    assert (done.returncode, done.stdout) == (0, "told 1\n"), done.stderr
    assert server.told == ["from a greenlet\na"]


def test_the_run_log_hears_of_it_without_the_token(dispatcher, server, caplog):
    caplog.set_level(logging.DEBUG)
    server.misbehave("sendMessage", "reset", "hang 0.2", "limit 1")
    dispatcher.post(message("a"))
    server.until_told()
    dispatcher.close(LONG)
    assert "takes alerts again" in caplog.text
    assert TOKEN not in caplog.text
