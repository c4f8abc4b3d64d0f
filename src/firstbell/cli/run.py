"""``firstbell run``: warm up, start Locust for the bell, and say what it came to."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn

import firstbell.sniper
from firstbell.cli.brokers import brokers_of
from firstbell.cli.shell import Shell, shared_options
from firstbell.cli.tables import print_results, print_unresolved, print_warnings
from firstbell.cli.warming import warm_with_progress
from firstbell.clock import exchange_now
from firstbell.config import load
from firstbell.errors import FirstbellError, RunError
from firstbell.log import set_up
from firstbell.oms.office import Office
from firstbell.oms.reconcile import PATIENCE_S, Reconciler
from firstbell.oms.recovery import recover
from firstbell.sniper import results
from firstbell.sniper.archive import put_back, recover_all
from firstbell.sniper.bell import choose_bell
from firstbell.sniper.context import new_run_id, record_of
from firstbell.sniper.environment import RunWishes

if TYPE_CHECKING:
    from datetime import datetime

    from firstbell.journal.base import RunRecord
    from firstbell.model.identifiers import RunId

_LOCUSTFILE: Final = Path(firstbell.sniper.__file__).with_name("locustfile.py")
_WARM_FROM: Final = timedelta(seconds=25)
"""With less time than this before the bell the run's own process logs in: nothing may be done twice then."""
_START_BEFORE: Final = timedelta(seconds=75)
"""Locust is started this long before the bell: it takes some seconds, and reads from 60 s before the bell on."""
_TOKENS_AGAIN: Final = timedelta(minutes=6)
"""Tokens that will not last are renewed from this long before the bell on, while a person can still type a captcha."""
_LOOK_EVERY_S: Final = 0.25
_WEB_PORT: Final = 8089
_UNKNOWN: Final = 3
_QUIET_S: Final = 1.5
_QUIET_AFTER_S: Final = 0.5
"""Nothing is drawn and nothing is read from this long before the bell until half a second after it."""


@click.command(context_settings={"ignore_unknown_options": False})
@click.option("--at", metavar="TIME", help="HH:MM:SS[.fff], the next such time at the exchange, or `now`.")
@click.option("--web", is_flag=True, help="Open Locust's page on 127.0.0.1 to watch, behind a log-in it prints.")
@click.option("--processes", type=click.IntRange(1, 64), help="Spread the accounts over so many processes.")
@click.option("--dry-run", is_flag=True, help="Do everything but send; exit status 0 when everything would be sent.")
@click.argument("locust_options", nargs=-1, type=click.UNPROCESSED)
@shared_options
def run(
    shell: Shell, *, at: str | None, web: bool, processes: int | None, dry_run: bool, locust_options: tuple[str, ...]
) -> int:
    """Fire at the bell: one order per account, each sent once.

    Without --at the bell is `order_time` of the config on the next trading day. What follows `--` goes to Locust:
    `firstbell run -- --html report.html`.

    \b
    Exit status:
      0  every configured order accepted
      1  some order rejected or not sent
      2  usage or config error, nothing was sent
      3  some order unresolved: `firstbell orders reconcile` goes on asking
    """  # noqa: D301 - the backspace is click's mark for lines that are not to be joined
    settings = load(shell.config)
    with Office(settings) as office:
        set_up(office.logs_dir, verbose=shell.verbose, console=False, tz=office.calendar.tz)
        office.keep_order_log()
        print_warnings(shell, settings.warnings)
        now = exchange_now(office.clock, office.calendar.tz)
        try:
            bell = choose_bell(at, settings, office.calendar, now)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--at") from error
        print_warnings(shell, bell.warnings)
        run_id = new_run_id(now)
        _resolve_what_is_left(shell, office, run_id, bell.at)
        record = record_of(run_id, bell.at, settings.enabled, str(settings.firstbell.results_dir))
        office.journal.begin_run(record)
        _write(office, record, ended=False)
        shell.err.print(
            f"Run [bold]{run_id}[/]: {len(settings.enabled)} accounts, bell at {bell.at.isoformat(sep=' ')}"
        )
        wanted = RunWishes(
            config=shell.config.absolute(),
            at=bell.at.isoformat(),
            run_id=run_id,
            dry=dry_run,
            verbose=shell.verbose,
            leashed=True,
        )
        command = _locust_command(web=web, processes=processes, more=locust_options)
        try:
            _before_the_bell(shell, office, bell.at)
        except KeyboardInterrupt:
            shell.err.print("Interrupted before anything was armed.")
        else:
            _watch(shell, office, record, _start(command, wanted))
        status = _conclude(shell, office, record)
        # A rehearsal that would have sent everything has done its work.
        return 0 if dry_run and _would_send_all(office, record) else status


