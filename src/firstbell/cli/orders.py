"""``firstbell orders``: the order manager from the shell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.markup import escape

from firstbell.cli.brokers import brokers_of
from firstbell.cli.order_brokers import brokers
from firstbell.cli.order_shell import command_id, facts, find, open_office, print_entries
from firstbell.cli.order_watch import watch
from firstbell.cli.place import place, replace
from firstbell.cli.resolving import ask_quickly, recovered
from firstbell.cli.shell import Shell, shared_options
from firstbell.cli.tables import add_columns, plain_table, print_results, print_table, print_unresolved
from firstbell.clock import exchange_now
from firstbell.errors import RunError
from firstbell.model.money import plain
from firstbell.oms.cancel import cancel as cancel_order
from firstbell.oms.reconcile import PATIENCE_S, Reconciler
from firstbell.sniper import results
from firstbell.sniper.archive import current, put_back

if TYPE_CHECKING:
    from datetime import date, datetime


@click.group()
def orders() -> None:
    """Place, change, cancel, list, watch and reconcile orders."""


@orders.command(name="list")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="Another trading day than today's.")
@click.option("--all", "every", is_flag=True, help="Every day.")
@click.option("--offline", is_flag=True, help="Ask no broker.")
@shared_options
def list_(shell: Shell, *, day: datetime | None, every: bool, offline: bool) -> int:
    """List the orders of the day, and those of any day that are unresolved.

    What is unresolved is looked for once in the brokers' lists first, for three seconds at most and only where a login
    still has its token.

    Exit status 3 when some order is unresolved.
    """
    with open_office(shell) as office:
        run_id = command_id(office)
        unresolved = recovered(shell, office, run_id)
        if unresolved and not offline:
            ask_quickly(shell, office, run_id, unresolved)
        today = exchange_now(office.clock, office.calendar.tz).date()
        wanted: date | None = None if every else (day.date() if day is not None else today)
        entries = office.journal.entries(day=wanted)
        listed = {entry.intent.order.client_order_id for entry in entries}
        left = [each for each in office.journal.open_entries() if each.state.unresolved]
        entries = (*(each for each in left if each.intent.order.client_order_id not in listed), *entries)
        if shell.json:
            shell.print_json({"orders": [facts(entry) for entry in entries]})
        else:
            print_entries(shell, entries, "every day" if wanted is None else wanted.isoformat())
    return 3 if any(entry.state.unresolved for entry in entries) else 0


@orders.command()
@click.argument("order")
@shared_options
def show(shell: Shell, *, order: str) -> int:
    """Show one order and everything that happened to it. ORDER is our id or the broker's."""
    with open_office(shell) as office:
        entry = find(office, order)
        reports = office.journal.reports(entry.intent.order.client_order_id)
        tz = office.calendar.tz
    events = [
        {
            "at": report.at.astimezone(tz).isoformat(timespec="microseconds"),
            "run": report.run_id,
            "report": report.kind.value,
            "venue_order_id": report.venue_order_id,
            "filled_qty": None if report.cum_qty is None else plain(report.cum_qty),
            "reason": report.reason,
            "answer": None if report.attempt is None else report.attempt.raw,
        }
        for report in reports
    ]
    if shell.json:
        shell.print_json({**facts(entry), "reports": events})
        return 0
    print_entries(shell, [entry], entry.intent.order.client_order_id)
    table = plain_table("What happened")
    add_columns(table, "at", "report", "run", "what")
    for event in events:
        said = [event["venue_order_id"] and f"id {event['venue_order_id']}", event["reason"], event["answer"]]
        words = escape("; ".join(str(part) for part in said if part))
        table.add_row(str(event["at"]), str(event["report"]), str(event["run"]), words)
    print_table(shell.out, table)
    return 0


@orders.command()
@click.argument("order")
@shared_options
def cancel(shell: Shell, *, order: str) -> int:
    """Take one working order off the broker's book. ORDER is our id or the broker's."""
    with open_office(shell) as office:
        entry = find(office, order)
        broker = brokers_of(office).get(entry.intent.login)
        if broker is None:
            raise RunError(f"the login of {entry.intent.order.account} is not in the config any more")
        now = cancel_order(entry, broker, office.journal, office.clock, command_id(office))
        put_back(office.journal, office.clock, [now.run_id], office.calendar.tz)
    if shell.json:
        shell.print_json(facts(now))
    else:
        print_entries(shell, [now], now.intent.order.client_order_id)
    return 0


@orders.command()
@click.option("--once", is_flag=True, help="Ask once, instead of until everything is known.")
@shared_options
def reconcile(shell: Shell, *, once: bool) -> int:
    """Ask the brokers' lists about every order that is unresolved or at work, and bring the results up to date.

    An order is found again by its id, or by instrument, side, price and quantity among what was not there before the
    bell. Absent from the list of the day for long enough, it is rejected. Prints the newest run; with --json its
    orders.json. Exit status as of `firstbell run`.
    """
    with open_office(shell) as office:
        run_id, tz = command_id(office), office.calendar.tz
        recovered(shell, office, run_id)
        newest = office.journal.newest_run()
        if newest is None:
            raise RunError("there has been no run yet")
        reconciler = Reconciler(brokers_of(office), office.journal, office.clock, run_id)
        patience_s = 0 if once else PATIENCE_S
        outcome = reconciler.until_known(patience_s, lambda entries: print_unresolved(shell, entries))
        for why in outcome.unreachable.values():
            shell.err.print(f"[yellow]Not asked:[/] {escape(why)}")
        touched = {entry.run_id for name in outcome.looked if (entry := office.journal.entry(name)) is not None}
        put_back(office.journal, office.clock, touched | {newest.run_id}, tz)
        document = current(office.journal, office.clock, newest, tz)
    if shell.json:
        shell.print_json(document)
    else:
        print_results(shell, document)
    return results.exit_status(row["outcome"] for row in document["orders"])


orders.add_command(brokers)
orders.add_command(place)
orders.add_command(replace)
orders.add_command(watch)
