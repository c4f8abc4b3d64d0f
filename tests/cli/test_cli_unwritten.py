"""What the shell says where an order, a change or a cancel has left and the journal is gone when the answer comes."""

from __future__ import annotations

import json

import pytest
from cli_paper import LIMIT, written
from click.testing import CliRunner

from firstbell.brokers.paper.broker import PaperBroker
from firstbell.cli import main as shell
from firstbell.errors import JournalError, Unwritten
from firstbell.journal.sqlite import SqliteStore


@pytest.fixture
def firstbell(tmp_path):
    config = written(tmp_path)

    def call(*arguments):
        command = ["-c", str(config), "--json", "orders", *arguments]
        return CliRunner().invoke(shell.cli, command, standalone_mode=False)

    return call


def go_with_the_answer(monkeypatch, call):
    """The journal cannot be written any more from the moment at which the broker answers to this."""
    method, write = getattr(PaperBroker, call), SqliteStore.write
    gone = []

    def answer(*args, **options):
        try:
            return method(*args, **options)
        finally:
            gone.append(True)

    def fail(store, work, plans=()):
        if gone:
            raise JournalError("the disk is full")
        return write(store, work, plans)

    monkeypatch.setattr(PaperBroker, call, answer)
    monkeypatch.setattr(SqliteStore, "write", fail)


@pytest.mark.parametrize(
    ("call", "command"),
    [("send", ("place", *LIMIT)), ("replace", ("replace", "1", "--price", "4850")), ("cancel", ("cancel", "1"))],
)
def test_it_is_told_to_people_and_to_programs(firstbell, monkeypatch, call, command):
    if call != "send":
        assert firstbell("place", *LIMIT).return_value == 0
    with monkeypatch.context() as patched:
        go_with_the_answer(patched, call)
        done = firstbell(*command)
    assert isinstance(done.exception, Unwritten)
    told = json.loads(done.stdout)
    told = told if call == "cancel" else told["orders"][0]
    assert (told["client_order_id"], told["outcome"]) == (done.exception.client_order_id, "unresolved")
    assert "the disk is full" in told["message"]
    # The next command finds out, and nothing is there twice. It is of another process.
    monkeypatch.setattr("firstbell.journal.sqlite.is_alive", lambda _owner: False)
    firstbell("reconcile")
    (order,) = json.loads(firstbell("list").stdout)["orders"]
    expected = {"send": ("ACCEPTED", 4860), "replace": ("ACCEPTED", 4850), "cancel": ("CANCELED", 4860)}[call]
    assert (order["client_order_id"], order["status"], order["price"]) == (told["client_order_id"], *expected)


def test_what_could_not_be_begun_is_no_such_thing(firstbell, monkeypatch):
    def fail(*_args):
        raise JournalError("the disk is full")

    monkeypatch.setattr(SqliteStore, "write", fail)
    done = firstbell("place", *LIMIT)
    assert isinstance(done.exception, JournalError)
    assert not isinstance(done.exception, Unwritten)
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("error", "status"), [(Unwritten("x", "order", JournalError("gone")), 3), (JournalError("gone"), 2)]
)
def test_the_exit_status_tells_them_apart(monkeypatch, capsys, error, status):
    def fail(**_options):
        raise error

    monkeypatch.setattr(shell, "be_private", lambda: None)
    monkeypatch.setattr(shell, "guard_tracebacks", lambda: None)
    monkeypatch.setattr(shell.cli, "main", fail)
    with pytest.raises(SystemExit) as left:
        shell.main()
    assert left.value.code == status
    assert "gone" in capsys.readouterr().err