def _would_send_all(office: Office, record: RunRecord) -> bool:
    notes = office.journal.notes(record.run_id)
    dry = {note.account for note in notes if note.kind == results.DRY}
    return all(line.account in dry for line in record.lines)


def _conclude(shell: Shell, office: Office, record: RunRecord) -> int:
    """Judge what is left over, write the results for good, and say them. Something may have left by now."""
    try:
        recover(office.journal, office.clock, record.run_id)
        document = _write(office, record, ended=True)
    except FirstbellError as error:
        shell.err.print(f"[red]The run's end could not be written down:[/] {escape(str(error))}")
        shell.err.print("Orders may have left. Mend this, then `firstbell orders reconcile`.")
        return _UNKNOWN
    if shell.json:
        shell.print_json(document)
    else:
        print_results(shell, document)
    return results.exit_status(row["outcome"] for row in document["orders"])


def _resolve_what_is_left(shell: Shell, office: Office, run_id: RunId, bell: datetime) -> None:
    """Start-up is recovery: ask for what earlier runs left unresolved, as long as there is time.

    What stays open is asked again by the run itself, login by login, before that login sends anything.
    """
    tz = office.calendar.tz
    if not recover_all(office.journal, office.clock, run_id, tz):
        return
    reconciler = Reconciler(brokers_of(office), office.journal, office.clock, run_id)
    time_left = (bell - exchange_now(office.clock, tz)) - _START_BEFORE
    patience_s = min(PATIENCE_S, max(0.0, time_left.total_seconds()))
    shell.err.print("Orders of earlier runs are unresolved; their brokers' lists are asked first.")
    outcome = reconciler.until_known(patience_s, lambda entries: print_unresolved(shell, entries))
    touched = {entry.run_id for name in outcome.looked if (entry := office.journal.entry(name)) is not None}
    put_back(office.journal, office.clock, touched, tz)


def _write(office: Office, record: RunRecord, *, ended: bool) -> dict[str, Any]:
    run = results.view(office.journal, record, ended=ended, now_ns=office.clock.wall_ns())
    document = results.document(run, office.calendar.tz)
    results.write(office.settings.firstbell.results_dir, document)
    return document


def _before_the_bell(shell: Shell, office: Office, bell: datetime) -> None:
    """Log in now, while there is time for a person to type captchas, and wait until Locust has to start."""
    tz = office.calendar.tz
    if bell - exchange_now(office.clock, tz) < _WARM_FROM:
        return
    renew_at, start_at = bell - _TOKENS_AGAIN, bell - _START_BEFORE
    last = bell + office.settings.firstbell.give_up_after
    if exchange_now(office.clock, tz) < renew_at:
        warm_with_progress(shell, office, tokens_until=None)
        _sleep_until(shell, office, renew_at, bell)
    warm_with_progress(shell, office, tokens_until=last)
    _sleep_until(shell, office, start_at, bell)


def _sleep_until(shell: Shell, office: Office, moment: datetime, bell: datetime) -> None:
    tz = office.calendar.tz
    if exchange_now(office.clock, tz) >= moment:
        return
    with _progress(shell) as progress:
        task = progress.add_task("", total=None)
        # The wall clock is looked at again each time: it may be set while we wait, and we wait for a wall-clock time.
        while (now := exchange_now(office.clock, tz)) < moment:
            progress.update(task, description=f"bell in {_countdown(bell - now)}")
            time.sleep(min(1.0, max(0.01, (moment - now).total_seconds())))


def _progress(shell: Shell) -> Progress:
    return Progress(SpinnerColumn(), TextColumn("{task.description}"), console=shell.err, transient=True)


