"""Telegram's wire: pages that it can parse whatever was written, and answers read for what they mean."""

from __future__ import annotations

import json
import logging
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts_server import BOT, CHAT, LONGEST, TOKEN, shown
from firstbell.alerts.base import Message, Page
from firstbell.alerts.telegram import Telegram
from firstbell.alerts.telegram_text import pages, units
from firstbell.brokers.transport import Transport
from firstbell.errors import AlertError, MessageRefused, MessengerEnded

HELLO = Page("hello", 1)
WILD = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from("<>&;\"'/b \n\u200c\u200d\u200f\u202e\u2066😀ف۱"),
    ),
    max_size=300,
) | st.sampled_from(["<b>", "</b>", "&lt;", "&#60;", "<a href='x'>", "*_[`\\", "&amp;amp;", ""])
MESSAGES = st.lists(st.builds(Message, WILD, st.lists(WILD, max_size=5).map(tuple)), min_size=1, max_size=12)


@given(MESSAGES)
def test_whatever_is_written_every_page_parses_and_fits(messages):
    made = pages(messages)
    assert made
    assert sum(page.messages for page in made) == len(messages)
    for page in made:
        assert units(page.text) == len(page.text.encode("utf-16-le", "surrogatepass")) // 2 <= LONGEST
        text = shown(page.text)
        assert not {"\u202e", "\u200f", "\u2066", "\r", "\t", "\x00"} & set(text)


@given(st.text(st.sampled_from("&<a😀.ف"), min_size=10, max_size=40), st.integers(150, 400))
def test_a_line_too_long_for_a_page_is_cut_between_characters_and_nothing_is_lost(piece, times):
    line = (piece * times + "a" * LONGEST)[: max(LONGEST, len(piece) * times)]
    made = pages([Message("t", (line,))])
    assert len(made) > 1
    told = [shown(page.text) for page in made]
    assert "".join(told).removeprefix("t").replace("\n", "") == line


@pytest.mark.parametrize("nothing", [" ", "\u200c", "\u00a0"])
def test_no_page_shows_nothing(nothing):
    for page in pages([Message(nothing, (nothing * 3 * LONGEST,)), Message("", ())]):
        assert shown(page.text)


def test_persian_stays_as_it_is_and_marks_of_direction_become_visible():
    text = shown(pages([Message("رد شد", ("موجودی \u202eکافی\u202c نیست: می\u200cشود ۱٬۰۰۰",))])[0].text)
    assert text == "رد شد\nموجودی \\u202eکافی\\u202c نیست: می\u200cشود ۱٬۰۰۰"


def test_pages_are_cut_at_the_ends_of_lines_and_messages():
    messages = [Message(f"title {n}", tuple(f"line {n} {m} " + "x" * 110 for m in range(8))) for n in range(20)]
    made = pages(messages)
    assert [page.messages for page in made] == [4] * 5
    for page in made:
        assert page.text.startswith("<b>title ")
        assert page.text.endswith("x" * 110)


def test_messages_of_one_title_stand_under_it_together():
    made = pages([Message("Confirmed", ("a",)), Message("Confirmed", ("b",)), Message("Rejected", ("c",))])
    assert [page.text for page in made] == ["<b>Confirmed</b>\na\nb\n\n<b>Rejected</b>\nc"]


def test_secrets_in_what_strangers_wrote_are_removed():
    text = pages([Message("Rejected", (f'{{"token": "abc-def-1"}} /bot{TOKEN}/x',))])[0].text
    assert text == '<b>Rejected</b>\n{"token": "***"} /bot***/x'


def test_a_page_arrives(telegram, server):
    telegram.send(pages([Message("سلام <b>", ("a & b",))])[0], 5)
    assert server.told == ["سلام <b>\na & b"]
    _, method, document = server.calls[0]
    assert (method, document["chat_id"], document["parse_mode"]) == ("sendMessage", CHAT, "HTML")
    assert telegram.who(5) == BOT


@pytest.mark.parametrize(
    ("misdeed", "kind", "words"),
    [
        ("hang", AlertError, "nothing came within"),
        ("reset", AlertError, "the request had left"),
        ("drip", AlertError, "nothing came within"),
        ("huge", AlertError, "too large"),
        ("garbage", AlertError, "nothing of Telegram's"),
        ("page 200", AlertError, "nothing of Telegram's"),
        ("page 403", AlertError, "HTTP 403"),
        ("redirect 307", AlertError, "HTTP 307"),
        ("refuse 500", AlertError, "answered 500"),
        ("refuse 409 Conflict", AlertError, "only one program|Only one program"),
        ("limit 7", AlertError, "429"),
        ("refuse 400 Bad Request: message text is empty", MessageRefused, "empty"),
        ("refuse 400 Bad Request: chat not found", MessengerEnded, "chat_id"),
        ("moved", MessengerEnded, "chat_id is -1001 now"),
        ("refuse 401 Unauthorized", MessengerEnded, "bot_token"),
        ("refuse 404 Not Found", MessengerEnded, "bot_token"),
        ("refuse 403 Forbidden: bot was blocked by the user", MessengerEnded, "blocked by the user"),
        ("refuse 401", MessengerEnded, r"no, bot\*\*\*"),
    ],
)
def test_what_an_answer_means_and_that_no_error_holds_the_token(telegram, server, misdeed, kind, words, caplog):
    caplog.set_level(logging.DEBUG)
    server.misbehave("sendMessage", misdeed)
    began = time.monotonic()
    with pytest.raises(AlertError, match=words) as found:
        telegram.send(HELLO, 0.6)
    assert type(found.value) is kind
    assert time.monotonic() - began < 3
    assert server.methods() == ["sendMessage"], "sent once, wherever it was redirected to"
    error: BaseException | None = found.value
    while error is not None:
        assert TOKEN not in repr(error) + str(vars(error))
        assert TOKEN.partition(":")[2] not in repr(error)
        error = error.__cause__ or error.__context__
    assert TOKEN.partition(":")[2] not in caplog.text


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [("7", 7.0), ("0", 0.0), ("-1", None), ("1.5", None), ("true", None), ('"7"', None), ("99999999999", 86_400.0)],
)
def test_only_whole_seconds_are_a_time_to_wait(telegram, server, retry_after, seconds):
    server.misbehave("sendMessage", f"limit {retry_after}")
    with pytest.raises(AlertError) as found:
        telegram.send(HELLO, 5)
    assert found.value.retry_after == seconds


