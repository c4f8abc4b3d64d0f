"""The command line: all packages or some, all mutants or a sample, a table or JSON."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mutation import report
from mutation.campaign import Campaign, Verdict
from mutation.helper import ServerFailed
from mutation.mutants import find, sample
from mutation.rooms import ROOMS, WORK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mutation.mutants import Mutant

_EQUIVALENT: Final = Path(__file__).with_name("equivalent.toml")
_LAST: Final = WORK / "last.json"
_INTERRUPTED: Final = 130


class Progress:
    """A line on standard error: how much is done, and how long the rest may take."""

    def __init__(self) -> None:
        self._what = ""
        self._begun = 0.0
        self._said = 0.0
        self._terminal = sys.stderr.isatty()

    def __call__(self, what: str, done: int, all_: int) -> None:
        """So much of `what` is done."""
        now = time.monotonic()
        if what != self._what:
            self._what, self._begun, self._said = what, now, 0.0
        if now - self._said < (1 if self._terminal else 30) and done < all_:
            return
        self._said = now
        left_s = (now - self._begun) / done * (all_ - done)
        line = f"{what}: {done} of {all_}"
        if left_s >= 1:
            line += f", some {int(left_s // 60)}:{int(left_s % 60):02d} to go"
        sys.stderr.write(f"\r{line:<60}" if self._terminal else f"{line}\n")
        if self._terminal and done == all_:
            sys.stderr.write("\n")
        sys.stderr.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Mutate what was asked for; the exit status."""
    # A script that starts us in the background has it ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options = _parser().parse_args(arguments)
    equivalent = {
        entry["key"]: entry["reason"] for entry in tomllib.loads(_EQUIVALENT.read_text("utf-8")).get("mutant", [])
    }
    verdicts: list[Verdict] = []
    status, left_out = 0, list[str]()
    try:
        mutants = _chosen(options)
        with Campaign(options.jobs, options.budget, Progress()) as campaign:
            campaign.prepare(options.only or ROOMS)
            left_out = list(campaign.left_out)
            verdicts.extend(campaign.run(mutants))
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted; what is known so far:\n")
        status = _INTERRUPTED
    except ServerFailed as error:
        sys.stderr.write(f"\n{error}\n")
        status = 1
    document = report.document(verdicts, equivalent, left_out, complete=status == 0)
    WORK.mkdir(exist_ok=True)
    _LAST.write_text(document, encoding="utf-8")
    if options.json:
        sys.stdout.write(f"{document}\n")
        return status
    if options.survivors:
        sys.stdout.write(f"{report.survivors(verdicts, equivalent)}\n")
    sys.stdout.write(f"{report.table(report.figures(verdicts, equivalent))}\n\n{report.NOTES}\n")
    if left_out:
        sys.stdout.write(f"Tests left out (they fail alone or take too long): {', '.join(left_out)}\n")
    return status


def _chosen(options: argparse.Namespace) -> list[Mutant]:
    mutants = find(options.only or ROOMS)
    if options.file:
        mutants = [mutant for mutant in mutants if any(part in mutant.file for part in options.file)]
    if options.again:
        last = json.loads(_LAST.read_text(encoding="utf-8"))["mutants"]
        again = {entry["key"] for entry in last if entry["outcome"] in {"survived", "not run"}}
        mutants = [mutant for mutant in mutants if mutant.key in again]
    return mutants if options.sample is None else sample(mutants, options.sample, options.seed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/mutants",
        description="Breaks the code in thousands of small ways and counts how many the tests notice. All of it takes "
        "an hour or so on two cores; --sample 300 some minutes.",
    )
    add = parser.add_argument
    add("--only", action="append", choices=ROOMS, help="this package alone; may be given several times")
    add("--file", action="append", metavar="PART", help="only files whose path holds this; may be given several times")
    add("--sample", type=int, metavar="N", help="so many mutants by chance, rather than all")
    add("--seed", type=int, default=1, help="which sample (default: 1)")
    add("--again", action="store_true", help="only those that survived last time and stand there as they did")
    add(
        "--jobs", type=int, default=min(4, os.cpu_count() or 1), metavar="N", help="how many at a time (default: cores)"
    )
    add("--budget", type=float, default=12, metavar="S", help="seconds of tests a mutant meets at most (default: 12)")
    add("--survivors", action="store_true", help="show each survivor with its diff")
    add("--json", action="store_true", help="all of it as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
