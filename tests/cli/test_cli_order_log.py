"""`firstbell orders log`, the real command: what has happened to orders, followed and written anew."""

from __future__ import annotations

import json
import os
import queue
import signal
import threading
from contextlib import ExitStack, closing

import pytest
from cli_paper import CONFIG, LIMIT

from firstbell.config.order_log_settings import OrderLogSettings
from firstbell.journal.order_files import OrderFiles
from firstbell.journal.order_logger import OrderLogger
from firstbell_process import Process, run_firstbell

DEADLINE_S = 30.0


class House:
    """A config, and the command beside it."""

    def __init__(self, folder):
        self.folder = folder
        self.config = folder / "config.ini"
        self.config.write_text(CONFIG)
        self.config.chmod(0o600)
        self.logs = folder / ".firstbell" / "logs"
        self._closed_at_the_end = ExitStack()

    def command(self, *arguments):
        return ["-c", self.config, "orders", *arguments]

    def orders(self, *arguments, status=0):
        done = run_firstbell(self.command(*arguments), cwd=self.folder)
        assert done.returncode == status, (done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done.stdout

    def log(self, *arguments):
        return self.orders("log", *arguments)

    def lines(self, *arguments):
        return [json.loads(line) for line in self.log("--json", *arguments).splitlines()]

    def logger(self, account="Order_Paper", **settings):
        (self.folder / ".firstbell").mkdir(mode=0o700, exist_ok=True)
        files = self._closed_at_the_end.enter_context(closing(OrderFiles(self.logs, OrderLogSettings(**settings))))
        return OrderLogger(files, account=account)

    def close(self):
        self._closed_at_the_end.close()


@pytest.fixture
def house(tmp_path):
    with closing(House(tmp_path)) as house:
        yield house


@pytest.fixture
def follow(house):
    """Follow the log in a process of its own; each line that it prints, when it comes."""
    started = []

    def start(*arguments):
        environment = os.environ | {"PYTHONUNBUFFERED": "1"}
        process = Process(house.command("log", "--follow", *arguments), env=environment)
        came = queue.Queue()
        reader = threading.Thread(target=lambda: [came.put(line) for line in process.stdout], daemon=True)
        reader.start()
        started.append((process, reader))
        return process, came

    yield start
    for process, reader in started:
        if process.poll() is None:
            process.kill()
        process.wait()
        reader.join()
        process.stdout.close()
        process.stderr.close()


def ended(process):
    process.send_signal(signal.SIGINT)
    status = process.wait(DEADLINE_S)
    return status, process.stderr.read()


def test_without_any_order_there_is_nothing(house):
    assert house.log() == ""


def test_an_order_is_an_entry_a_change_and_a_cancel(house):
    (placed,) = json.loads(house.orders("place", "--json", *LIMIT))["orders"]
    name = placed["client_order_id"]
    house.orders("replace", name, "--price", "4850")
    house.orders("cancel", name)
    found = house.lines()
    assert [(line["event"], line["price"], line["client_order_id"]) for line in found] == [
        ("entry", 4860, name),
        ("modify", 4850, name),
        ("cancel", 4850, name),
    ]
    entry, modify, cancel = house.log().splitlines()
    assert "ENTRY       Order_Paper (paper) buy 1,000 IRO1FOLD0001 at 4,860, id " in entry
    assert "MODIFY" in modify
    assert "CANCEL" in cancel
    assert (house.logs / "trading_orders.log").read_text(encoding="utf-8").splitlines() == [entry, modify, cancel]
    assert [line["event"] for line in house.lines("-n", "1")] == ["cancel"]
    assert [line["event"] for line in house.lines("--event", "modify")] == ["modify"]
    for file in ("orders.log", "trading_orders.log"):
        (house.logs / file).unlink()
    assert house.log("--rebuild").startswith("3 events written anew")
    assert house.lines() == found


def test_an_account_that_nobody_knows_is_an_error_and_one_of_earlier_or_of_a_section_is_found(house):
    house.logger("Order_Gone").log_order_cancel("gs", "I", "7")
    house.logger("Order_Two.IRO1MHRN0001").log_order_cancel("gs", "I", "8")
    two = "[Order_Two]\nusername = two\npassword = x\nbroker_code = paper\nisin = IRO1FOLD0001, IRO1MHRN0001\n"
    house.config.write_text(f"{CONFIG}\n{two}")
    assert house.lines("--account", "Order_Paper") == []
    assert [line["venue_order_id"] for line in house.lines("--account", "Order_Gone")] == ["7"]
    assert house.lines("--account", "Order_Gone", "--event", "entry") == []
    for name in ("Order_Two", "Order_Two.IRO1MHRN0001"):
        assert [line["venue_order_id"] for line in house.lines("--account", name)] == ["8"]
    for more in ([], ["--follow"], ["--json"]):
        done = run_firstbell(house.command("log", "--account", "NOPE", *more))
        assert (done.returncode, done.stdout) == (2, "")
        assert (
            "there is no account NOPE, in the config or in the log; the config has Order_Paper, Order_Two"
            in done.stderr
        )


def test_the_last_are_found_in_compressed_parts_too(house):
    logger = house.logger(max_size=1024, keep=100)
    for number in range(30):
        logger.log_order_cancel("gs", "I", str(number))
    assert [line["venue_order_id"] for line in house.lines("-n", "25")] == [str(number) for number in range(5, 30)]
    assert house.lines("-n", "0") == []


def test_persian_stays_and_what_would_command_a_terminal_does_not(house):
    house.logger().log_order_failed("gs", "I", "buy", 1, 1, "بازار بسته است \x1b[31m\u202e [red]")
    (text,) = house.log().splitlines()
    assert text.endswith(r"بازار بسته است \x1b[31m\u202e [red]")


def test_a_line_break_in_a_brokers_words_makes_no_second_event(house):
    forged = "no money\n2026-11-21T05:15:00.000000+00:00 ENTRY Order_Paper (paper) buy 999 FORGED at 1"
    house.logger().log_order_failed("gs", "I", "buy", 1, 1, forged)
    (shown,) = house.log().splitlines()
    assert "\\n2026-11-21T05:15:00.000000+00:00 ENTRY" in shown
    assert house.lines()[0]["reason"] == forged


def test_it_is_followed_across_rotations_until_ctrl_c(house, follow):
    logger = house.logger(max_size=1024, keep=100)
    logger.log_order_cancel("gs", "I", "before")
    process, came = follow("--json")
    assert json.loads(came.get(timeout=DEADLINE_S))["venue_order_id"] == "before"
    for number in range(12):
        logger.log_order_cancel("gs", "I", str(number))
        assert json.loads(came.get(timeout=DEADLINE_S))["venue_order_id"] == str(number)
    assert len(list(house.logs.glob("orders.log.*"))) > 2
    assert ended(process) == (0, "")


def test_a_file_that_is_not_there_yet_is_waited_for(house, follow):
    process, came = follow("--event", "failed")
    # It has begun to look when it answers to a signal in its own way; until then nothing has to be there.
    logger = house.logger()
    logger.log_order_cancel("gs", "I", "7")
    logger.log_order_failed("gs", "I", "buy", 1, 1, "why")
    text = came.get(timeout=DEADLINE_S)
    assert "FAILED" in text
    assert text.endswith("why\n")
    assert ended(process) == (0, "")


def test_written_anew_and_followed(house, follow):
    house.orders("place", *LIMIT)
    process, came = follow("--rebuild")
    assert came.get(timeout=DEADLINE_S).startswith("1 events written anew")
    assert "ENTRY" in came.get(timeout=DEADLINE_S)
    house.logger().log_order_cancel("gs", "I", "7")
    assert "CANCEL" in came.get(timeout=DEADLINE_S)
    assert ended(process) == (0, "")


def test_an_event_that_is_none_is_refused(house):
    assert house.orders("log", "--event", "whatever", status=2) == ""