def _countdown(left: timedelta) -> str:
    seconds = max(0, int(left.total_seconds()))
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _locust_command(*, web: bool, processes: int | None, more: tuple[str, ...]) -> list[str]:
    command = [sys.executable, "-m", "locust", "-f", str(_LOCUSTFILE), "--skip-log-setup", "--only-summary"]
    if not web:
        command.append("--headless")
    elif not any(option.startswith(("--web-port", "-P")) for option in more):
        command += ["--web-port", str(_port(_WEB_PORT))]
    if processes is not None:
        # A port of this run's own: on Locust's usual one, the workers of two runs would mix.
        port = str(_port(0))
        command += ["--processes", str(processes), "--master-bind-port", port, "--master-port", port]
        command += ["--master-bind-host", "127.0.0.1", "--master-host", "127.0.0.1"]
    return [*command, *more]


def _port(wanted: int) -> int:
    """The wanted port of this machine if it is free, else another one that is."""
    for number in (wanted, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", number))
            return int(probe.getsockname()[1])
    raise RunError("this machine has no port left on 127.0.0.1")


def _start(command: list[str], wanted: RunWishes) -> subprocess.Popen[bytes]:
    """Start Locust, in a process of its own.

    What it says on its error stream is handed on; its standard output is statistics that our table says better. Its
    standard input is a pipe that holds nothing and that we alone hold open: when it ends, by our own end or because
    we let go, the run lets nothing new leave. (From the keyboard Locust would take a `w` for one more user; a captcha
    is asked on the terminal itself.)
    """
    environment = {**os.environ, **wanted.as_environment()}
    try:
        return subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
    except OSError as error:
        raise RunError(f"Locust could not be started: {error.strerror}") from error


def _watch(shell: Shell, office: Office, record: RunRecord, child: subprocess.Popen[bytes]) -> None:
    """Show what is known while the run goes on, and let it end by itself: Ctrl-C and SIGTERM are passed on to it."""
    path = Path(record.results_dir) / record.run_id / "orders.json"
    tz = office.calendar.tz
    previous = signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    handing_on = threading.Thread(target=_hand_on, args=(shell, child), daemon=True)
    handing_on.start()
    try:
        with _progress(shell) as progress:
            task = progress.add_task("", total=None)
            while child.poll() is None:
                try:
                    left = record.bell - exchange_now(office.clock, tz)
                    seconds = left.total_seconds()
                    if -_QUIET_AFTER_S < seconds < _QUIET_S:
                        progress.update(task, description="the bell …")
                        time.sleep(max(0.0, seconds) + _QUIET_AFTER_S)
                        continue
                    progress.update(task, description=_standing(path, left))
                    child.wait(_LOOK_EVERY_S)
                except subprocess.TimeoutExpired:
                    continue
                except KeyboardInterrupt:
                    # The terminal has told Locust as well; where only we were told, it learns it by this.
                    _let_go(child)
                    progress.update(task, description="stopping: answers in flight are awaited …")
                    _await(child)
    finally:
        signal.signal(signal.SIGTERM, previous)
        _let_go(child)
        handing_on.join(_LOOK_EVERY_S)
        if child.stderr is not None:
            child.stderr.close()


def _hand_on(shell: Shell, child: subprocess.Popen[bytes]) -> None:
    """Print what Locust says, line by line, above what is being drawn."""
    with contextlib.suppress(ValueError):
        for line in child.stderr or ():
            shell.err.print(escape(line.decode("utf-8", "replace").rstrip("\n")), soft_wrap=True)


def _let_go(child: subprocess.Popen[bytes]) -> None:
    if child.stdin is not None:
        child.stdin.close()


def _await(child: subprocess.Popen[bytes]) -> None:
    try:
        child.wait(20)
    except subprocess.TimeoutExpired:
        child.terminate()
    except KeyboardInterrupt:
        child.terminate()


def _standing(path: Path, left: timedelta) -> str:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "starting"
    counts = {name: count for name, count in document["summary"].items() if count and name != "configured"}
    armed = sum(row["status"] == "INITIALIZED" for row in document["orders"])
    if left > timedelta(0):
        return f"bell in {_countdown(left)}; {armed} of {document['summary']['configured']} armed"
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items())
