"""Canceling and changing from the shell: what the exit status says where it did not go well, in one process."""

from __future__ import annotations

import json

import pytest
from cli_paper import LIMIT, written
from click.testing import CliRunner

from firstbell.brokers.base import Outcome
from firstbell.brokers.paper.broker import PaperBroker
from firstbell.cli.main import cli
from firstbell.errors import NoAnswer, NotSent, Refused
from firstbell.model.terms import AttemptOutcome


@pytest.fixture
def firstbell(tmp_path, monkeypatch):
    config = written(tmp_path)
    monkeypatch.chdir(tmp_path)

    def call(*arguments, status=0, json_=True):
        asked = ["-c", str(config), *(["--json"] if json_ else []), "orders", *arguments]
        done = CliRunner().invoke(cli, asked, standalone_mode=False, catch_exceptions=False)
        assert done.return_value == status, done.output
        return json.loads(done.stdout) if json_ else done.stdout

    return call


@pytest.fixture
def order(firstbell):
    return firstbell("place", *LIMIT)["orders"][0]["client_order_id"]


def having(monkeypatch, call, answer):
    def say(*_args):
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(PaperBroker, call, say)


def test_a_cancel_that_nobody_answers_is_not_known_yet(firstbell, order, monkeypatch):
    having(monkeypatch, "cancel", NoAnswer("silence"))
    told = firstbell("cancel", order, status=3)
    assert told["status"] == "PENDING_CANCEL"
    assert "it is not known yet what became of it" in told["message"]


def test_a_cancel_that_nobody_answers_is_told_to_people(firstbell, order, monkeypatch):
    having(monkeypatch, "cancel", NoAnswer("silence"))
    said = " ".join(firstbell("cancel", order, status=3, json_=False).split())
    assert "Not canceled yet: the cancel has been asked for" in said


@pytest.mark.parametrize("error", [Refused("no such thing", host="paper", code=1502), NotSent("no network")])
def test_a_cancel_that_did_not_come_about_is_refused(firstbell, order, monkeypatch, error):
    having(monkeypatch, "cancel", error)
    told = firstbell("cancel", order, status=1)
    assert (told["status"], told["message"]) == ("ACCEPTED", str(error))


def test_a_cancel_that_came_about_has_nothing_to_say(firstbell, order):
    told = firstbell("cancel", order)
    assert (told["status"], told["message"]) == ("CANCELED", None)


@pytest.mark.parametrize(
    ("terms", "words", "code"),
    [
        (("--price", "9999"), "price band: 9,999", "PRICE_ERROR"),
        (("--quantity", "9000000"), "order size: 9,000,000", "QUANTITY_ERROR"),
    ],
)
def test_a_change_that_a_check_denies_is_denied(firstbell, order, terms, words, code):
    (told,) = firstbell("replace", order, *terms, status=1)["orders"]
    assert (told["status"], told["price"], told["error"]) == ("ACCEPTED", 4860, code)
    assert code in {each["code"] for each in told["verdicts"]}
    assert words in told["message"]
    assert words in " ".join(firstbell("replace", order, *terms, status=1, json_=False).split())


def test_a_change_that_its_broker_refuses_is_refused(firstbell, order, monkeypatch):
    having(monkeypatch, "replace", Outcome(AttemptOutcome.REJECTED, 1501, "not that price"))
    (told,) = firstbell("replace", order, "--price", "4850", status=1)["orders"]
    assert (told["status"], told["message"]) == ("ACCEPTED", "not that price")


def test_a_change_that_nobody_answers_is_not_known_yet(firstbell, order, monkeypatch):
    having(monkeypatch, "replace", NoAnswer("silence"))
    (told,) = firstbell("replace", order, "--price", "4850", status=3)["orders"]
    assert told["status"] == "PENDING_REPLACE"


def test_terms_that_an_order_has_already_are_sent_to_nobody(firstbell, order):
    (told,) = firstbell("replace", order, "--price", "4860")["orders"]
    assert told["message"] == "nothing would change: these are its terms already; nothing was sent"
    assert "PENDING_REPLACE" not in [each["report"] for each in firstbell("show", order)["reports"]]


def test_a_halt_stands_against_a_change(firstbell, order, tmp_path):
    halted = CliRunner().invoke(cli, ["-c", str(tmp_path / "config.ini"), "halt"], standalone_mode=False)
    assert halted.return_value in {0, None}
    (told,) = firstbell("replace", order, "--price", "4850", status=4)["orders"]
    assert "halted" in told["message"]
    assert told["price"] == 4860
