"""``firstbell results``: what a run came to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from firstbell.cli.shell import Shell, shared_options
from firstbell.cli.tables import print_results
from firstbell.config import load
from firstbell.errors import RunError

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@click.argument("run", required=False)
@shared_options
def results(shell: Shell, *, run: str | None) -> int:
    """Show the newest run, or RUN: a table, or with --json the run's orders.json."""
    document = read_results(load(shell.config).firstbell.results_dir, run)
    if shell.json:
        shell.print_json(document)
    else:
        print_results(shell, document)
    return 0


def read_results(results_dir: Path, run: str | None) -> dict[str, Any]:
    """Read a run's ``orders.json``.

    Raises:
        RunError: There is none, or it cannot be read.
    """
    runs = sorted(path.parent.name for path in results_dir.glob("*/orders.json"))
    if not runs:
        raise RunError(f"no run has left results in {results_dir} yet")
    if run is not None and run not in runs:
        raise RunError(f"{results_dir} has no run {run}; the newest is {runs[-1]}")
    path = results_dir / (run or runs[-1]) / "orders.json"
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read: {error}") from error
    return document
