"""``firstbell alerts``: whether a message arrives, and commands from the chat."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import click

from firstbell.alerts.base import Message
from firstbell.cli.alerting import Alerts, messenger_of
from firstbell.cli.shell import Shell, foreign, shared_options
from firstbell.cli.tables import print_warnings
from firstbell.config import load
from firstbell.errors import AlertError, RunError
from firstbell.log import set_up
from firstbell.oms.office import Office

if TYPE_CHECKING:
    from firstbell.config import Settings

_CALL_S: Final = 10.0
_LOOK_S: Final = 0.5
_FAILED: Final = 1


@click.group()
def alerts() -> None:
    """Send a test message, or hear what the chat asks for."""


@alerts.command()
@shared_options
def test(shell: Shell) -> int:
    """Send one message to the chat now: is it taken?

    Exit status 0 when it was, else 1, with the reason.
    """
    settings = load(shell.config)
    messenger = messenger_of(settings)
    if messenger is None:
        raise RunError(_not_configured(settings))
    bot, problem = None, None
    page = messenger.pages([Message("firstbell", ("Alerts arrive here.", f"config: {settings.file.name}"))])[0]
    try:
        bot = messenger.who(_CALL_S)
        messenger.send(page, _CALL_S)
    except AlertError as error:
        problem = str(error)
    if shell.json:
        shell.print_json({"arrived": problem is None, "messenger": messenger.name, "bot": bot, "problem": problem})
    elif problem is None:
        shell.out.print(f"[green]ok[/]: {messenger.name} has taken the message from @{foreign(bot or '')}.")
    else:
        shell.out.print(f"[red]not arrived[/]: {foreign(problem)}")
    return 0 if problem is None else _FAILED


@alerts.command()
@shared_options
def listen(shell: Shell) -> int:
    """Hear and do what the chat asks for, until Ctrl-C.

    Halts are told there too.

    The commands are /status /orders /positions /results /halt /resume /help. `firstbell run` hears them as well while
    it waits and when the answers are in, but is quiet around the bell: for a /halt that is heard at any time, have this
    run beside it, in a terminal of its own.

    Exit status 1 where the messenger refuses us for good, or another process listens already.
    """
    settings = load(shell.config)
    if messenger_of(settings) is None:
        raise RunError(_not_configured(settings))
    if not settings.telegram.commands:
        raise RunError("[telegram] commands = no: write yes to have commands heard")
    with Office(settings) as office:
        set_up(office.logs_dir, verbose=shell.verbose, console=True, tz=office.calendar.tz)
        print_warnings(shell, settings.warnings)
        opened = Alerts.of(office)
        if opened is None:
            raise RunError(_not_configured(settings))
        with opened:
            if not opened.stand_for_all():
                shell.err.print("[red]Another process of this state_dir hears commands already.[/]")
                return _FAILED
            shell.err.print("Commands of the chat are carried out. Ctrl-C ends that.")
            return _stay(opened)


def _stay(opened: Alerts) -> int:
    try:
        while opened.listener is not None and opened.listener.ended is None:
            time.sleep(_LOOK_S)
            opened.look_for_halts()
    except KeyboardInterrupt:
        return 0
    return _FAILED


def _not_configured(settings: Settings) -> str:
    missing = [
        name
        for name, value in (("bot_token", settings.telegram.bot_token), ("chat_id", settings.telegram.chat_id))
        if value is None
    ]
    return f"[telegram] {' and '.join(missing)}: not set, in the config or as TELEGRAM_BOT_TOKEN and TELEGRAM_CHAT_ID"
