"""Tables on terminals of every width: what is in them is readable whole."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from firstbell.cli.tables import add_columns, plain_table, print_table


def shown(table, width):
    out = io.StringIO()
    print_table(Console(file=out, width=width, color_system=None), table)
    return out.getvalue()


@pytest.mark.parametrize("width", range(12, 120, 4))
def test_neither_a_heading_nor_a_number_is_cut(width):
    table = plain_table("Where orders go")
    add_columns(table, "broker")
    add_columns(table, "round trip, ms", "expected after the bell, ms", numbers=True)
    table.add_row("gs", "1.5", "123,456,789.5")
    said = shown(table, width)
    for words in ("gs", "round trip, ms", "1.5", "expected after the bell, ms", "123,456,789.5"):
        assert words in said


@pytest.mark.parametrize("width", [30, 200])
def test_a_mark_of_color_is_not_measured(width):
    table = plain_table("Orders")
    add_columns(table, "account", "outcome", numbers=True)
    table.add_row("Order_Ali", "[bold green]accepted[/]")
    (heading, _, row) = [line for line in shown(table, width).splitlines()[1:] if line.strip()]
    assert heading.split() == ["account", "outcome"]
    assert row.split() == ["Order_Ali", "accepted"]


def test_what_is_empty_says_so():
    table = plain_table("Hosts")
    add_columns(table, "broker", "address")
    assert shown(table, 80).strip() == "Hosts: none"
