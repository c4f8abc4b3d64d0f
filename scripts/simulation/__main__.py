"""The command line: many histories, one of them as a readable log, or planted bugs and who caught them."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from simulation.history import play
from simulation.many import play_many
from simulation.mutants import MUTANTS, named, planted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulation.many import Tally
    from simulation.mutants import Mutant

_COUNT: Final = 10_000
_PLANTED_COUNT: Final = 5_000
_SHOWN: Final = 10
_INTERRUPTED: Final = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Play what was asked for; the exit status: 1 where a promise was broken, or a planted bug not found."""
    options = _parser().parse_args(arguments)
    try:
        if options.plant == "list":
            sys.stdout.writelines(f"{mutant.name}\n" for mutant in MUTANTS)
            return 0
        if options.plant == "all":
            return _plant(MUTANTS, options)
        mutant = None if options.plant is None else named(options.plant)
        if options.seed is not None:
            return _replay(options.seed, mutant)
        if mutant is not None:
            return _plant((mutant,), options)
        return _many(options)
    except KeyError as error:
        sys.stderr.write(f"There is no planted bug {error}; --plant list names them.\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted.\n")
        return _INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/histories",
        description="Plays simulated histories: accounts, order engine, journal, wire, brokers and exchange on a "
        "simulated clock, with whatever can go wrong drawn from a seed; and judges each by the exchange's own list.",
    )
    parser.add_argument(
        "--count", type=int, metavar="N", help=f"how many ({_COUNT:,}; {_PLANTED_COUNT:,} a planted bug)"
    )
    parser.add_argument("--from", type=int, default=0, metavar="N", dest="first", help="the first one's seed (0)")
    parser.add_argument("--seed", type=int, metavar="N", help="one history, as a readable log")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="processes (2)")
    parser.add_argument(
        "--plant", metavar="NAME|all|list", help="a planted bug, by its name: the oracle has to catch it"
    )
    parser.add_argument("--json", action="store_true", help="figures for programs")
    return parser


def _many(options: argparse.Namespace) -> int:
    count = _COUNT if options.count is None else options.count
    tally = play_many(range(options.first, options.first + count), options.jobs, told=_tell)
    sys.stderr.write("\r\033[K" if sys.stderr.isatty() else "")
    if options.json:
        sys.stdout.write(json.dumps(tally.facts(), ensure_ascii=False, indent=1) + "\n")
        return 1 if tally.broken else 0
    for seed, violations in tally.broken[:_SHOWN]:
        sys.stdout.write(f"\nseed {seed}: replay it by `scripts/histories --seed {seed}`\n")
        sys.stdout.writelines(f"  {violation}\n" for violation in violations)
    sys.stdout.write(_figures(tally))
    return 1 if tally.broken else 0


def _tell(tally: Tally) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{tally.histories:,} histories, {len(tally.broken)} broken \033[K")
        sys.stderr.flush()


def _figures(tally: Tally) -> str:
    met = tally.met
    lines = [
        (
            f"{tally.histories:,} histories in {tally.seconds:.0f} s ({tally.histories / tally.seconds:.0f} a second), "
            f"{len(tally.broken)} with a broken promise."
        ),
        (
            f"Sent {met['sendings']:,} times, accepted {met['exchange: accepted']:,}; {met['kills']:,} kills, "
            f"{met['runs']:,} runs, {met['faults']:,} faults of {met['kinds']} kinds."
        ),
    ]
    lines += [f"  {name:<34} {number:>9,}" for name, number in sorted(tally.groups().items())]
    return "\n".join(lines) + "\n"


def _plant(mutants: Sequence[Mutant], options: argparse.Namespace) -> int:
    count = _PLANTED_COUNT if options.count is None else options.count
    caught, rows = 0, []
    for mutant in mutants:
        tally = play_many(
            range(options.first, options.first + count), options.jobs, mutant=mutant.name, until_broken=True
        )
        seed, violations = tally.broken[0] if tally.broken else (None, ())
        caught += seed is not None
        rows.append({"bug": mutant.name, "seed": seed, "said": violations[0] if violations else None})
        if not options.json:
            words = f"{seed:>5}  {violations[0]}" if seed is not None else f"    -  NOT CAUGHT in {count:,} histories"
            sys.stdout.write(f"{mutant.name:<48} {words}\n")
            sys.stdout.flush()
    if options.json:
        sys.stdout.write(json.dumps(rows, ensure_ascii=False, indent=1) + "\n")
    else:
        sys.stdout.write(f"{caught} of {len(mutants)} planted bugs caught.\n")
    return 0 if caught == len(mutants) else 1


def _replay(seed: int, mutant: Mutant | None) -> int:
    with tempfile.TemporaryDirectory(prefix="histories-") as folder, planted(mutant):
        played = play(seed, Path(folder), recording=True)
    sys.stdout.writelines(f"{line}\n" for line in played.lines)
    sys.stdout.writelines(f"BROKEN {violation}\n" for violation in played.violations)
    if not played.violations:
        sys.stdout.write("Every promise was kept.\n")
    return 1 if played.violations else 0


if __name__ == "__main__":
    sys.exit(main())
