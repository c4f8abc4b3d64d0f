"""One case tried: what came of it, how long it took, how much memory it wanted."""

from __future__ import annotations

import contextlib
import logging
import resource
import signal
import time
import traceback
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Final

from firstbell.log import secrets

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from fuzzing.targets.base import Target

SLOWEST_S: Final = 1.0
"""Seconds of this processor's time that a case may take."""
HUNG_S: Final = 20.0
"""Seconds after which a case that only waits is given up."""
LARGEST_KIB: Final = 50 * 1024
"""What a case may add to the memory that this process ever had."""


@dataclass(frozen=True, slots=True)
class Failure:
    """How a reader gave way.

    Attributes:
        kind: What tells it from others: the error and the place in the code.
        words: All that is known of it.
    """

    kind: str
    words: str


class _TooSlow(BaseException):
    """A case is given up: not an `Exception`, so that no reader catches it."""


def make(target: Target, seed: int, number: int) -> bytes:
    """The case of a number: always the same for a target, a seed and a number."""
    return target.make(Random(f"{seed}/{target.name}/{number}"))  # repeatable  # nosec B311


def attempt(target: Target, data: bytes) -> Failure | None:
    """Try a case; how the reader gave way, or None where it held."""
    memory, began = _peak_kib(), time.process_time()
    try:
        with _leash(), _own_secrets():
            target.attempt(data)
    except _TooSlow:
        return Failure("hangs", f"gave no answer within {HUNG_S:g} s")
    except Exception as error:  # noqa: BLE001 - any error that gets here is a finding
        return _failure(error)
    took, more = time.process_time() - began, _peak_kib() - memory
    if more > LARGEST_KIB:  # asked first: what wants much memory is slow because of it
        return Failure("large", f"wanted {more // 1024} MiB of {LARGEST_KIB // 1024} MiB")
    if took > SLOWEST_S:
        return Failure("slow", f"took {took:.1f} s of {SLOWEST_S:g} s")
    return None


def _failure(error: Exception) -> Failure:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "firstbell" in frame.filename or "fuzzing" in frame.filename]
    place = f"{ours[-1].filename.rpartition('/')[2]}:{ours[-1].name}" if ours else "?"
    kind = f"{type(error).__name__} at {place}"
    if type(error).__name__ == "Wrong":
        kind = f"{kind}: {str(error)[:40]}"
    return Failure(kind, "".join(traceback.format_exception(error, limit=-6))[-4000:])


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Meanwhile nothing is logged: thousands of damaged rows would each be told of."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


@contextlib.contextmanager
def _own_secrets() -> Iterator[None]:
    # What one case wants hidden is no secret of the next; remembered all the same, it would make each slower.
    before, secrets._memory = secrets._memory, secrets.Memory()  # noqa: SLF001
    try:
        yield
    finally:
        secrets._memory = before  # noqa: SLF001


@contextlib.contextmanager
def _leash() -> Iterator[None]:
    before = signal.signal(signal.SIGALRM, _give_up)
    signal.setitimer(signal.ITIMER_REAL, HUNG_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _give_up(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise _TooSlow


def _peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
