"""``firstbell run``: warm up, start Locust for the bell, and say what it came to."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

import firstbell.sniper
from firstbell.cli.brokers import brokers_of
from firstbell.cli.resolving import recovered
from firstbell.cli.run_alerts import RunAlerts
from firstbell.cli.shell import Shell, foreign, shared_options
from firstbell.cli.tables import print_results, print_unresolved, print_warnings
from firstbell.cli.warming import warm_with_progress
from firstbell.cli.watching import countdown, spinner, watch
from firstbell.clock import exchange_now
from firstbell.config import load
from firstbell.errors import FirstbellError, RunError
from firstbell.journal.base import Note
from firstbell.log import set_up
from firstbell.market.hours import OrderDays
from firstbell.model.instant import epoch_ns
from firstbell.oms.office import Office
from firstbell.oms.reconcile import PATIENCE_S, Reconciler
from firstbell.oms.recovery import recover
from firstbell.oms.run_id import new_run_id
from firstbell.risk.trading_state import HaltFile, in_force
from firstbell.sniper import results
from firstbell.sniper.archive import put_back
from firstbell.sniper.bell import choose_bell
from firstbell.sniper.context import record_of
from firstbell.sniper.dealing.sealing import refuse_master_by_hand, refuse_open_port
from firstbell.sniper.environment import RunWishes
from firstbell.sniper.page_password import refuse_told_open

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from firstbell.config import AccountSettings
    from firstbell.journal.base import RunRecord
    from firstbell.model.identifiers import RunId
    from firstbell.risk.trading_state import Halt

_LOCUSTFILE: Final = Path(firstbell.sniper.__file__).with_name("locustfile.py")
_WARM_FROM: Final = timedelta(seconds=25)
"""With less time than this before the bell the run's own process logs in: nothing may be done twice then."""
_START_BEFORE: Final = timedelta(seconds=75)
"""Locust is started this long before the bell: it takes some seconds, and reads from 60 s before the bell on."""
_TOKENS_AGAIN: Final = timedelta(minutes=6)
"""Tokens that will not last are renewed from this long before the bell on, while a person can still type a captcha."""
_WEB_PORT: Final = 8089
_UNKNOWN: Final = 3
_HALTED: Final = 4


@click.command(context_settings={"ignore_unknown_options": False})
@click.option("--at", metavar="TIME", help="HH:MM:SS[.fff], the next such time at the exchange, or `now`.")
@click.option("--web", is_flag=True, help="Open Locust's page on 127.0.0.1 to watch, behind a log-in it prints.")
@click.option("--processes", type=click.IntRange(1, 64), help="Spread the accounts over so many processes.")
@click.option("--dry-run", is_flag=True, help="Do everything but send; exit status 0 when everything would be sent.")
@click.option("--rehearse", is_flag=True, help="Play the run on simulated exchanges as far away as preflight measured.")
@click.argument("locust_options", nargs=-1, type=click.UNPROCESSED)
@shared_options
def run(
    shell: Shell,
    *,
    at: str | None,
    web: bool,
    processes: int | None,
    dry_run: bool,
    rehearse: bool,
    locust_options: tuple[str, ...],
) -> int:
    """Fire at the bell: one order per account, each sent once.

    Without --at the bell is `order_time` of the config on the next trading day. What follows `--` goes to Locust:
    `firstbell run -- --html report.html`. With `-- --master` the accounts are dealt to workers on other machines, which
    need no config: `firstbell key --help` says how.

    With --rehearse nothing real is touched: the whole run is played on exchanges of this machine that are as far away,
    and whose clocks are as far off, as the last `firstbell preflight` measured, and it says what lateness to expect.

    \b
    Exit status:
      0  every configured order accepted
      1  some order rejected or not sent
      2  usage or config error, nothing was sent
      3  some order unresolved: `firstbell orders reconcile` goes on asking
      4  trading is halted: `firstbell resume` ends that
    """  # noqa: D301 - the backspace is click's mark for lines that are not to be joined
    if rehearse:
        from firstbell.cli import rehearse as rehearsal  # noqa: PLC0415 - a real run knows no simulated exchange

        excluded = {"--at": at, "--web": web, "--dry-run": dry_run}
        return rehearsal.rehearse(shell, excluded=excluded, processes=processes, locust_options=locust_options)
    settings = load(shell.config)
    with Office(settings) as office:
        set_up(office.logs_dir, verbose=shell.verbose, console=False, tz=office.calendar.tz)
        office.keep_order_log()
        print_warnings(shell, settings.warnings)
        _refuse_roles(locust_options, journal_is_local=office.journal.is_local)
        refuse_open_port(locust_options)
        if web:
            refuse_told_open(locust_options)
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
        halts = HaltFile.of(office.state_dir)
        with RunAlerts(office, record) as told:
            if halts.is_there:
                return _end_halted(shell, office, record, halts.read(), told)
            if (reducing := in_force(office.state_dir)) is not None:
                print_warnings(shell, [f"trading is {reducing}; no buy leaves until `firstbell resume`"])
            shell.err.print(f"Run [bold]{run_id}[/]: {counted(settings.enabled)}, bell at {bell.at.isoformat(sep=' ')}")
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
                halted = _before_the_bell(shell, office, bell.at, told)
            except KeyboardInterrupt:
                shell.err.print("Interrupted before anything was armed.")
            else:
                if halted is not None:
                    return _end_halted(shell, office, record, halted, told)
                watch(shell, office, record, _start(command, wanted))
            status = _conclude(shell, office, record, told)
        if halts.is_there:
            shell.err.print(f"[red]Trading is {foreign(str(halts.read()))}[/]; `firstbell resume` ends that.")
            return _HALTED
        # A rehearsal that would have sent everything has done its work.
        return 0 if dry_run and _would_send_all(office, record) else status


