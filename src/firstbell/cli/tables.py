"""The tables that several commands print. Persian text is printed as it is; terminals turn it themselves."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from rich.markup import escape
from rich.table import Table

from firstbell.model.money import exact, grouped

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from firstbell.cli.shell import Shell
    from firstbell.sniper.warmup import WarmAccount

_COLORS: Final = {"accepted": "green", "rejected": "red", "unresolved": "yellow", "not_sent": "magenta"}


def print_warnings(shell: Shell, warnings: Iterable[str]) -> None:
    """Print warnings to standard error, one a line."""
    for warning in warnings:
        shell.err.print(f"[yellow]Warning:[/] {escape(warning)}")


def print_results(shell: Shell, document: Mapping[str, Any]) -> None:
    """Print what a run came to, from its ``orders.json``."""
    table = Table(title=f"Run {document['run']}   bell {document['bell']}", title_justify="left")
    for name in ("account", "broker", "instrument", "side"):
        table.add_column(name, overflow="fold")
    for name in ("quantity", "price", "tries", "late, ms", "trip, ms"):
        table.add_column(name, justify="right")
    for name in ("venue id", "outcome"):
        table.add_column(name, overflow="fold")
    for row in document["orders"]:
        table.add_row(*_result_cells(row))
    shell.out.print(table)
    for row in document["orders"]:
        if row["reason"]:
            shell.out.print(f"  {row['account']}: {escape(row['reason'])}")
    summary = document["summary"]
    counts = ", ".join(f"{summary[name]} {name.replace('_', ' ')}" for name in _COLORS)
    shell.out.print(f"{summary['configured']} configured: {counts}")


def _result_cells(row: Mapping[str, Any]) -> Sequence[str]:
    attempts = row["attempts"]
    last = attempts[-1] if attempts else None
    color = _COLORS[row["outcome"]]
    status = f" ({row['status']})" if row["status"] else ""
    return (
        row["account"],
        row["broker_code"],
        row["instrument"],
        row["side"],
        "" if row["quantity"] is None else grouped(exact(row["quantity"])),
        "" if row["price"] is None else grouped(exact(row["price"])),
        str(len(attempts)) if attempts else "",
        "" if last is None else _ms(last["lateness_us"]),
        "" if last is None else _ms(last["round_trip_us"]),
        row["venue_order_id"] or "",
        f"[{color}]{row['outcome']}[/]{status}",
    )


def _ms(microseconds: int | None) -> str:
    return "" if microseconds is None else f"{microseconds / 1000:.1f}"


def print_warm(shell: Shell, rows: Iterable[WarmAccount]) -> None:
    """Print what warming up came to."""
    table = Table(title="Warmed up", title_justify="left")
    for name in ("account", "broker", "token"):
        table.add_column(name, overflow="fold")
    table.add_column("buying power", justify="right")
    table.add_column("instrument", overflow="fold")
    for name in ("band", "price", "quantity", "value"):
        table.add_column(name, justify="right")
    table.add_column("ready", overflow="fold")
    for row in rows:
        table.add_row(*_warm_cells(row))
    shell.out.print(table)


def _warm_cells(row: WarmAccount) -> Sequence[str]:
    line = row.line
    instrument = None if line is None else line.instrument
    orders = () if line is None else line.orders
    band = "" if instrument is None else f"{grouped(instrument.band.low)} - {grouped(instrument.band.high)}"
    names = [row.account.isin] if instrument is None else [instrument.id, instrument.symbol, instrument.name]
    quantity = sum(order.quantity for order in orders)
    value = sum(order.value for order in orders)
    slices = f" in {len(orders)}" if len(orders) > 1 else ""
    ready = "[green]ready[/]" if row.ready else f"[red]{escape(row.why_not or '')}[/]"
    remarks = "" if line is None else "".join(f"\n[yellow]{escape(remark)}[/]" for remark in line.remarks)
    return (
        row.account.name,
        row.account.broker_code,
        life(row.token_ends_at),
        "" if row.buying_power is None else grouped(row.buying_power),
        " ".join(name for name in names if name),
        band,
        grouped(orders[0].price) if orders else "",
        f"{grouped(quantity)}{slices}" if orders else "",
        grouped(value) if orders else "",
        f"{ready}{remarks}",
    )


def life(ends_at: datetime | None) -> str:
    """How long a token still lives, for people."""
    if ends_at is None:
        return "none"
    minutes, seconds = divmod(max(0, int((ends_at - datetime.now(UTC)).total_seconds())), 60)
    return f"{minutes} min" if minutes else f"{seconds} s"
