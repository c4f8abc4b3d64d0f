"""``firstbell orders log``: what has happened to orders, as it was written down, and as it happens."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import click
from rich.markup import escape

from firstbell.cli.order_tail import Tail
from firstbell.cli.output import is_lost
from firstbell.cli.shell import Shell, foreign, shared_options
from firstbell.config import load
from firstbell.errors import RunError
from firstbell.journal.order_events import OrderEvent
from firstbell.journal.order_files import OrderFiles
from firstbell.journal.order_log import ORDER_LOG
from firstbell.journal.order_sources import lines_in
from firstbell.journal.order_words import words
from firstbell.log import older_parts
from firstbell.oms.office import Office

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo
    from pathlib import Path

    from firstbell.config import Settings

_LOOK_EVERY_S: Final = 0.2
_COLORS: Final[dict[str, str]] = {
    OrderEvent.ENTRY: "green",
    OrderEvent.EXIT: "cyan",
    OrderEvent.STOP_LOSS: "magenta",
    OrderEvent.TAKE_PROFIT: "bright_green",
    OrderEvent.CANCEL: "yellow",
    OrderEvent.MODIFY: "blue",
    OrderEvent.FAILED: "red",
}


@click.command(name="log")
@click.option("--follow", "-f", is_flag=True, help="Go on with what is written from now on, until Ctrl-C.")
@click.option("--rebuild", is_flag=True, help="Write the files anew from the journal.")
@click.option("--event", type=click.Choice([event.value for event in OrderEvent]), help="Only this event.")
@click.option("--account", metavar="NAME", help="Only this account, such as Order_Account1_Shahr.")
@click.option("-n", "number", type=click.IntRange(min=0), default=20, show_default=True, help="How many of the last.")
@shared_options
def log(shell: Shell, *, follow: bool, rebuild: bool, event: str | None, account: str | None, number: int) -> int:
    """Show the order log, or follow it, or write it anew.

    It has entries, exits, stop losses, take profits, cancels, changes and failures.

    With --json each is one line, as in the file orders.log. --rebuild writes the files anew from the journal, whole,
    and says how many events there are.
    """
    settings = load(shell.config)
    with Office(settings) as office:
        path, tz = office.logs_dir / ORDER_LOG, office.calendar.tz
        if rebuild:
            _rebuild(shell, office)
            if not follow:
                return 0
    accounts = None if account is None else _accounts(settings, account)

    def is_of_account(line: dict[str, Any]) -> bool:
        return line.get("event") is not None and (accounts is None or line.get("account") in accounts)

    def is_wanted(line: dict[str, Any]) -> bool:
        return is_of_account(line) and event in {None, line.get("event")}

    if account is not None and accounts == {account} and not _is_known(settings, path, account, is_of_account):
        names = ", ".join(each.name for each in settings.accounts)
        raise RunError(f"there is no account {account}, in the config or in the log; the config has {names}")
    tail = Tail(path)
    try:
        for line in _last(tail, number, is_wanted):
            _show(shell, line, tz)
        while follow and not is_lost():
            time.sleep(_LOOK_EVERY_S)
            for line in filter(is_wanted, tail.new()):
                _show(shell, line, tz)
    except KeyboardInterrupt:
        return 0
    finally:
        tail.close()
    return 0


def _accounts(settings: Settings, name: str) -> set[str]:
    """The accounts that a name stands for: itself, or those of a section with several instruments."""
    return {each.name for each in settings.accounts if each.section == name} or {name}


def _is_known(settings: Settings, path: Path, name: str, is_of_it: Callable[[dict[str, Any]], bool]) -> bool:
    """Whether there is such an account: in the config, or, where it is not there any more, in the log."""
    if any(each.name == name for each in settings.accounts):
        return True
    tail = Tail(path)
    try:
        return bool(_last(tail, 1, is_of_it))
    finally:
        tail.close()


def _rebuild(shell: Shell, office: Office) -> None:
    files = OrderFiles(office.logs_dir, office.settings.order_log, office.calendar.tz)
    try:
        count = files.rebuild(office.journal)
    finally:
        files.close()
    if shell.json:
        shell.print_json({"events": count})
    else:
        said = f"{count} events written anew from the journal: {escape(str(files.events.path))}"
        shell.out.print(said, soft_wrap=True)


def _show(shell: Shell, line: dict[str, Any], tz: tzinfo) -> None:
    if shell.json:
        shell.print_json_line(line)
        return
    color = _COLORS.get(str(line["event"]))
    text = foreign(words(line, tz))
    shell.out.print(f"[{color}]{text}[/]" if color else text, soft_wrap=True)


def _last(tail: Tail, number: int, is_wanted: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    """The last so many lines, oldest first; older parts of the log are opened only where they are needed."""
    found = list(filter(is_wanted, tail.new()))
    for part in older_parts(tail.path):
        if len(found) >= number:
            break
        try:
            found = [*filter(is_wanted, lines_in(part)), *found]
        except (OSError, EOFError):
            # It was put further aside, or removed for its age, at this very moment.
            continue
    return found[-number:] if number else []
