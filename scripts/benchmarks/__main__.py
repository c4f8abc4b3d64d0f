"""The command line: all parts into ``docs/performance.md``, one part, or orders per second to an address."""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import beyond, clock, lanes, machine, memory, report, safety, throughput, volley, warmup
from benchmarks.child import ChildFailed
from benchmarks.recorder import recorder
from benchmarks.results import Results
from firstbell.errors import FirstbellError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

COUNTS = (1, 10, 100, 500)
PARTS = ("volley", "throughput", "warmup", "memory", "clock", "safety", "orders")
_PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for; the exit status."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    # A script that starts us in the background has it ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    options = _parser().parse_args(arguments)
    try:
        if options.part == "lanes":
            return _lanes(options)
        results = _measure((options.part,) if options.part else PARTS, quick=options.quick)
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted.\n")
        return _INTERRUPTED
    except (ChildFailed, FirstbellError) as error:
        sys.stderr.write(f"\n{error}\n")
        return 1
    if options.part:
        sys.stdout.write(json.dumps(_plain(results)) + "\n" if options.json else report.part(results))
        return 0
    page: Path = options.output
    page.write_text(report.document(results, datetime.now(UTC).date()), encoding="utf-8")
    sys.stdout.write(f"{page}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measures firstbell side by side with what one would write instead. Without a part: all of "
        "them, some forty minutes, into docs/performance.md.",
    )
    parser.add_argument("--quick", action="store_true", help="a few rounds each, to see that everything works")
    parser.add_argument("--output", type=Path, default=_PAGE, metavar="FILE", help="where the page goes")
    parser.set_defaults(part=None)
    parts = parser.add_subparsers(title="parts", metavar="[PART]")
    for name, words in (
        ("volley", "N orders at one instant, over TCP and TLS, against everybody else"),
        ("throughput", "orders per second and core, against everybody else"),
        ("warmup", "60 accounts over six brokers, each answer 50 ms late"),
        ("memory", "memory per account, with 1,000 accounts in two processes"),
        ("clock", "when orders come to a host whose clock is not ours"),
        ("safety", "what the final checks take, and how soon a halt holds"),
        ("orders", "what the order engine takes beyond the bell, on paper, in this process"),
    ):
        one = parts.add_parser(name, help=words, description=words)
        one.add_argument("--quick", action="store_true", default=argparse.SUPPRESS, help="a few rounds only")
        one.add_argument("--json", action="store_true", help="print JSON and nothing else")
        one.set_defaults(part=name)
    to_address = parts.add_parser(
        "lanes",
        help="orders per second that armed lanes deliver to an address",
        description="Orders per second that armed lanes deliver to an address: on each connection the next order "
        "leaves as soon as the one before is answered. The orders are real requests with a token that is none: send "
        "them to a server of your own.",
    )
    to_address.add_argument(
        "--url", required=True, help="http://127.0.0.1:PORT or https://HOST:PORT; a path in it is used"
    )
    to_address.add_argument("--connections", type=_positive_int, required=True, metavar="N", help="how many lanes")
    to_address.add_argument("--seconds", type=_positive, required=True, metavar="S", help="for how long")
    to_address.add_argument("--ca-file", type=Path, metavar="FILE", help="a private certificate authority")
    to_address.add_argument("--json", action="store_true", help="print JSON and nothing else")
    to_address.set_defaults(part="lanes")
    return parser


def _positive(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < (number := float(text)) < float("inf"):
            return number
    raise argparse.ArgumentTypeError(f"{text!r} is no positive number")


def _positive_int(text: str) -> int:
    with contextlib.suppress(ValueError):
        if (number := int(text)) > 0:
            return number
    raise argparse.ArgumentTypeError(f"{text!r} is no positive whole number")


def _lanes(options: argparse.Namespace) -> int:
    found = lanes.measure(options.url, options.connections, options.seconds, options.ca_file)
    if options.json:
        sys.stdout.write(json.dumps(found) + "\n")
    else:
        words = ", ".join(f"{count:,} with HTTP {status}" for status, count in found["statuses"].items())
        sys.stdout.write(
            f"{found['orders_per_second']:,.0f} orders per second on {found['connections']} lanes, "
            f"{found['seconds']:g} s: {found['answered']:,} answered ({words or 'none'}), {found['errors']:,} errors; "
            f"{found['cpu_seconds']:g} s of processor time\n"
        )
    return 0 if found["answered"] else 1


def _measure(parts: Sequence[str], *, quick: bool) -> Results:
    split = machine.cores()
    machine.pin(0, split.server)
    results = Results(split=split.in_words, quick=quick)
    with tempfile.TemporaryDirectory(prefix="firstbell-bench-") as name:
        folder = Path(name)
        if {"volley", "throughput"} & set(parts):
            with recorder(folder, split.server) as receiver:
                results.server = receiver.in_words
                if "volley" in parts:
                    results.cells = volley.measure(receiver, split, COUNTS, quick=quick)
                if "throughput" in parts:
                    results.paces = throughput.measure(receiver, split, quick=quick)
        if "warmup" in parts:
            volley.say("warm-up")
            results.warm_up = warmup.measure(folder / "warmup", split, quick=quick)
        if "memory" in parts:
            results.memory = memory.measure(folder / "memory", split, quick=quick)
        if "clock" in parts:
            results.aimed = clock.measure(folder / "clock", split, quick=quick)
        if "safety" in parts:
            results.safety = safety.measure(folder / "safety", split, quick=quick)
        if "orders" in parts:
            results.beyond = beyond.measure(folder / "orders", split, quick=quick)
    return results


def _plain(results: Results) -> dict[str, Any]:
    """What was measured, for programs; what was not is left out."""
    return {name: value for name, value in asdict(results).items() if value not in (None, "", ())}


def _end(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
