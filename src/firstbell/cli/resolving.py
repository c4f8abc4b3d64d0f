"""What commands do first: say what is unresolved, and ask the brokers' lists for it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

from firstbell.cli.brokers import brokers_of
from firstbell.cli.shell import foreign
from firstbell.cli.tables import print_unresolved
from firstbell.errors import FirstbellError
from firstbell.market.hours import OrderDays
from firstbell.oms.reconcile import Reconciler
from firstbell.sniper.archive import put_back, recover_all

if TYPE_CHECKING:
    from collections.abc import Sequence

    from firstbell.brokers.base import Broker
    from firstbell.cli.shell import Shell
    from firstbell.journal.base import Entry
    from firstbell.model.identifiers import RunId
    from firstbell.oms.office import Office

QUICKLY_S: Final = 3.0
"""How long a command that only lists waits for the brokers' lists, in seconds: it is to be read within five."""


def recovered(shell: Shell, office: Office, run_id: RunId) -> tuple[Entry, ...]:
    """Judge what dead processes left behind, and say at once what is unresolved: no network.

    Returns:
        Every order that is unresolved, of whatever day.

    Raises:
        JournalError: The journal cannot be read or written.
        RunError: Results cannot be written.
    """
    unresolved = recover_all(office.journal, office.clock, run_id, office.calendar.tz)
    print_unresolved(shell, unresolved)
    return unresolved


def ask_quickly(shell: Shell, office: Office, run_id: RunId, unresolved: Sequence[Entry]) -> None:
    """Ask the lists once for what is unresolved, all logins at the same time, and no longer than `QUICKLY_S` seconds.

    Nobody is logged in for it: a login without a living token is left to `firstbell orders reconcile`.
    """
    logins = {entry.intent.login for entry in unresolved}
    known = {login: broker for login, broker in brokers_of(office).items() if login in logins}
    brokers = {login: broker for login, broker in known.items() if broker.is_logged_in}
    for login in sorted(logins - brokers.keys()):
        account = next(entry.intent.order.account for entry in unresolved if entry.intent.login == login)
        why = "it has no living token" if login in known else "it is not in the config any more"
        shell.err.print(f"[yellow]Not asked:[/] {foreign(account)}: {why}; see `firstbell orders reconcile`")
    threads = [
        threading.Thread(target=_ask, args=(shell, office, run_id, login, broker), daemon=True)
        for login, broker in brokers.items()
    ]
    for thread in threads:
        thread.start()
    until = time.monotonic() + QUICKLY_S
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    if any(thread.is_alive() for thread in threads):
        shell.err.print("[yellow]Not every broker has answered yet:[/] `firstbell orders reconcile` waits for it")


def _ask(shell: Shell, office: Office, run_id: RunId, login: str, broker: Broker) -> None:
    try:
        outcome = Reconciler(
            {login: broker}, office.journal, office.clock, run_id, days=OrderDays(office.calendar)
        ).look(only=login)
        touched = {entry.run_id for name in outcome.looked if (entry := office.journal.entry(name)) is not None}
        put_back(office.journal, office.clock, touched, office.calendar.tz)
    except FirstbellError as error:
        shell.err.print(f"[yellow]Not asked:[/] {foreign(str(error))}")
        return
    for why in outcome.unreachable.values():
        shell.err.print(f"[yellow]Not asked:[/] {foreign(why)}")
