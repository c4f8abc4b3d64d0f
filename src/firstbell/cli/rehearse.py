"""``firstbell run --rehearse``: tomorrow's run today, against simulated exchanges as far away as the measured hosts."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.markup import escape

from firstbell.cli.tables import add_columns, plain_table, print_results, print_table, print_warnings
from firstbell.clock import SystemClock, exchange_now
from firstbell.config import load
from firstbell.errors import RunError
from firstbell.market import calendar
from firstbell.simulator.ephoenix.config_file import write_config
from firstbell.sniper import measured
from firstbell.sniper.rehearsal import on_stage, prepare
from firstbell.sniper.rehearsal_config import rehearsal_config
from firstbell.sniper.rehearsed import judge

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from types import FrameType

    from firstbell.cli.shell import Shell
    from firstbell.sniper.measured import MeasuredHost
    from firstbell.sniper.rehearsal import Rehearsal
    from firstbell.sniper.rehearsed import HostOutcome, Lateness

_OWN_PREFIXES: Final = ("FIRSTBELL_", "LOCUST_", "TELEGRAM_")
_PROXIES: Final = frozenset({"http_proxy", "https_proxy", "all_proxy", "no_proxy"})
_ENDS_WITHIN_S: Final = 30
_DISAGREES: Final = 3


def rehearse(
    shell: Shell, *, excluded: Mapping[str, object], processes: int | None, locust_options: tuple[str, ...]
) -> int:
    """Play a whole run, and say what lateness to expect.

    Args:
        shell: The shared options.
        excluded: The options that a rehearsal does not take, and what they were given.
        processes: Over how many processes to spread the accounts.
        locust_options: What goes to Locust.

    Returns:
        The exit status of the run, 0 when everything was accepted.

    Raises:
        UsageError: An option was given that a rehearsal does not take.
        ConfigError: The config cannot be used.
        RunError: Paths and clocks were not measured, or the run could not be played.
    """
    if given := [name for name, value in excluded.items() if value]:
        raise click.UsageError(
            f"--rehearse rings a bell of its own on exchanges of its own: leave out {' and '.join(given)}"
        )
    settings = load(shell.config)
    print_warnings(shell, settings.warnings)
    rehearsal = prepare(settings, measured.load(settings.firstbell.state_dir))
    clock, tz = SystemClock(), calendar(settings.firstbell.market).tz
    print_warnings(shell, rehearsal.warnings(exchange_now(clock, tz)))
    with _ended_by_signals(), tempfile.TemporaryDirectory(prefix="firstbell-rehearsal-") as name:
        folder = Path(name)
        bell = _whole_second(exchange_now(clock, tz) + rehearsal.bell_in)
        with on_stage(rehearsal, bell, folder) as exchanges:
            config = folder / "config.ini"
            write_config(config, rehearsal_config(rehearsal, exchanges, bell, folder))
            _announce(shell, rehearsal, bell)
            # What has been made until now stays; collecting it again and again would only delay orders.
            gc.freeze()
            status, document = _play(shell, config, bell, processes, locust_options)
        # The exchanges' threads have ended: their records are ours.
        outcomes = judge(rehearsal, exchanges, document)
    doubts = [f"{', '.join(each.codes)}: {each.doubt}" for each in outcomes if each.doubt is not None]
    print_warnings(shell, doubts)
    if shell.json:
        shell.print_json(_document(rehearsal, bell, outcomes, document))
    else:
        print_results(shell, document)
        _print_outcomes(shell, rehearsal, outcomes)
    return max(status, _DISAGREES) if doubts else status


def _whole_second(moment: datetime) -> datetime:
    return moment.replace(microsecond=0) + timedelta(seconds=1)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let whoever ends us from outside, or closes our terminal, end what we have started too."""
    previous = {number: signal.signal(number, _end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _end(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _announce(shell: Shell, rehearsal: Rehearsal, bell: datetime) -> None:
    say = shell.err.print
    count = len(rehearsal.accounts)
    accounts = "1 account" if count == 1 else f"{count} accounts"
    say(f"[bold]A rehearsal:[/] {accounts} on the simulated exchange; no broker is spoken to.")
    for stage in rehearsal.stages:
        host = stage.host
        there = f"{_round_trips(host)} ms there and back, its clock {host.offset_ms:+.1f} ms from ours"
        say(escape(f"  {', '.join(stage.codes)}: {there}"))
    say(f"Its bell rings at {bell:%H:%M:%S}.")


def _play(
    shell: Shell, config: Path, bell: datetime, processes: int | None, more: tuple[str, ...]
) -> tuple[int, dict[str, Any]]:
    """Run ``firstbell run`` as a user would, in a process of its own.

    Returns:
        Its exit status, and the ``orders.json`` that it printed.

    Raises:
        RunError: It came to no results.
    """
    command = [sys.executable, "-m", "firstbell", "-c", str(config), "--json", *["-v"] * shell.verbose]
    command += ["run", "--at", bell.isoformat()]
    command += [] if processes is None else ["--processes", str(processes)]
    command += ["--", *more] if more else []
    # In a session of its own, so that Ctrl-C reaches it once, by us.
    with subprocess.Popen(
        command, env=_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        try:
            said, _ = process.communicate()
        finally:
            _finish(process)
    try:
        document: dict[str, Any] = json.loads(said)
    except ValueError:
        raise RunError(f"the rehearsed run ended without results (exit status {process.returncode})") from None
    return process.returncode, document


def _environment() -> dict[str, str]:
    """Our own environment, without what would lead the rehearsal elsewhere."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_OWN_PREFIXES) and name.lower() not in _PROXIES
    }


def _finish(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=_ENDS_WITHIN_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        os.killpg(process.pid, signal.SIGKILL)


def _print_outcomes(shell: Shell, rehearsal: Rehearsal, outcomes: tuple[HostOutcome, ...]) -> None:
    table = plain_table("Rehearsed   first / median / last order of a login, ms after the bell")
    add_columns(table, "broker", "host")
    add_columns(table, "round trip, ms", "clock, ms", "expected", "the exchange saw", "the run believed", numbers=True)
    add_columns(table, "accepted", "early", "attempts", numbers=True)
    for each in outcomes:
        table.add_row(
            ", ".join(each.codes),
            each.host.url,
            _round_trips(each.host),
            f"{each.host.offset_ms:+.1f} ± {each.host.uncertainty_ms:.1f}",
            "" if each.host.expected_delay_ms is None else f"{each.host.expected_delay_ms:.1f}",
            _spread(each.seen),
            _spread(each.believed),
            f"{each.accepted} of {each.orders}",
            str(each.early),
            _attempts(each),
        )
    shell.out.print()
    print_table(shell.out, table)
    shell.out.print("[bold]To be expected tomorrow[/]")
    for words in _words(rehearsal, outcomes):
        shell.out.print(escape(f"  {words}"), soft_wrap=True)


def _words(rehearsal: Rehearsal, outcomes: tuple[HostOutcome, ...]) -> list[str]:
    """What to expect tomorrow, in plain sentences."""
    measured_at = rehearsal.measured_at.astimezone(calendar(rehearsal.settings.firstbell.market).tz)
    holds = f"This holds as far as paths and clocks are what they were on {measured_at:%Y-%m-%d at %H:%M}."
    own = (
        "The simulated exchange shares this machine with the run: other programs that are busy now make it look later."
    )
    return [*(f"{each.words}." for each in outcomes), f"{holds} {own}"]


def _round_trips(host: MeasuredHost) -> str:
    trips = sorted(host.round_trips_ms)
    return f"{trips[0]:.1f} to {trips[-1]:.1f}"


def _spread(lateness: Lateness | None) -> str:
    if lateness is None:
        return ""
    return " / ".join(f"{us / 1000:.1f}" for us in (lateness.first, lateness.median, lateness.last))


def _attempts(outcome: HostOutcome) -> str:
    if outcome.attempts is None:
        return ""
    fewest, most = outcome.attempts
    return str(most) if fewest == most else f"{fewest} to {most}"


def _document(
    rehearsal: Rehearsal, bell: datetime, outcomes: tuple[HostOutcome, ...], results: dict[str, Any]
) -> dict[str, Any]:
    return {
        "measured_at": rehearsal.measured_at.isoformat(),
        "bell": bell.isoformat(timespec="milliseconds"),
        "left_out": dict(rehearsal.left_out),
        "hosts": [_host(each) for each in outcomes],
        "expect": _words(rehearsal, outcomes),
        "run": results,
    }


def _host(outcome: HostOutcome) -> dict[str, Any]:
    host = outcome.host
    trips = sorted(host.round_trips_ms)
    return {
        "broker_codes": list(outcome.codes),
        "url": host.url,
        "offset_ms": float(host.offset_ms),
        "uncertainty_ms": float(host.uncertainty_ms),
        "round_trip_ms": {"min": float(trips[0]), "median": float(trips[len(trips) // 2]), "max": float(trips[-1])},
        "expected_delay_ms": None if host.expected_delay_ms is None else float(host.expected_delay_ms),
        "logins": outcome.logins,
        "orders": outcome.orders,
        "accepted": outcome.accepted,
        "lateness_us": None if outcome.seen is None else asdict(outcome.seen),
        "believed_lateness_us": None if outcome.believed is None else asdict(outcome.believed),
        "attempts": None if outcome.attempts is None else {"fewest": outcome.attempts[0], "most": outcome.attempts[1]},
        "early_attempts": outcome.early,
        "doubt": outcome.doubt,
    }
