"""The command line: all targets for some minutes, one of them, or one case again."""

from __future__ import annotations

import argparse
import contextlib
import json
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fuzzing import session, trial
from fuzzing.targets import TARGETS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fuzzing.session import Finding, Tally

_FOUND = 1
_INTERRUPTED = 130
_SHOWN = 300


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what was asked for; the exit status is 1 where a reader gave way."""
    parser = _parser()
    options = parser.parse_args(arguments)
    names: list[str] = options.target or list(TARGETS)
    if (options.replay or options.case is not None) and len(names) != 1:
        parser.error("--replay and --case need one --target")
    seed: int = secrets.randbelow(10**6) if options.seed is None else options.seed
    try:
        if options.replay or options.case is not None:
            return _again(names[0], seed, options)
        return _all(names, seed, options)
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted.\n")
        return _INTERRUPTED


def _all(names: Sequence[str], seed: int, options: argparse.Namespace) -> int:
    seconds = None if options.cases else options.minutes * 60 / len(names)
    if not options.json:
        sys.stdout.write(f"seed {seed}\n{'target':<12}{'cases':>12}{'a second':>12}{'findings':>10}\n")
    tallies = []
    for name in names:
        with contextlib.closing(TARGETS[name]()) as target:
            tally = session.run(target, seed, seconds=seconds, cases=options.cases)
        tallies.append(tally)
        if not options.json:
            sys.stdout.write(f"{name:<12}{tally.cases:>12,}{tally.rate:>12,.0f}{len(tally.findings):>10}\n")
            sys.stdout.flush()
    findings = [finding for tally in tallies for finding in tally.findings]
    kept = {id(finding): _keep(finding, options.findings) for finding in findings}
    if options.json:
        sys.stdout.write(json.dumps(_document(seed, tallies, kept), indent=2) + "\n")
    else:
        cases, took = sum(tally.cases for tally in tallies), sum(tally.seconds for tally in tallies)
        sys.stdout.write(f"{cases:,} cases in {took:,.0f} s, {len(findings)} findings\n")
        for finding in findings:
            sys.stdout.write(_told(finding, kept[id(finding)]))
    return _FOUND if findings else 0


def _again(name: str, seed: int, options: argparse.Namespace) -> int:
    with contextlib.closing(TARGETS[name]()) as target, trial.quiet():
        data = options.replay.read_bytes() if options.replay else trial.make(target, seed, options.case)
        failure = trial.attempt(target, data)
    sys.stdout.write(f"{data[:_SHOWN]!r}\n{'it held' if failure is None else failure.words}\n")
    return 0 if failure is None else _FOUND


def _keep(finding: Finding, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{finding.target}-{finding.seed}-{finding.case}"
    path.write_bytes(finding.data)
    return path


def _told(finding: Finding, path: Path) -> str:
    return (
        f"\n{finding.target}: {finding.failure.kind}\n{finding.data[:_SHOWN]!r}\n{finding.failure.words}\n"
        f"again, made small: scripts/fuzz --target {finding.target} --replay {path}\n"
        f"again, as it was:  scripts/fuzz --target {finding.target} --seed {finding.seed} --case {finding.case}\n"
    )


def _document(seed: int, tallies: Sequence[Tally], kept: dict[int, Path]) -> dict[str, Any]:
    return {
        "seed": seed,
        "cases": sum(tally.cases for tally in tallies),
        "seconds": round(sum(tally.seconds for tally in tallies), 1),
        "targets": {tally.target: {"cases": tally.cases, "per_second": round(tally.rate)} for tally in tallies},
        "findings": [
            {
                "target": finding.target,
                "case": finding.case,
                "kind": finding.failure.kind,
                "words": finding.failure.words,
                "file": str(kept[id(finding)]),
            }
            for tally in tallies
            for finding in tally.findings
        ],
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/fuzz",
        description="Throws broken and hostile bytes at every reader. Exit status 1: one gave way, by raising what it "
        "does not document, saying what the bytes do not say, or taking more than a second or 50 MiB.",
    )
    parser.add_argument("--minutes", type=float, default=3.0, help="how long, all targets together [default: 3]")
    parser.add_argument("--cases", type=int, help="so many cases of each target, however long that takes")
    parser.add_argument("--seed", type=int, help="where the cases come from [default: another one each time, said]")
    parser.add_argument("--target", action="append", choices=list(TARGETS), help="this one only; may be repeated")
    parser.add_argument("--case", type=int, help="one case of a seed and a target again")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="one case from a file again")
    parser.add_argument(
        "--findings", type=Path, default=Path("fuzz_findings"), metavar="FOLDER", help="where findings are kept"
    )
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    return parser


if __name__ == "__main__":
    sys.exit(main())
