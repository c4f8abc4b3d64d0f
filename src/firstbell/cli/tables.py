"""The tables that several commands print. Persian text is printed as it is; terminals turn it themselves."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from rich.box import SIMPLE_HEAD
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from firstbell.cli.shell import foreign
from firstbell.model.money import exact, grouped

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from decimal import Decimal

    from rich.console import Console

    from firstbell.cli.shell import Shell
    from firstbell.journal.base import Entry
    from firstbell.sniper.warmup import WarmAccount

_ENDLESS: Final = 10_000
_WHOLE: Final = frozenset({"account", "broker", "token", "venue id", "our id", "at"})
_COLORS: Final = {"accepted": "green", "rejected": "red", "unresolved": "yellow", "not_sent": "magenta"}


def print_warnings(shell: Shell, warnings: Iterable[str]) -> None:
    """Print warnings to standard error, one a line."""
    for warning in warnings:
        shell.err.print(f"[yellow]Warning:[/] {foreign(warning)}")


def print_results(shell: Shell, document: Mapping[str, Any]) -> None:
    """Print what a run came to, from its ``orders.json``."""
    table = plain_table(f"Run {document['run']}   bell {document['bell']}")
    add_columns(table, "account", "broker", "instrument")
    add_columns(table, "order", "tries", "late, ms", "trip, ms", numbers=True)
    add_columns(table, "venue id", "outcome")
    for row in document["orders"]:
        table.add_row(*_result_cells(row))
    print_table(shell.out, table)
    for row in document["orders"]:
        if row["reason"]:
            shell.out.print(f"  {row['account']}: {foreign(row['reason'])}")
    if (words := _lateness_words(document)) is not None:
        shell.out.print(words)
    summary = document["summary"]
    counts = ", ".join(f"{summary[name]} {name.replace('_', ' ')}" for name in _COLORS)
    shell.out.print(f"{summary['configured']} configured: {counts}")


def _result_cells(row: Mapping[str, Any]) -> Sequence[str]:
    attempts = row["attempts"]
    last = attempts[-1] if attempts else None
    color = _COLORS[row["outcome"]]
    status = row["status"] or ""
    # "accepted (ACCEPTED)" says nothing; "accepted (FILLED)" does.
    said = "" if status.lower() in {"", row["outcome"], "denied"} else f" ({status})"
    return (
        row["account"],
        row["broker_code"],
        row["instrument"],
        order_words(row["side"], row["quantity"], row["price"]),
        str(len(attempts)) if attempts else "",
        "" if last is None else _ms(last["lateness_us"]),
        "" if last is None else _ms(last["round_trip_us"]),
        row["venue_order_id"] or "",
        f"[{color}]{row['outcome'].replace('_', ' ')}[/]{said}",
    )


def _lateness_words(document: Mapping[str, Any]) -> str | None:
    """When the orders arrived, and how well that is known; None where nothing left."""
    # Results of version 0.1 do not have it.
    late, clock = document.get("lateness"), document["clock"]
    if late is None or late["median_us"] is None:
        return None
    early = late["early_attempts"]
    words = (
        f"late: first {_ms(late['first_us'])} ms, median {_ms(late['median_us'])} ms, last {_ms(late['last_us'])} ms; "
        f"{early or 'no'} early attempt{'' if early == 1 else 's'}"
    )
    if clock["uncertainty_ms"] is None:
        return f"{words}; by this machine's clock, the host's is not known"
    lead = "" if clock["lead_ms"] is None else f", lead {clock['lead_ms']:.1f} ms"
    return f"{words}; host's clock {clock['offset_ms']:+.1f} ± {clock['uncertainty_ms']:.1f} ms from ours{lead}"


def _ms(microseconds: int | None) -> str:
    return "" if microseconds is None else f"{microseconds / 1000:.1f}"


def print_warm(shell: Shell, rows: Iterable[WarmAccount]) -> None:
    """Print what warming up came to."""
    table = plain_table("Warmed up")
    add_columns(table, "account", "broker", "token")
    add_columns(table, "buying power", numbers=True)
    add_columns(table, "instrument")
    add_columns(table, "band", "order", "value", numbers=True)
    add_columns(table, "ready")
    said = []
    for row in rows:
        table.add_row(*_warm_cells(row))
        said += [f"  [red]{row.account.name}: {foreign(row.why_not)}[/]"] if row.why_not is not None else []
        said += [f"  {row.account.name}: {foreign(remark)}" for remark in (row.line.remarks if row.line else ())]
    print_table(shell.out, table)
    for words in said:
        shell.out.print(words)


def _warm_cells(row: WarmAccount) -> Sequence[str]:
    line = row.line
    instrument = None if line is None else line.instrument
    orders = () if line is None else line.orders
    band = "" if instrument is None else f"{grouped(instrument.band.low)} - {grouped(instrument.band.high)}"
    name: str = row.account.isin
    if instrument is not None:
        name = f"{instrument.id} {instrument.symbol}".strip() + (f"\n{instrument.name}" if instrument.name else "")
    quantity = exact(sum(order.quantity for order in orders))
    value = exact(sum(order.value for order in orders))
    slices = f" in {len(orders)}" if len(orders) > 1 else ""
    return (
        row.account.name,
        row.account.broker_code,
        life(row.token_ends_at),
        "" if row.buying_power is None else grouped(row.buying_power),
        name,
        band,
        f"{order_words(orders[0].side, quantity, orders[0].price)}{slices}" if orders else "",
        grouped(value) if orders else "",
        "[green]ready[/]" if row.ready else "[red]no[/]",
    )


def print_unresolved(shell: Shell, entries: Iterable[Entry]) -> None:
    """Say on standard error which orders nobody can tell of yet."""
    for entry in entries:
        order, state = entry.intent.order, entry.state
        words = f"{order.account} {order_words(order.side, state.quantity, state.price)} {order.instrument}"
        shell.err.print(f"[yellow]Unresolved[/] since run {entry.run_id}: {words} ({order.client_order_id})")


def plain_table(title: str) -> Table:
    """A table with room for what is in it: a line under its head, and none between the columns."""
    return Table(
        title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0)
    )


def print_table(console: Console, table: Table) -> None:
    """Print a table, or where the terminal is too narrow for it one block of lines per row: nothing is cut."""
    columns = [(str(column.header), list(column.cells)) for column in table.columns]
    for column, (header, cells) in zip(table.columns, columns, strict=True):
        if column.no_wrap:
            # By itself such a column is measured by its longest word, and what goes beyond that is cut.
            lines = [line for each in (header, *cells) for line in str(each).split("\n")]
            column.min_width = max(Text.from_markup(line).cell_len for line in lines)
    needed = Measurement.get(console, console.options.update(max_width=_ENDLESS), table).minimum
    if needed <= console.width and table.row_count:
        console.print(table)
        return
    console.print(f"[bold]{table.title}[/]{'' if table.row_count else ': none'}")
    for number in range(table.row_count):
        for place, (header, cells) in enumerate(columns):
            words = " ".join(str(cells[number]).split("\n"))
            if place == 0:
                console.print(f"\n{words}", soft_wrap=True)
            elif words:
                console.print(f"  {header}: {words}", soft_wrap=True)
    console.print()


def add_columns(table: Table, *names: str, numbers: bool = False) -> None:
    """Add columns: names and numbers stay on their lines, words may go on to the next one."""
    for name in names:
        justify: Literal["left", "right"] = "right" if numbers else "left"
        table.add_column(name, overflow="fold", no_wrap=numbers or name in _WHOLE, justify=justify)


def order_words(side: str, quantity: Decimal | int | str | None, price: Decimal | int | str | None) -> str:
    """An order in short: ``buy 170,018 at 5,860``; the side alone where nothing was planned."""
    if quantity is None or price is None:
        return str(side)
    return f"{side} {grouped(exact(quantity))} at {grouped(exact(price))}"


def life(ends_at: datetime | None) -> str:
    """How long a token still lives, for people."""
    if ends_at is None:
        return "none"
    minutes, seconds = divmod(max(0, int((ends_at - datetime.now(UTC)).total_seconds())), 60)
    return f"{minutes} min" if minutes else f"{seconds} s"
