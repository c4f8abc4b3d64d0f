"""``firstbell orders settle`` on paper."""

from __future__ import annotations

import json
from dataclasses import replace

import click
import pytest
from cli_paper import LIMIT, written
from click.testing import CliRunner

from firstbell.brokers.paper.broker import PaperBroker
from firstbell.cli.main import cli
from firstbell.errors import FirstbellError, NoAnswer


@pytest.fixture
def firstbell(tmp_path):
    config = written(tmp_path)

    def call(*arguments, status=0, answer=None):
        command = ["-c", str(config), "--json", "orders", *arguments]
        done = CliRunner().invoke(cli, command, input=answer, standalone_mode=False)
        # As `firstbell.cli.main.main` does.
        is_known = isinstance(done.exception, click.ClickException | FirstbellError)
        assert (2 if is_known else done.return_value) == status, (done.stdout, done.stderr, done.exception)
        if is_known:
            return str(done.exception)
        return json.loads(done.stdout) if done.stdout else done.stderr

    return call


@pytest.fixture
def unresolved(firstbell, monkeypatch):
    """The name of an order that is at its broker, of which no answer came and whose row looks like no order of ours."""
    send, orders = PaperBroker.send, PaperBroker.orders

    def cut(self, prepared, *, timeout_s):
        send(self, prepared, timeout_s=timeout_s)
        raise NoAnswer("silence")

    def strange(self, day):
        return tuple(replace(row, client_order_id=None, quantity=row.quantity - 1) for row in orders(self, day))

    monkeypatch.setattr(PaperBroker, "orders", strange)
    with monkeypatch.context() as patched:
        patched.setattr(PaperBroker, "send", cut)
        (placed,) = firstbell("place", *LIMIT, status=3)["orders"]
    assert placed["outcome"] == "unresolved"
    return placed["client_order_id"]


def test_a_person_who_is_sure_settles_an_order(firstbell, unresolved):
    said = firstbell("settle", unresolved, "--as", "1", status=1, answer="n\n")
    assert "Order_Paper: buy 1,000 IRO1FOLD0001 at 4,860" in said
    assert f"{unresolved} is 1 at its broker. Is that sure?" in said
    settled = firstbell("settle", unresolved, "--as", "1", answer="y\n")
    assert (settled["status"], settled["venue_order_id"], settled["quantity"]) == ("ACCEPTED", "1", 999)
    assert "there is nothing to settle" in firstbell("settle", unresolved, "--never-placed", "--yes", status=2)


def test_what_cannot_be_is_said_and_nothing_is_settled(firstbell, unresolved):
    assert "has no order 7" in firstbell("settle", unresolved, "--as", "7", "--yes", status=2)
    assert "lists may be late" in firstbell("settle", unresolved, "--never-placed", "--yes", status=2)
    assert "say either --as ID or --never-placed" in firstbell("settle", unresolved, status=2)
    both = ("--as", "1", "--never-placed")
    assert "say either --as ID or --never-placed" in firstbell("settle", unresolved, *both, status=2)
    assert "the journal knows no order x" in firstbell("settle", "x", "--as", "1", status=2)
    assert firstbell("list", "--offline", status=3)["orders"][0]["outcome"] == "unresolved"


def test_a_broker_that_cannot_be_asked_settles_nothing(firstbell, unresolved, monkeypatch):
    def silence(_self, _day):
        raise NoAnswer("paper says nothing")

    monkeypatch.setattr(PaperBroker, "orders", silence)
    assert "paper says nothing" in firstbell("settle", unresolved, "--as", "1", "--yes", status=1)
