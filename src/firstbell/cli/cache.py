"""``firstbell cache``: look into the cache, or empty it."""

from __future__ import annotations

import click

from firstbell.cli.shell import Shell, shared_options
from firstbell.cli.tables import add_columns, plain_table, print_table
from firstbell.config import load
from firstbell.oms.office import Office


@click.group()
def cache() -> None:
    """Look into the disk cache, or empty it. It holds nothing that cannot be fetched again."""


@cache.command()
@shared_options
def stats(shell: Shell) -> int:
    """Entries, ages, hits and misses by kind."""
    with Office(load(shell.config)) as office:
        found = office.cache.stats()
    if shell.json:
        shell.print_json(found.as_json())
        return 0
    table = plain_table("Cache")
    add_columns(table, "kind")
    add_columns(table, "entries", "hits", "misses", "oldest, s", "next expiry, s", numbers=True)
    for kind, row in found.kinds.items():
        table.add_row(kind.value, *("" if number is None else f"{number:g}" for number in row.as_json().values()))
    print_table(shell.out, table)
    asked = found.hits + found.misses
    rate = f", {100 * found.hits // asked} % hits" if asked else ""
    shell.out.print(f"{found.entries} entries, {found.hits} hits, {found.misses} misses{rate}")
    return 0


@cache.command()
@shared_options
def clear(shell: Shell) -> int:
    """Remove everything, the tokens too: the next warm-up logs in again."""
    with Office(load(shell.config)) as office:
        removed = office.cache.clear()
    _say(shell, removed)
    return 0


@cache.command()
@shared_options
def clean(shell: Shell) -> int:
    """Remove what has expired."""
    with Office(load(shell.config)) as office:
        removed = office.cache.clean()
    _say(shell, removed)
    return 0


def _say(shell: Shell, removed: int) -> None:
    if shell.json:
        shell.print_json({"removed": removed})
    else:
        shell.out.print(f"{removed} entries removed")
