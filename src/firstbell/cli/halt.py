"""``firstbell halt`` and ``firstbell resume``: the kill switch, and the end of what a limit on losses has called."""

from __future__ import annotations

import getpass
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from firstbell.cli.shell import Shell, foreign, shared_options
from firstbell.config.state_dir import state_dir_of
from firstbell.errors import RunError
from firstbell.oms.engines import Engines
from firstbell.risk.trading_state import Halt, HaltFile, TradingState, in_force, trading_state

if TYPE_CHECKING:
    from pathlib import Path

    from firstbell.journal.base import Owner

_AWAITED_S: Final = 2.0
"""How long the processes that were told are given to say that they have stopped, in seconds."""
_LOOK_EVERY_S: Final = 0.005
_FAILED: Final = 1
_LONGEST_WHY: Final = 1000


@click.command()
@click.option("--why", metavar="TEXT", default="called by hand", help="Why, for whoever finds it halted.")
@shared_options
def halt(shell: Shell, *, why: str) -> int:
    """The kill switch: no order leaves any more, now and after a restart, until `firstbell resume`.

    Every run of this config on this machine is told at once by a signal, and finds the halt in its state folder
    (halted.json) besides; workers on other machines are told by their master. Orders that have left are not taken back:
    `firstbell orders cancel` goes on working, and so does `firstbell orders reconcile`. It works with a config that is
    otherwise broken.

    Exit status 1 where some process could not be told or has not answered, or where the halt could not be written down
    and so would not survive a restart.
    """
    state_dir = _state_dir(shell)
    called = call(state_dir, _user(), why)
    if shell.json:
        state = TradingState.HALTED if called.failure is None else trading_state(state_dir)
        shell.print_json({**_facts(state, called.in_force), "failure": called.failure, "engines": _engines(called)})
    else:
        _print(shell, called)
    if called.failure is not None:
        shell.err.print(f"[red]It will not survive a restart:[/] {foreign(called.failure)}")
    else:
        tell_people(shell.config, called.in_force, None)
    return 0 if called.is_whole else _FAILED


@click.command()
@shared_options
def resume(shell: Shell) -> int:
    """End a halt: orders may leave again, in runs that are started from now on.

    It ends likewise what a limit on losses has called, halted or reducing (reducing.json); that limit counts anew from
    where the day stands then. A run that was halted stays ended. Look first at what stands against each order:
    `firstbell orders list`.
    """
    was = end(_state_dir(shell))
    if shell.json:
        shell.print_json({**_facts(TradingState.ACTIVE, None), "was": None if was is None else str(was)})
    elif was is None:
        shell.out.print("Trading was not halted.")
    else:
        shell.out.print(f"[green bold]{TradingState.ACTIVE}[/] again. It was {foreign(str(was))}")
    if was is not None:
        tell_people(shell.config, None, _user())
    return 0


@dataclass(frozen=True, slots=True)
class Called:
    """What came of calling a halt.

    Attributes:
        told: The processes that were told.
        deaf: Those that could not be, and why.
        pending: Those that have not answered in time.
        in_force: The halt that is in force now: perhaps one that had been called before; None where it could not be
            written down.
        failure: Why it could not be written down, and so will not survive a restart; None where it was.
    """

    told: list[Owner]
    deaf: dict[Owner, str]
    pending: list[Owner]
    in_force: Halt | None
    failure: str | None

    @property
    def is_whole(self) -> bool:
        """Whether it is written down and everybody has stopped."""
        return self.failure is None and not self.deaf and not self.pending

    @property
    def stands(self) -> str:
        """What is halted now, in words."""
        if self.failure is None:
            return "nothing leaves until `firstbell resume`."
        if self.told:
            return "only what runs now was told, and nothing keeps later runs from sending."
        return "it could not be written down, and orders may leave."

    def words(self, owner: Owner) -> str:
        """What came of telling one process."""
        return self.deaf.get(owner) or ("told; it has not answered yet" if owner in self.pending else "has stopped")


def call(state_dir: Path, by: str, why: str) -> Called:
    """Halt all trading of a state folder, durably and at once, and wait for those who were told.

    Args:
        state_dir: The state folder.
        by: Who does so.
        why: Why, in words.
    """
    file, engines = HaltFile.of(state_dir), Engines.of(state_dir)
    failure = None
    try:
        file.write(Halt(datetime.now(UTC), by, why[:_LONGEST_WHY]))
    except RunError as error:
        failure = str(error)
    told = engines.living()
    deaf = {owner: said for owner in told if (said := engines.tell(owner)) is not None}
    pending = _await(engines, [owner for owner in told if owner not in deaf])
    return Called(told, deaf, pending, file.read() if failure is None else None, failure)


def end(state_dir: Path) -> Halt | None:
    """End whatever halt is in force in a state folder, the lesser one too.

    Returns:
        What was in force; None where nothing was.

    Raises:
        RunError: It cannot be ended.
    """
    was = in_force(state_dir)
    for state in (TradingState.REDUCING, TradingState.HALTED):
        HaltFile.of(state_dir, state).remove()
    return was


def tell_people(config: Path, halt: Halt | None, resumed_by: str | None) -> None:
    """Have a halt or a resume told where alerts are configured, when all else is done; a broken config tells nobody."""
    # The kill switch does not wait for what this needs to be imported.
    from firstbell.cli.alerting import tell_of_halt  # noqa: PLC0415

    tell_of_halt(config, halt, resumed_by)


def _print(shell: Shell, called: Called) -> None:
    state = TradingState.HALTED if called.failure is None else f"NOT {TradingState.HALTED}"
    shell.out.print(f"[red bold]{state}[/]: {called.stands}")
    if called.in_force is not None:
        shell.out.print(foreign(str(called.in_force)))
    for owner in called.told:
        shell.out.print(f"  {foreign(str(owner))}: {foreign(called.words(owner))}")
    if not called.told:
        shell.out.print("No run is going on here.")


def _engines(called: Called) -> list[dict[str, Any]]:
    moving = {*called.deaf, *called.pending}
    return [{"pid": owner.pid, "stopped": owner not in moving} for owner in called.told]


def _state_dir(shell: Shell) -> Path:
    try:
        return state_dir_of(shell.config)
    except ValueError as error:
        raise click.UsageError(f"{shell.config}: {error}") from error


def _await(engines: Engines, told: list[Owner]) -> list[Owner]:
    """Wait until every process has said that it has stopped; those that have not."""
    until = time.monotonic() + _AWAITED_S
    pending = told
    while (pending := [owner for owner in pending if not engines.has_stopped(owner)]) and time.monotonic() < until:
        time.sleep(_LOOK_EVERY_S)
    return pending


def _facts(state: TradingState, halt: Halt | None) -> dict[str, Any]:
    since = None if halt is None or halt.since is None else halt.since.isoformat(timespec="microseconds")
    return {
        "state": state.value,
        "since": since,
        "by": None if halt is None else halt.by,
        "why": None if halt is None else halt.why,
    }


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        # Nobody of that number is known here, as in some containers.
        return f"user {os.getuid()}"
