"""``firstbell results``: what a run came to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from firstbell.cli.shell import Shell, shared_options
from firstbell.cli.tables import print_results
from firstbell.config import load
from firstbell.errors import RunError
from firstbell.model.identifiers import RunId
from firstbell.oms.office import Office
from firstbell.sniper.archive import current, put_back, recover_all

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@click.argument("run", required=False)
@shared_options
def results(shell: Shell, *, run: str | None) -> int:
    """Show the newest run, or RUN: a table, or with --json the run's orders.json."""
    with Office(load(shell.config)) as office:
        name = newest(office.settings.firstbell.results_dir, run)
        run_id, tz = RunId(name), office.calendar.tz
        record = office.journal.run(run_id)
        if record is None:
            # Of another journal, or of another machine: the file is all there is.
            document = read_results(office.settings.firstbell.results_dir, name)
        else:
            recover_all(office.journal, office.clock, run_id, tz)
            put_back(office.journal, office.clock, [run_id], tz)
            document = current(office.journal, office.clock, record, tz)
    if shell.json:
        shell.print_json(document)
    else:
        print_results(shell, document)
    return 0


def newest(results_dir: Path, run: str | None) -> str:
    """The name of the newest run that has left results, or `run` itself.

    Raises:
        RunError: There is none.
    """
    runs = sorted(path.parent.name for path in results_dir.glob("*/orders.json"))
    if not runs:
        raise RunError(f"no run has left results in {results_dir} yet")
    if run is not None and run not in runs:
        raise RunError(f"{results_dir} has no run {run}; the newest is {runs[-1]}")
    return run or runs[-1]


def read_results(results_dir: Path, run: str | None) -> dict[str, Any]:
    """Read a run's ``orders.json``, the newest run's by default.

    Raises:
        RunError: There is none, or it cannot be read.
    """
    path = results_dir / newest(results_dir, run) / "orders.json"
    try:
        document: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{path} cannot be read: {error}") from error
    if not isinstance(document, dict) or not document.keys() >= {"run", "bell", "summary", "orders"}:
        raise RunError(f"{path} cannot be read: it holds no run's results; `firstbell orders reconcile` writes it anew")
    results: dict[str, Any] = document
    return results
