"""``firstbell exchange`` as a real process."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import requests
from click.testing import CliRunner

from firstbell.cli.exchange import exchange
from firstbell.cli.exchange_events import event_line
from firstbell.cli.main import cli
from firstbell.config import load
from firstbell.errors import SimulatorError
from firstbell.market import Phase
from firstbell.simulator.record import CaptchaDrawn, Decision, Login, PhaseBegan, Submission

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Process:
    def __init__(self, child: subprocess.Popen[str]) -> None:
        self.child = child
        assert child.stdout is not None
        self.line = child.stdout.readline()
        self.document: dict[str, Any] = json.loads(self.line)
        self.output = self.errors = ""

    def end(self, number: signal.Signals) -> int:
        self.child.send_signal(number)
        self.output, self.errors = self.child.communicate(timeout=30)
        return self.child.returncode


@contextmanager
def started(*options: str) -> Iterator[Process]:
    command = [sys.executable, "-m", "firstbell", "exchange", "--json", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        try:
            yield Process(child)
        finally:
            if child.poll() is None:
                child.kill()
                child.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_line_says_everything_and_a_signal_ends_it_cleanly(number: signal.Signals) -> None:
    before = datetime.now(UTC)
    with started("--accounts", "7", "--bell-in", "1h") as running:
        document = running.document
        assert requests.get(f"{document['address']}/practice/orders", timeout=20).json()["submissions"] == []
        assert running.end(number) == 0
        assert running.output == ""
        assert "0 orders" in running.errors
    assert set(document["ports"]) == {"gs", "bbi", "shahr", "karamad", "tejarat", "shams"}
    assert len(set(document["ports"].values())) == 1
    assert document["ca_file"] is None
    bell = datetime.fromisoformat(document["bell"])
    assert bell.utcoffset() == timedelta(hours=3, minutes=30)
    assert bell.microsecond == 0
    assert timedelta(hours=1) <= bell - before < timedelta(hours=1, minutes=10)
    assert [each["username"] for each in document["accounts"]] == [f"practice{n:02}" for n in range(1, 8)]
    assert {"password", "broker_code", "money", "isin", "holdings"} <= set(document["accounts"][0])


def test_the_written_config_is_read_without_a_warning_and_leads_to_this_exchange(tmp_path: Path) -> None:
    config = tmp_path / "practice.ini"
    options = ["--accounts", "6", "--port-per-broker", "--tls", str(tmp_path / "tls"), "--write-config", str(config)]
    with started(*options, "--bell", "08:45:00") as running:
        document = running.document
        assert stat.S_IMODE(config.stat().st_mode) == 0o600
        settings = load(config)
        assert settings.warnings == ()
        assert settings.firstbell.order_time.isoformat() == "08:45:00"
        assert settings.captcha.url is not None
        assert settings.captcha.url.get_secret_value() == f"{document['practice_address']}/practice/captcha"
        for account, told in zip(settings.enabled, document["accounts"], strict=True):
            assert account.username == told["username"]
            assert account.password.get_secret_value() == told["password"]
            assert account.isin == told["isin"]
            broker = settings.broker(account.broker_code)
            address = f"https://127.0.0.1:{document['ports'][told['broker_code']]}"
            hosts = {broker.identity_url, broker.api_url, broker.market_data_url, broker.backoffice_url}
            assert hosts == {address}
            assert str(broker.ca_file) == document["ca_file"]
            answer = requests.get(f"{address}/api/Captcha/GetCaptcha", verify=document["ca_file"], timeout=20)
            assert answer.status_code == 200
        assert running.end(signal.SIGINT) == 0


def test_accounts_come_from_a_file_and_events_go_to_standard_error(tmp_path: Path) -> None:
    file = tmp_path / "accounts.json"
    secret = "رمز%;#= 'pass"
    entry = {"username": "ali", "password": secret, "broker_code": "farabi", "money": -5}
    file.write_text(json.dumps([entry]), encoding="utf-8")
    with started("-v", "--accounts-file", str(file), "--offset-ms", "-1500.5") as running:
        (account,) = running.document["accounts"]
        assert (account["password"], account["money"]) == (secret, -5)
        assert "farabi" in running.document["ports"]
        address = running.document["address"]
        assert requests.get(f"{address}/api/Captcha/GetCaptcha", timeout=20).status_code == 200
        assert requests.post(f"{address}/api/v2/orders/NewOrder", timeout=20).status_code == 401
        assert running.end(signal.SIGTERM) == 0
        assert "captcha drawn" in running.errors
        assert "?/? order: unauthorized" in running.errors
        assert secret not in running.errors


def test_people_get_tables() -> None:
    command = [sys.executable, "-m", "firstbell", "exchange", "--accounts", "2", "--port-per-broker"]
    environment = {**os.environ, "COLUMNS": "120", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
        assert child.stdout is not None
        lines = []
        while not lines or "Ctrl-C" not in lines[-1]:
            lines.append(child.stdout.readline())
            assert lines[-1]
        child.send_signal(signal.SIGINT)
        rest, _ = child.communicate(timeout=30)
    text = "".join(lines)
    assert child.returncode == 0
    for expected in ("http://127.0.0.1:", "practice02", "1,000,003,827", "مهرگان", "5,520 to 5,860", "shams"):
        assert expected in text
    assert "0 log-ins" in rest


def refused(*options: str) -> str:
    result = CliRunner().invoke(cli, ["exchange", *options])
    assert result.exit_code == 2
    return " ".join(result.output.replace("│", " ").split())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--host", "0.0.0.0"], "no loopback address"),  # noqa: S104 - it is refused
        (["--host", "example.org"], "no loopback address"),
        (["--bell-in", "20"], "no duration; write 20s"),
        (["--bell-in", "-5s"], "no duration"),
        (["--bell-in", "9" * 5000 + "s"], "no duration"),
        (["--speed", "1e999999999"], "no number"),
        (["--bell", "25:00"], "no time; write 08:45:00"),
        (["--bell", "08:45:00+03:30"], "names a time zone"),
        (["--speed", "0"], "a speed is positive"),
        (["--speed", "fast"], "no number"),
        (["--fault", "dealy"], "no fault 'dealy'"),
        (["--bell", "08:45:00", "--bell-in", "5s"], "give one"),
        (["--accounts", "0"], "0 is not in the range"),
        (["--accounts", "2", "--accounts-file", __file__], "give one"),
        (["--sells", "2", "--accounts-file", __file__], "write side"),
    ],
)
def test_wrong_options_are_refused_with_what_would_be_right(options: list[str], message: str) -> None:
    assert message in refused(*options)


def test_an_existing_config_is_left_alone(tmp_path: Path) -> None:
    config = tmp_path / "config.ini"
    config.write_text("mine")
    result = CliRunner().invoke(exchange, ["--write-config", str(config)])
    assert isinstance(result.exception, SimulatorError)
    assert "there already" in str(result.exception)
    assert config.read_text() == "mine"


def test_a_taken_port_is_told() -> None:
    with started("--bell-in", "1h") as running:
        result = CliRunner().invoke(exchange, ["--port", str(running.document["ports"]["gs"])])
        assert isinstance(result.exception, SimulatorError)
        assert "cannot listen" in str(result.exception)


def test_help_names_every_fault() -> None:
    text = CliRunner().invoke(cli, ["exchange", "--help"]).output
    for expected in ("drop_after_accept", "token_ends_at_bell", "--write-config", "a rehearsal".capitalize()):
        assert expected in text


def test_events_read_well() -> None:
    at = 1_795_230_900_000_412_000
    order = Submission("order", "gs", "ali", at, 412, Decision.REFUSED)
    order.code, order.detail, order.faults = 1017, "no orders are taken while the market is CLOSED", ["delay"]
    order.side, order.isin = "buy", "IRO1MHRN0001"
    assert event_line(order, UTC).endswith(
        "gs/ali order: refused (1017: no orders are taken while the market is CLOSED), +412 µs [delay]"
    )
    assert event_line(Login("gs", "ali", at, 3000), UTC).endswith("gs/ali log-in refused (3000)")
    assert event_line(Login("gs", "ali", at, 0), UTC).endswith("gs/ali logged in")
    assert event_line(CaptchaDrawn(at, 429), UTC).endswith("captcha refused")
    assert event_line(PhaseBegan(Phase.ORDER_ENTRY, at), UTC).endswith("the market is ORDER_ENTRY")
