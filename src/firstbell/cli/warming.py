"""Warming up with a progress bar, for the commands that do it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from firstbell.oms import symbols
from firstbell.oms.logins import logins_of
from firstbell.sniper.warmup import warm_up

if TYPE_CHECKING:
    from datetime import datetime

    from firstbell.cli.shell import Shell
    from firstbell.oms.logins import Login
    from firstbell.oms.office import Office
    from firstbell.sniper.warmup import WarmAccount


def warm_with_progress(shell: Shell, office: Office, tokens_until: datetime | None) -> list[WarmAccount]:
    """Warm up every account, and show how far it is.

    Args:
        shell: Where to draw.
        office: The opened rooms.
        tokens_until: Renew tokens that end before this.
    """
    logins = logins_of(office.settings.enabled)
    doing: dict[str, str] = {}
    lock = threading.Lock()
    # With a person at a captcha prompt a moving bar would overwrite his typing.
    drawn = office.settings.captcha.solver != "prompt" and shell.err.is_terminal
    with Progress(
        TextColumn("Warming up"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
        console=shell.err,
        transient=True,
        disable=not drawn,
    ) as bar:
        task = bar.add_task("", total=len(logins))

        def progress(login: Login, step: str) -> None:
            with lock:
                doing[login.leader.name] = step
                finished = sum(now == "done" for now in doing.values())
                at_work = [f"{name} {now}" for name, now in doing.items() if now != "done"]
            bar.update(task, completed=finished, description="; ".join(at_work[:2]))
            if not drawn and step == "done":
                shell.err.print(f"Warming up: {finished} of {len(logins)} logins")

        rows = warm_up(office, progress, tokens_until)
    named = {str(row.account.isin): row.line.instrument.symbol for row in rows if row.line and row.line.instrument}
    symbols.keep(office.state_dir, named)
    return rows
