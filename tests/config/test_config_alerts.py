"""``[telegram]``: which events, and whether the chat is heard."""

from __future__ import annotations

import pytest

from firstbell.config import load
from firstbell.config.alert_settings import AlertKind
from firstbell.errors import ConfigError

ACCOUNT = "[Order_A]\nusername = u\npassword = p4ssw0rd\nbroker_code = shahr\nisin = IRO1MHRN0001\n[telegram]\n"


def test_by_default_everything_is_told_and_the_chat_is_heard(written):
    found = load(written(ACCOUNT)).telegram
    assert found.events == tuple(AlertKind)
    assert found.commands


def test_events_are_words_with_commas_in_whatever_order_and_case(written):
    found = load(written(f"{ACCOUNT}events = Summary,halts , summary\ncommands = no\n")).telegram
    assert found.events == (AlertKind.HALTS, AlertKind.SUMMARY)
    assert not found.commands


@pytest.mark.parametrize("events", ["everything", "halts, ,fills", "halts fills", ","])
def test_what_is_no_event_is_told_with_those_that_are(written, events):
    with pytest.raises(
        ConfigError, match="write confirmed, failed, fills, stops, changes, halts, readiness or summary"
    ):
        load(written(f"{ACCOUNT}events = {events}\n"))