def counted(accounts: Sequence[AccountSettings]) -> str:
    """How many accounts there are, and how many lines their instruments make in tables where those are more."""
    sections = len({account.section for account in accounts})
    words = f"{sections} account{'' if sections == 1 else 's'}"
    return words if len(accounts) == sections else f"{words}, {len(accounts)} lines"


def _refuse_roles(locust_options: tuple[str, ...], *, journal_is_local: bool) -> None:
    """Refuse to be what would only be refused by Locust's side, when the run has begun."""
    if "--worker" in locust_options:
        raise click.UsageError("a worker needs no config and no `firstbell run`: see `firstbell key --help`")
    if "--master" in locust_options:
        refuse_master_by_hand(journal_is_local)


def _end_halted(shell: Shell, office: Office, record: RunRecord, halt: Halt | None, told: RunAlerts) -> int:
    """End a run that has not begun, because trading is halted."""
    why = "halted, and resumed again" if halt is None else str(halt)
    for kind, text in ((results.NOT_SENT, why), (results.FINISHED, None)):
        office.journal.note(record.run_id, [Note(line.account, kind, text) for line in record.lines])
    _conclude(shell, office, record, told)
    shell.err.print(f"[red]Nothing was sent: trading is {foreign(why)}[/]; `firstbell resume` ends that.")
    return _HALTED


def _would_send_all(office: Office, record: RunRecord) -> bool:
    notes = office.journal.notes(record.run_id)
    dry = {note.account for note in notes if note.kind == results.DRY}
    return all(line.account in dry for line in record.lines)


def _conclude(shell: Shell, office: Office, record: RunRecord, told: RunAlerts) -> int:
    """Judge what is left over, write the results for good, and say them. Something may have left by now."""
    try:
        recover(office.journal, office.clock, record.run_id)
        document = _write(office, record, ended=True)
    except FirstbellError as error:
        shell.err.print(f"[red]The run's end could not be written down:[/] {foreign(str(error))}")
        shell.err.print("Orders may have left. Mend this, then `firstbell orders reconcile`.")
        if office.clock.wall_ns() >= epoch_ns(record.bell):
            with contextlib.suppress(RunError):
                # What was written while it could be is not to say that nothing was sent.
                results.doubt(office.settings.firstbell.results_dir, record.run_id)
        return _UNKNOWN
    if shell.json:
        shell.print_json(document)
    else:
        print_results(shell, document)
    told.over(document)
    return results.exit_status(row["outcome"] for row in document["orders"])


def _resolve_what_is_left(shell: Shell, office: Office, run_id: RunId, bell: datetime) -> None:
    """Start-up is recovery: ask for what earlier runs left unresolved, as long as there is time.

    What stays open is asked again by the run itself, login by login, before that login sends anything.
    """
    tz = office.calendar.tz
    if not recovered(shell, office, run_id):
        return
    reconciler = Reconciler(brokers_of(office), office.journal, office.clock, run_id, days=OrderDays(office.calendar))
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


def _before_the_bell(shell: Shell, office: Office, bell: datetime, told: RunAlerts) -> Halt | None:
    """Log in now, while there is time for a person to type captchas, and wait until Locust has to start.

    Returns:
        The halt that was called meanwhile, if one was.
    """
    tz = office.calendar.tz
    halts = HaltFile.of(office.state_dir)
    if bell - exchange_now(office.clock, tz) < _WARM_FROM:
        return halts.read()
    renew_at, start_at = bell - _TOKENS_AGAIN, bell - _START_BEFORE
    last = bell + office.settings.firstbell.give_up_after
    if exchange_now(office.clock, tz) < renew_at:
        told.warmed_up(warm_with_progress(shell, office, tokens_until=None))
        if _sleep_until(shell, office, renew_at, bell):
            return halts.read()
    told.warmed_up(warm_with_progress(shell, office, tokens_until=last))
    _sleep_until(shell, office, start_at, bell)
    return halts.read()


def _sleep_until(shell: Shell, office: Office, moment: datetime, bell: datetime) -> bool:
    """Wait for a moment; returns early, and True, when trading is halted."""
    tz, halts = office.calendar.tz, HaltFile.of(office.state_dir)
    if exchange_now(office.clock, tz) >= moment:
        return halts.is_there
    with spinner(shell) as progress:
        task = progress.add_task("", total=None)
        # The wall clock is looked at again each time: it may be set while we wait, and we wait for a wall-clock time.
        while (now := exchange_now(office.clock, tz)) < moment and not halts.is_there:
            progress.update(task, description=f"bell in {countdown(bell - now)}")
            time.sleep(min(1.0, max(0.01, (moment - now).total_seconds())))
    return halts.is_there


def _locust_command(*, web: bool, processes: int | None, more: tuple[str, ...]) -> list[str]:
    # Without -P, and by Locust's own module, what lies in the current folder would be imported.
    command = [sys.executable, "-P", "-m", "firstbell.sniper.start", "-f", str(_LOCUSTFILE)]
    command += ["--skip-log-setup", "--only-summary"]
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
