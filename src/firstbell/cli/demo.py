"""``firstbell demo``: the whole of it on the simulated exchange, without an account and without a network."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import requests
from rich.markup import escape

from firstbell.cli.results import read_results
from firstbell.cli.shell import EXIT_INTERRUPTED, Shell, shared_options
from firstbell.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

ACCOUNTS: Final = 9
BELL_IN_S: Final = 20
_RESULTS: Final = Path("order_results")


@click.command()
@click.option("--accounts", type=click.IntRange(1, 60), default=ACCOUNTS, show_default=True, help="Over six brokers.")
@click.option(
    "--bell-in", type=click.IntRange(10, 300), default=BELL_IN_S, show_default=True, help="Seconds until the bell."
)
@click.option("--web", is_flag=True, help="Open Locust's page as well; it stays until Ctrl-C.")
@shared_options
def demo(shell: Shell, *, accounts: int, bell_in: int, web: bool) -> int:
    """See it all happen: a simulated exchange, a warm-up, the volley at its bell, the results.

    The exchange runs in a process of its own and speaks the brokers' wire over real HTTP on this machine. The results
    stay in ./order_results; everything else is gone afterwards.

    Exit status as of `firstbell run`: 0 when every account's order was accepted.
    """
    say = shell.err.print
    before = set(_RESULTS.glob("*/orders.json"))
    # Whoever ends it from outside, or closes its terminal, ends what it has started too.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    with tempfile.TemporaryDirectory(prefix="firstbell-demo-") as folder:
        config = Path(folder) / "config.ini"
        say(f"[bold]$ firstbell exchange --accounts {accounts} --bell-in {bell_in}s[/]   (in its own process)")
        with _exchange(config, accounts, bell_in) as exchange:
            _keep_results(config, _RESULTS.absolute())
            bell = datetime.fromisoformat(exchange["bell"])
            say(f"The simulated exchange listens at {exchange['address']}; its bell rings at {bell:%H:%M:%S.%f}.\n")
            if _firstbell(shell, config, "warmup") == EXIT_INTERRUPTED:
                return EXIT_INTERRUPTED
            web_option = ["--web"] if web else []
            # By its day too: on a slow machine it may have rung by then, and is not meant for tomorrow.
            status = _firstbell(shell, config, "run", "--at", bell.isoformat(), *web_option)
            runs = set(_RESULTS.glob("*/orders.json")) - before
            if status == EXIT_INTERRUPTED or not runs:
                return EXIT_INTERRUPTED
            document = read_results(_RESULTS.absolute(), runs.pop().parent.name)
            _compare(shell, exchange["address"], document)
    if shell.json:
        shell.print_json(document)
    else:
        say(f"The results stay in {_RESULTS / document['run'] / 'orders.json'}")
    return status


def _end(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


@contextlib.contextmanager
def _exchange(config: Path, accounts: int, bell_in: int) -> Iterator[dict[str, Any]]:
    """Run the simulated exchange in its own process; what it says of itself once it listens."""
    options = ["--accounts", str(accounts), "--bell-in", f"{bell_in}s", "--write-config", str(config)]
    command = [sys.executable, "-m", "firstbell", "exchange", "--json", *options]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True) as process:
        try:
            line = b"" if process.stdout is None else process.stdout.readline()
            if not line:
                raise RunError(f"the simulated exchange did not start (exit status {process.wait()})")
            yield json.loads(line)
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _keep_results(config: Path, results_dir: Path) -> None:
    text = config.read_text(encoding="utf-8")
    section = "[firstbell]\n"
    if text.count(section) != 1:
        raise RunError(f"{config} has no section [firstbell] of its own")
    config.write_text(text.replace(section, f"{section}results_dir = {results_dir}\n"), encoding="utf-8")


_OWN_PREFIXES: Final = ("FIRSTBELL_", "TELEGRAM_")
"""What would have the demo use another config, or tell people of orders that are none."""


def _firstbell(shell: Shell, config: Path, *command: str) -> int:
    shell.err.print(f"[bold]$ firstbell {' '.join(command)}[/]")
    # With --json the one document on standard output is ours.
    target = subprocess.DEVNULL if shell.json else None
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_OWN_PREFIXES)}
    arguments = [sys.executable, "-m", "firstbell", "-c", str(config), *command]
    process = subprocess.Popen(arguments, stdout=target, env=environment)
    interrupted = False
    try:
        while True:
            try:
                status = process.wait()
            except KeyboardInterrupt:
                # The terminal has told the command as well; it ends by itself and says what it knows.
                interrupted = True
            else:
                return EXIT_INTERRUPTED if interrupted and command[0] == "warmup" else status
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def _compare(shell: Shell, address: str, document: dict[str, Any]) -> None:
    """Hold what was reported against what the exchange saw."""
    with requests.Session() as session:
        session.trust_env = False
        seen = session.get(f"{address}/practice/orders", timeout=5).json()
    accepted = [call for call in seen["submissions"] if call["kind"] == "order" and call["decision"] == "accepted"]
    reported = sum(row["outcome"] == "accepted" for row in document["orders"])
    accounts = {row["account"] for row in accepted}
    words = f"The exchange's own list: {len(accepted)} orders accepted from {len(accounts)} accounts"
    if accepted:
        late = sorted(row["lateness_us"] for row in accepted)
        words += f", the first {late[0] / 1000:.1f} ms and the last {late[-1] / 1000:.1f} ms after the bell"
    shell.err.print(escape(f"{words}; {reported} reported.\n"))
