"""The volley against what one would write instead: when does the server receive the first, the median, the last order?

All contenders of a cell (so many orders, over TCP or TLS) stand ready with their connections open; then round after
round each of them in turn fires at an instant of its own, so that whatever else the machine does meets them all alike.
Every round gives a first, a median and a last arrival in µs after the instant aimed at; medians over the rounds are
what is told.
"""

from __future__ import annotations

import contextlib
import statistics
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks import orders
from benchmarks.child import Child, ChildFailed, python
from benchmarks.recorder import compiled

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from benchmarks.machine import Cores
    from benchmarks.recorder import Recorder

_NS = 1_000_000_000
_LEAD_NS = 250_000_000
"""From the command to the instant: time for whoever needs it to seal, and to fall asleep."""
_FIRST_LEAD_NS = 1_500_000_000
"""The first round is for everybody's first-time work and is not counted."""
_CLOCKS_NS = 5_000
"""A round is repeated when the wall clock has moved by more against the monotonic one."""
_TRIES = 5
_ROUNDS = {1: 50, 10: 25, 100: 25, 500: 9}
_QUICK_ROUNDS = {1: 10, 10: 5, 100: 5, 500: 2}
_COLD_ROUNDS = 5

OURS = "firstbell's volley"
C_LOOP = "C send loop"
BARE = "bare Python loop"
BARE_SSL = "bare Python loop, ssl sockets"
FAST = "FastHttpUser"
HTTP = "HttpUser"
COLD = "HttpUser, cold connection"


@dataclass(frozen=True, slots=True)
class Arrivals:
    """When the orders of one contender arrived, in µs after the instant aimed at: medians over the rounds.

    Attributes:
        first: The first order.
        median: The one in the middle.
        last: The last one.
        rounds: How many rounds were counted.
    """

    first: float
    median: float
    last: float
    rounds: int


@dataclass(frozen=True, slots=True)
class Cell:
    """So many orders over one kind of connection.

    Attributes:
        tls: Whether it is TLS.
        count: How many orders at once.
        arrivals: By contender; one that could not be measured is missing.
    """

    tls: bool
    count: int
    arrivals: Mapping[str, Arrivals]


def measure(receiver: Recorder, cores: Cores, counts: Sequence[int], *, quick: bool) -> list[Cell]:
    """Measure every cell.

    Raises:
        ChildFailed: A process did not do what it was to do.
    """
    cells = []
    for tls in (False, True):
        for count in counts:
            wire = "TLS" if tls else "TCP"
            with contenders(receiver, cores, count, tls=tls) as ready:
                rounds = (_QUICK_ROUNDS if quick else _ROUNDS).get(count, 5)
                cells.append(Cell(tls, count, _compare(receiver, ready, count, rounds, f"{wire}, {count} orders")))
    return cells


@contextlib.contextmanager
def contenders(
    receiver: Recorder, cores: Cores, count: int, *, tls: bool, cold: bool = True
) -> Iterator[dict[str, Child]]:
    """All contenders, with so many connections each, ready.

    Args:
        receiver: Who receives.
        cores: Which processor they run on.
        count: How many connections.
        tls: Whether they speak TLS; those that cannot send as many bytes in the clear.
        cold: Whether the one is among them that connects anew each time.

    Raises:
        ChildFailed: One could not get ready.
    """
    with contextlib.ExitStack() as stack:
        ready: dict[str, Child] = {}
        for name, command in _commands(receiver, count, tls=tls, cold=cold).items():
            say(f"{'TLS' if tls else 'TCP'}, {count} connections: {name} gets ready")
            child = stack.enter_context(Child(name, command, cores.client))
            if child.line(timeout_s=180) != "ready":
                raise ChildFailed(f"{name} did not get ready")
            ready[name] = child
        yield ready


def _commands(receiver: Recorder, count: int, *, tls: bool, cold: bool) -> dict[str, list[str]]:
    url, plain_url, ca_file = receiver.url(tls=tls), receiver.url(tls=False), str(receiver.ca_file)
    in_clear, sealed = receiver.folder / "order", receiver.folder / "order-as-long-as-sealed"
    in_clear.write_bytes(orders.request(url))
    sealed.write_bytes(orders.as_long_as_sealed(plain_url))
    plain = [str(receiver.tcp_port), str(count), str(sealed if tls else in_clear)]
    commands = {OURS: python("contenders.volley", url, str(count), ca_file)}
    if (sender := _sender(receiver.folder)) is not None:
        commands[C_LOOP] = [str(sender), *plain]
    commands[BARE] = python("contenders.bare", *plain)
    if tls:
        commands[BARE_SSL] = python("contenders.bare", str(receiver.tls_port), str(count), str(in_clear), ca_file)
    commands[FAST] = python("contenders.locust_user", "fast", url, str(count), ca_file)
    commands[HTTP] = python("contenders.locust_user", "http", url, str(count), ca_file)
    if cold:
        commands[COLD] = python("contenders.locust_user", "cold", url, str(count), ca_file)
    return commands


def _sender(folder: Path) -> Path | None:
    made = folder / "sender"
    return made if made.exists() else compiled("sender", folder)


def _compare(
    receiver: Recorder, ready: Mapping[str, Child], count: int, rounds: int, words: str
) -> dict[str, Arrivals]:
    seen: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ready}
    names = list(ready)
    for number in range(rounds + 1):
        say(f"{words}: round {number} of {rounds}")
        for name in names:
            if name == COLD and number > _COLD_ROUNDS:
                continue
            found = _round(receiver, ready[name], count, _LEAD_NS if number else _FIRST_LEAD_NS)
            if number:
                seen[name].append(found)
        # Nobody is always the one who comes after the slowest.
        names.append(names.pop(0))
    return {name: _medians(found) for name, found in seen.items()}


def _medians(rounds: Sequence[tuple[float, float, float]]) -> Arrivals:
    first, median, last = (statistics.median(each[place] for each in rounds) for place in range(3))
    return Arrivals(first, median, last, len(rounds))


def _round(receiver: Recorder, child: Child, count: int, lead_ns: int) -> tuple[float, float, float]:
    """The first, the median and the last arrival of one volley, in µs after the instant aimed at."""
    for _ in range(_TRIES):
        receiver.reset()
        ahead_ns = _wall_ahead_ns()
        at_ns = time.monotonic_ns() + lead_ns
        child.ask(f"fire {at_ns}", timeout_s=180)
        # What came before the instant was something else: a handshake's end, a good-bye.
        after = [each - ahead_ns - at_ns for each in receiver.received_ns() if each - ahead_ns >= at_ns - _CLOCKS_NS]
        if abs(_wall_ahead_ns() - ahead_ns) > _CLOCKS_NS:
            continue
        if len(after) != count:
            raise ChildFailed(f"{child.name} sent {len(after)} orders in place of {count}")
        return after[0] / 1000, statistics.median(after) / 1000, after[-1] / 1000
    raise ChildFailed("the wall clock is being set again and again: no arrival can be told")


def _wall_ahead_ns() -> int:
    """How far the wall clock is ahead of the monotonic one: the tightest of several readings."""
    best = (sys.maxsize, 0)
    for _ in range(20):
        before_ns = time.monotonic_ns()
        wall_ns = time.time_ns()
        after_ns = time.monotonic_ns()
        best = min(best, (after_ns - before_ns, wall_ns - (before_ns + after_ns) // 2))
    return best[1]


def say(words: str) -> None:
    """Tell whoever waits how far it is."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{words}")
    else:
        sys.stderr.write(f"{words}\n")
    sys.stderr.flush()
