"""What the commands about orders share: the opened rooms, finding an order, and how orders are shown."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from firstbell.cli.alerting import tell_orders
from firstbell.cli.shell import foreign
from firstbell.cli.tables import add_columns, order_words, plain_table, print_table
from firstbell.clock import exchange_now
from firstbell.config import load
from firstbell.errors import CutShort, RunError, Unwritten
from firstbell.journal.base import newest_round
from firstbell.log import redact, set_up
from firstbell.model.identifiers import ClientOrderId, RunId
from firstbell.model.money import grouped, plain
from firstbell.model.terms import OrderOutcome, OrderType
from firstbell.oms.office import Office
from firstbell.oms.run_id import new_run_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.table import Table

    from firstbell.cli.shell import Shell
    from firstbell.cli.telling import Teller
    from firstbell.journal.base import Entry


def open_office(shell: Shell, teller: Teller | None = None, *, logs_in: bool = True) -> Office:
    """Open the rooms of the config, keep the order log, have people told of orders, and set up the run log.

    Args:
        shell: The command's options.
        teller: Whoever has more to tell them.
        logs_in: Whether anybody may be logged in.
    """
    office = quiet_office(shell, logs_in=logs_in)
    alerts = tell_orders(office)
    if teller is not None:
        teller.alerts = alerts
    return office


def quiet_office(shell: Shell, *, logs_in: bool = True) -> Office:
    """The same, but nobody is told."""
    office = Office(load(shell.config), logs_in=logs_in)
    set_up(office.logs_dir, verbose=shell.verbose, console=shell.verbose > 0, tz=office.calendar.tz)
    office.keep_order_log(late=True)
    return office


def command_id(office: Office) -> RunId:
    """A name for what this command writes."""
    return new_run_id(exchange_now(office.clock, office.calendar.tz))


def find(office: Office, name: str) -> Entry:
    """An order by our name for it, or by its broker's; what goes on under another name of ours is found by its first.

    Raises:
        RunError: There is none, or there are several.
    """
    entry = office.journal.entry(ClientOrderId(name))
    if entry is not None:
        return newest_round(entry, office.journal.entry)
    found = [entry for entry in office.journal.entries() if entry.state.venue_order_id == name]
    if not found:
        raise RunError(f"the journal knows no order {name}: `firstbell orders list --all` shows them")
    if len(found) > 1:
        names = ", ".join(f"{each.intent.order.client_order_id} ({each.intent.order.account})" for each in found)
        raise RunError(f"several brokers call an order {name}: name one of {names}")
    return found[0]


@contextmanager
def telling_of_unwritten(shell: Shell, *, listed: bool) -> Iterator[None]:
    """Tell programs too which order may have come to its broker though that could not be written down.

    Args:
        shell: The command's options.
        listed: Whether the command tells of its orders in a list.

    Raises:
        Unwritten: As before.
        CutShort: Likewise, for somebody has ended it.
    """
    try:
        yield
    except (Unwritten, CutShort) as error:
        if shell.json:
            name, outcome = error.client_order_id, OrderOutcome.UNRESOLVED.value
            told = {"client_order_id": name, "outcome": outcome, "message": redact(str(error))}
            shell.print_json({"orders": [told], "to_look_at": []} if listed else {**told, "to_look_at": []})
        raise


def facts(entry: Entry) -> dict[str, Any]:
    """An order for programs."""
    order, state = entry.intent.order, entry.state
    return {
        "account": order.account,
        "broker_code": order.broker_code,
        "instrument": order.instrument,
        "side": order.side.value,
        "role": order.role.value,
        "order_type": order.order_type.value,
        "time_in_force": order.time_in_force.value,
        "price": plain(state.price),
        "trigger_price": None if state.trigger_price is None else plain(state.trigger_price),
        "quantity": plain(state.quantity),
        "filled_qty": plain(state.filled_qty),
        "leaves_qty": plain(state.leaves_qty),
        "avg_px": None if state.avg_px is None else plain(state.avg_px),
        "client_order_id": order.client_order_id,
        "venue_order_id": state.venue_order_id,
        "status": state.status.value,
        "outcome": state.outcome.value,
        "reason": state.reason,
        "held_back": entry.is_held_back,
        "parent": order.instructions.parent_id,
        "group": order.instructions.group,
        "run": entry.run_id,
        "day": order.day.isoformat(),
    }


def print_entries(shell: Shell, entries: Sequence[Entry], title: str) -> None:
    """Print orders as a table for people."""
    print_table(shell.out, order_table(entries, title))


def order_table(entries: Sequence[Entry], title: str) -> Table:
    """Orders as a table for people."""
    table = plain_table(f"Orders: {title}")
    add_columns(table, "account", "broker", "instrument")
    add_columns(table, "order", "filled", numbers=True)
    add_columns(table, "our id", "venue id", "status", "reason")
    for entry in entries:
        order, state = entry.intent.order, entry.state
        unresolved = " [yellow](unresolved)[/]" if state.unresolved else ""
        table.add_row(
            order.account,
            order.broker_code,
            order.instrument,
            _asked(entry),
            grouped(state.filled_qty),
            order.client_order_id,
            foreign(state.venue_order_id or ""),
            f"{'held back' if entry.is_held_back else state.status.value}{unresolved}",
            foreign(state.reason or ""),
        )
    return table


def _asked(entry: Entry) -> str:
    """What an order asks for now: ``sell 1,000 stop at 4,800``."""
    order, state = entry.intent.order, entry.state
    if order.order_type is OrderType.LIMIT:
        return order_words(order.side.value, state.quantity, state.price)
    kind = order.order_type.value.replace("_", " ")
    trigger = "" if state.trigger_price is None else f" at {grouped(state.trigger_price)}"
    limit = f", limit {grouped(state.price)}" if order.order_type.has_limit else ""
    left = (
        "" if order.order_type.has_limit or state.changed.price is None else f", left at {grouped(state.changed.price)}"
    )
    return f"{order.side.value} {grouped(state.quantity)} {kind}{trigger}{limit}{left}"
