"""What the tests of alerts share."""

from __future__ import annotations

import pytest

from alerts_server import CHAT, TOKEN, Server
from firstbell.alerts.dispatcher import Dispatcher
from firstbell.alerts.telegram import Telegram
from firstbell.brokers.transport import Transport


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture
def wire():
    wire = Transport()
    yield wire
    wire.close()


@pytest.fixture
def telegram(server, wire):
    return Telegram(TOKEN, CHAT, wire, server.url)


@pytest.fixture
def quick(telegram, monkeypatch):
    """The same chat, which takes pages faster: tests have no minutes."""
    monkeypatch.setattr(Telegram, "pause_s", 0.02)
    return telegram


@pytest.fixture
def dispatcher(quick):
    dispatcher = Dispatcher(quick, first_backoff_s=0.05, gather_s=0.02)
    dispatcher.start()
    yield dispatcher
    dispatcher.close(0)