def test_a_server_that_is_not_there_is_named_without_the_token(wire):
    with pytest.raises(AlertError, match="127.0.0.1:9: connection refused; nothing was sent") as found:
        Telegram(TOKEN, CHAT, wire, "http://127.0.0.1:9").send(HELLO, 5)
    assert TOKEN not in str(found.value)


def test_plain_http_is_spoken_to_this_machine_alone(wire):
    with pytest.raises(AlertError, match="only https"):
        Telegram(TOKEN, CHAT, wire, "http://example.com").send(HELLO, 5)


def test_a_token_cannot_lead_to_another_address(server, wire):
    with pytest.raises(MessengerEnded):
        Telegram("1:a/../../x?y#", CHAT, wire, server.url).send(HELLO, 5)
    assert server.methods() == ["sendMessage"]


def test_a_wrong_token_is_told_from_a_server_in_between(server, wire):
    with pytest.raises(MessengerEnded, match="Unauthorized"):
        Telegram("1:wrong-token-of-somebody", CHAT, wire, server.url).who(5)


def test_groups_are_told_more_slowly(wire):
    assert Telegram(TOKEN, "42", wire).pause_s < 1.5
    assert Telegram(TOKEN, "-100123", wire).pause_s == Telegram(TOKEN, "@channel", wire).pause_s > 3


def test_only_the_one_chat_is_ours(telegram, server):
    server.write("/status")
    server.write("/halt", chat=666)
    server.write("/halt", chat=-4242)
    server.write("/halt", caption="a picture")
    del server.updates[3]["message"]["text"]
    server.updates.append({"update_id": 1500, "edited_message": {}})
    server.updates.append({"update_id": 1501, "message": {"chat": {"id": True}, "text": "/halt", "date": "x"}})
    server.updates.append({"update_id": 1502, "message": {"chat": {"id": 4242}, "text": "/x", "date": 10**18}})
    heard = telegram.hear(None, 0)
    assert [(each.number, each.ours) for each in heard] == [
        (1000, True), (1001, False), (1002, False), (1003, False), (1500, False), (1501, False), (1502, True)
    ]  # fmt: skip
    assert (heard[0].text, heard[0].sender) == ("/status", "@alice")
    assert heard[6].at is None
    assert heard[6].sender == "somebody"
    assert telegram.hear(1501, 0)[0].number == 1502


def test_a_public_group_is_known_by_its_name(server, wire):
    server.write("/status", chat=-5, sender="bob")
    server.updates[0]["message"]["chat"]["username"] = "MyGroup"
    assert Telegram(TOKEN, "@mygroup", wire, server.url).hear(None, 0)[0].ours


@pytest.mark.parametrize("misdeed", ["garbage", "huge", "page 502", "refuse 500"])
def test_updates_that_cannot_be_read_are_asked_for_again(telegram, server, misdeed):
    server.misbehave("getUpdates", misdeed)
    with pytest.raises(AlertError):
        telegram.hear(None, 0)
    assert telegram.hear(None, 0) == []


def test_strangers_and_nonsense_drown_out_no_command(telegram, server):
    for _ in range(17):
        server.write("\u06a9" * 4096, chat=666)
        # Each of them answers another long one, and quotes it.
        server.updates[-1]["message"]["reply_to_message"] = {"text": "\u06a9" * 4096, "quote": "\u06a9" * 4096}
    server.updates.append({"update_id": "1500", "message": {}})
    server.updates.append("nonsense")
    server.write("/halt")
    heard = telegram.hear(None, 0)
    assert len(json.dumps(server.updates)) > 1 << 20
    assert [each.text for each in heard if each.ours] == ["/halt"]
    server.updates[:] = ["nonsense"]
    with pytest.raises(AlertError, match="something else than updates"):
        telegram.hear(None, 0)


def test_a_long_poll_waits_for_what_is_written(telegram, server):
    began = time.monotonic()
    assert telegram.hear(None, 1) == []
    assert 0.9 < time.monotonic() - began < 5
    server.write("/help")
    assert telegram.hear(None, 20)[0].text == "/help"
    assert time.monotonic() - began < 10


def test_the_transport_is_a_wire():
    assert callable(Transport().send)
