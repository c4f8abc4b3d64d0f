"""The command line: all the cases, some of them, or one."""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from killing import plays
from killing.case import Case
from killing.matrix import Tally, Wanted, nurseries, play, play_all
from killing.plays import into_private_mounts
from killing.scenario import SCENARIOS
from killing.strace import Point
from killing.words import Broken, say, why_no_strace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from killing.case import Verdict

_INTERRUPTED = 130
_SKIPPED = 77


def main(arguments: Sequence[str] | None = None) -> int:
    """Play what was asked for; the exit status: 0 where nothing was wrong, 1 where something was, 77 without strace."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(given)
    into_private_mounts(given)
    if any(name not in plays.PLAYS for name in options.case or [""] * (not options.plays)):
        why = why_no_strace()
        if why is not None:
            say(why)
            return _SKIPPED
    folder = Path(tempfile.mkdtemp(prefix="firstbell-kills-"))
    try:
        if options.case:
            status = _cases(options, folder)
        else:
            status = _plays(options, folder) if options.plays else _matrix(options, folder)
    except KeyboardInterrupt:
        say("Interrupted.")
        return _INTERRUPTED
    except Broken as error:
        say(str(error))
        return 1
    if status == 0:
        shutil.rmtree(folder)
    return status


def _matrix(options: argparse.Namespace, folder: Path) -> int:
    began_s = time.monotonic()
    wanted = Wanted(
        scenarios=tuple(SCENARIOS[name] for name in options.scenario or SCENARIOS),
        only=frozenset(options.only or ()),
        every=options.every,
        begin=options.begin,
        jobs=options.jobs,
    )
    tallies = play(folder, wanted, _tell)
    seconds = time.monotonic() - began_s
    if options.json:
        document = {"seconds": round(seconds, 1), **{name: tally.as_json() for name, tally in tallies.items()}}
        sys.stdout.write(json.dumps(document) + "\n")
    else:
        for name, tally in tallies.items():
            sys.stdout.write(
                f"{name}: {tally.cases} cases, {tally.killed} killed, {len(tally.wrong)} wrong; told "
                f"{_counts(tally.told)}; in the end {_counts(tally.final)}\n"
            )
        sys.stdout.write(f"{sum(tally.cases for tally in tallies.values())} cases in {seconds:.0f} s\n")
    return 1 if any(tally.wrong for tally in tallies.values()) else 0


def _plays(options: argparse.Namespace, folder: Path) -> int:
    began_s, tally = time.monotonic(), Tally()
    names = []
    for name in list(plays.PLAYS)[:: options.every]:
        if (why := plays.why_not(name)) is not None:
            say(f"{name}: skipped: {why}")
        else:
            names.append(name)
    with nurseries(folder) as homes:
        for verdict in plays.play_all(folder, names, homes[1], options.jobs):
            tally.take(verdict)
            _tell(tally.cases, len(names), verdict)
    if options.json:
        sys.stdout.write(json.dumps({"seconds": round(time.monotonic() - began_s, 1), "plays": tally.as_json()}) + "\n")
    else:
        sys.stdout.write(f"{tally.cases} cases, {len(tally.wrong)} wrong, {time.monotonic() - began_s:.0f} s\n")
    return 1 if tally.wrong else 0


def _cases(options: argparse.Namespace, folder: Path) -> int:
    verdicts: list[Verdict] = []
    named, skipped = [], {}
    for name in options.case:
        if (why := plays.why_not(name)) is not None:
            skipped[name] = why
        elif name in plays.PLAYS:
            named.append(name)
    cases = []
    for name in options.case:
        if name not in plays.PLAYS:
            scenario, call, number = name.split("/")
            cases.append(Case(SCENARIOS[scenario], Point(call, int(number))))
    with nurseries(folder) as homes:
        struck = play_all(folder, cases, homes, options.jobs, hurry=options.hurry)
        for verdict in itertools.chain(struck, plays.play_all(folder, named, homes[1], options.jobs)):
            verdicts.append(verdict)
            _tell(len(verdicts), len(options.case), verdict)
    if options.json:
        facts = [vars(verdict) for verdict in verdicts]
        sys.stdout.write(json.dumps({"verdicts": facts, "skipped": skipped}) + "\n")
    for name, why in skipped.items():
        say(f"{name}: skipped: {why}")
    return 1 if any(verdict.wrong for verdict in verdicts) else 0


def _tell(done: int, total: int, verdict: Verdict) -> None:
    died = f"died at {verdict.last}" if verdict.killed else "did not die"
    say(
        f"[{done}/{total}] {verdict.name}: {died}; told {_counts(verdict.told)}, "
        f"in the end {_counts(verdict.final)}; {verdict.seconds:.0f} s"
    )
    for wrong in verdict.wrong:
        say(f"    WRONG: {wrong}")
    if verdict.wrong:
        say(f"    its files: {verdict.folder}; again: scripts/kills --case {verdict.name}")


def _counts(outcomes: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in outcomes.items()) or "nothing"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/kills",
        description="Kills a run (SIGKILL) at every system call around the bell, with a real exchange over HTTP and a "
        "real journal, starts it again, and judges what it says by what the exchange saw. Needs strace.",
        epilog="Scenarios: " + "; ".join(f"{each.name}: {each.words}" for each in SCENARIOS.values()),
    )
    parser.add_argument("--scenario", action="append", choices=list(SCENARIOS), help="only this one; may be repeated")
    parser.add_argument("--only", action="append", metavar="CALL", help="only at calls of this name; may be repeated")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every N-th case")
    parser.add_argument("--from", dest="begin", metavar="CASE", help="begin with this case, like plain/sendto/1")
    parser.add_argument("--case", action="append", metavar="CASE", help="play this case alone; may be repeated")
    parser.add_argument("--plays", action="store_true", help="instead: deaths at instants, full disks, torn journals")
    parser.add_argument(
        "--hurry", action="store_true", help="with --case: do not wait until what is lost is known to be"
    )
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="so many runs at once [2]")
    parser.add_argument("--json", action="store_true", help="print JSON for programs on standard output")
    return parser


if __name__ == "__main__":
    sys.exit(main())
