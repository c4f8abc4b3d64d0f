"""``firstbell orders``: the order manager from the shell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape

from firstbell.cli.brokers import brokers_of
from firstbell.cli.ending import ending_in_order
from firstbell.cli.order_brokers import brokers
from firstbell.cli.order_log import log
from firstbell.cli.order_shell import command_id, facts, find, open_office, print_entries, telling_of_unwritten
from firstbell.cli.order_watch import watch
from firstbell.cli.place import place, replace
from firstbell.cli.resolving import ask_quickly, recovered
from firstbell.cli.settle import settle
from firstbell.cli.shell import Shell, foreign, shared_options
from firstbell.cli.tables import add_columns, plain_table, print_results, print_table, print_unresolved
from firstbell.cli.telling import Teller
from firstbell.clock import exchange_now
from firstbell.errors import BrokerError, CaptchaError, RunError
from firstbell.log import redact
from firstbell.model.money import plain
from firstbell.model.order_status import DONE, PLACED, OrderStatus
from firstbell.oms.cancel import CANCEL_OF, why_not_canceled
from firstbell.oms.cancel import cancel as cancel_order
from firstbell.oms.day_orders import day_orders, open_besides, without_earlier_rounds
from firstbell.oms.orders.assembling import order_context
from firstbell.oms.orders.late_trades import why_to_look
from firstbell.oms.orders.queue_position import volume_ahead
from firstbell.oms.orders.told_prices import read_prices
from firstbell.oms.reconcile import PATIENCE_S, Reconciler
from firstbell.oms.unwritten import may_have_come
from firstbell.sniper import results
from firstbell.sniper.archive import current, put_back

if TYPE_CHECKING:
    from datetime import date, datetime

    from firstbell.journal.base import Entry
    from firstbell.oms.office import Office
    from firstbell.oms.orders.queue_position import QueuePosition


@click.group()
def orders() -> None:
    """Place, change, cancel, list, watch, reconcile and settle orders."""


@orders.command(name="list")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="Another trading day than today's.")
@click.option("--all", "every", is_flag=True, help="Every day.")
@click.option("--offline", is_flag=True, help="Ask no broker.")
@shared_options
def list_(shell: Shell, *, day: datetime | None, every: bool, offline: bool) -> int:
    """List the orders of the day, and whatever else is open.

    Listed are also those of any day that are unresolved, work at a broker or are held back.

    An order is of the day on which it was made, and of those on which it left and ended. Of one that was held back by
    several processes, one after the other, the last is listed; with --all each of them.

    What is unresolved is looked for once in the brokers' lists first, for three seconds at most and only where a login
    still has its token.

    Exit status 3 when some order is unresolved.
    """
    with open_office(shell, logs_in=False) as office:
        run_id = command_id(office)
        unresolved = recovered(shell, office, run_id)
        if unresolved and not offline:
            ask_quickly(shell, office, run_id, unresolved)
        today = exchange_now(office.clock, office.calendar.tz).date()
        wanted: date | None = None if every else (day.date() if day is not None else today)
        tz = office.calendar.tz
        entries = office.journal.entries() if wanted is None else day_orders(office.journal, wanted, tz)
        left = open_besides(office.journal, entries)
        entries = (*(each for each in left if day is None or each.state.unresolved), *entries)
        if not every:
            entries = without_earlier_rounds(entries)
        if shell.json:
            shell.print_json({"orders": [facts(entry) for entry in entries]})
        else:
            print_entries(shell, entries, "every day" if wanted is None else wanted.isoformat())
    return 3 if any(entry.state.unresolved for entry in entries) else 0


@orders.command()
@click.argument("order")
@click.option("--offline", is_flag=True, help="Do not ask the broker what stands before it.")
@shared_options
def show(shell: Shell, *, order: str, offline: bool) -> int:
    """Show one order and everything that happened to it. ORDER is our id or the broker's.

    Of one that works it is asked how many shares stand before it in the book, where its broker shows the book and its
    login has a living token.
    """
    with open_office(shell, logs_in=False) as office:
        entry = find(office, order)
        reports = office.journal.reports(entry.intent.order.client_order_id)
        tz = office.calendar.tz
        ahead = None if offline else _ahead(office, entry)
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
        shell.print_json({**facts(entry), "ahead": None if ahead is None else _queue(ahead), "reports": events})
        return 0
    name = entry.intent.order.client_order_id
    print_entries(shell, [entry], name)
    if name not in {order, entry.state.venue_order_id} and entry.state.venue_order_id != order:
        shell.out.print(escape(f"{order} goes on as {name}"))
    if ahead is not None:
        shell.out.print(foreign(str(ahead)))
    table = plain_table("What happened")
    add_columns(table, "at", "report", "run", "what")
    for event in events:
        said = [event["venue_order_id"] and f"id {event['venue_order_id']}", event["reason"], event["answer"]]
        words = foreign("; ".join(str(part) for part in said if part))
        table.add_row(str(event["at"]), str(event["report"]), str(event["run"]), words)
    print_table(shell.out, table)
    return 0


def _queue(ahead: QueuePosition) -> dict[str, Any]:
    return {"shares": plain(ahead.quantity), "orders": ahead.orders, "whole": ahead.is_whole}


def _judge(office: Office, before: Entry, now: Entry, teller: Teller) -> None:
    """Say where a person has to look after a cancel: it came too late for shares that nothing looks after now."""
    if now.state.status in DONE and now.state.filled_qty > before.state.filled_qty:
        siblings = office.journal.entries(day=now.intent.order.day, login=now.intent.login)
        if (why := why_to_look(now, siblings)) is not None:
            teller.intervene(now.intent.order.client_order_id, why)


def _ahead(office: Office, entry: Entry) -> QueuePosition | None:
    """What stands before an order in the book; None where it does not work, or nobody can say."""
    broker = brokers_of(office).get(entry.intent.login)
    if entry.state.status not in PLACED - DONE or broker is None or not broker.is_logged_in:
        return None
    order = entry.intent.order
    try:
        quote = broker.quote(order.instrument) if broker.capabilities.shows_book else None
    except (BrokerError, CaptchaError):
        return None
    if quote is None:
        return None
    return volume_ahead(quote, order.side, entry.state.price, entry.state.leaves_qty)


@orders.command()
@click.argument("order")
@shared_options
def cancel(shell: Shell, *, order: str) -> int:
    """Take one working order off the broker's book. ORDER is our id or the broker's.

    A cancel that nobody answers for leaves the order PENDING_CANCEL, and it may still trade: `firstbell orders
    reconcile` asks for it.

    Exit status: 0 it is off the book; 1 the broker refused, or it has traded; 3 it is not known yet.
    """
    teller = Teller(shell)
    with telling_of_unwritten(shell, listed=False), open_office(shell, teller) as office:
        entry = find(office, order)
        broker = brokers_of(office).get(entry.intent.login)
        if broker is None:
            raise RunError(f"the login of {entry.intent.order.account} is not in the config any more")
        refusal, run_id = None, command_id(office)
        try:
            with ending_in_order(office, run_id) as ending:
                now = cancel_order(entry, broker, office.journal, office.clock, run_id, is_ending=lambda: ending.asked)
        except (BrokerError, CaptchaError) as error:
            now, refusal = find(office, entry.intent.order.client_order_id), redact(str(error))
        with may_have_come(now.intent.order.client_order_id, CANCEL_OF):
            if broker.is_logged_in and not ending.asked:
                read_prices(order_context(office, run_id), entry.intent.login, broker)
                now = find(office, entry.intent.order.client_order_id)
            put_back(office.journal, office.clock, [now.run_id], office.calendar.tz)
            _judge(office, entry, now, teller)
    message = why_not_canceled(now.state.status, refusal)
    is_asked = now.state.status is OrderStatus.PENDING_CANCEL
    if shell.json:
        shell.print_json({**facts(now), "message": message, "to_look_at": teller.to_look_at})
    else:
        print_entries(shell, [now], now.intent.order.client_order_id)
        if message is not None:
            shell.out.print(f"[red]Not canceled{' yet' if is_asked else ''}:[/] {foreign(message)}")
    if message is None:
        return 0
    return 3 if is_asked else 1


@orders.command()
@click.option("--once", is_flag=True, help="Ask once, instead of until everything is known.")
@shared_options
def reconcile(shell: Shell, *, once: bool) -> int:
    """Ask the brokers what became of every open order.

    Their lists tell of each that is unresolved or at work, and the results are brought up to date.

    Of today's canceled and expired orders, trades that the lists tell only now are counted too.

    An order is found again by its id, or by instrument, side, price and quantity among what was not there before the
    bell. Absent from the list of the day for long enough, it is rejected. Prints the newest run; with --json its
    orders.json, with `to_look_at` besides: where a person has to look. Exit status as of `firstbell run`.
    """
    teller = Teller(shell)
    with open_office(shell, teller) as office:
        run_id, tz = command_id(office), office.calendar.tz
        recovered(shell, office, run_id)
        newest = office.journal.newest_run()
        reconciler = Reconciler(
            brokers_of(office), office.journal, office.clock, run_id, late=True, calendar=office.calendar
        )
        patience_s = 0 if once else PATIENCE_S
        outcome = reconciler.until_known(patience_s, lambda entries: print_unresolved(shell, entries))
        for why in outcome.unreachable.values():
            shell.err.print(f"[yellow]Not asked:[/] {foreign(why)}")
        for name, why in outcome.to_look_at.items():
            teller.intervene(name, why)
        context = order_context(office, run_id)
        for login, broker in brokers_of(office).items():
            if broker.is_logged_in:
                read_prices(context, login, broker)
        looked = [entry for name in outcome.looked if (entry := office.journal.entry(name)) is not None]
        runs = {entry.run_id for entry in looked} | (set() if newest is None else {newest.run_id})
        put_back(office.journal, office.clock, runs, tz)
        document = None if newest is None else current(office.journal, office.clock, newest, tz)
    # Orders that were placed by hand belong to no run.
    others = [entry for entry in looked if newest is None or entry.run_id != newest.run_id]
    if shell.json:
        shown = document or {"orders": [facts(entry) for entry in others]}
        shell.print_json({**shown, "to_look_at": teller.to_look_at})
    else:
        if document is not None:
            print_results(shell, document)
        if others or document is None:
            print_entries(shell, others, "asked for besides")
    rows = [] if document is None else [row["outcome"] for row in document["orders"]]
    return results.exit_status([*rows, *(entry.state.outcome.value for entry in others if entry.state.unresolved)])


orders.add_command(brokers)
orders.add_command(log)
orders.add_command(place)
orders.add_command(replace)
orders.add_command(settle)
orders.add_command(watch)
