"""Many cases of one target, until time is over; each manner of giving way is kept once."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from fuzzing import shrinking, trial

if TYPE_CHECKING:
    from fuzzing.targets.base import Target

MOST_FINDINGS: Final = 8
"""Of one target; then it needs mending, not more cases."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A case by which a reader gave way.

    Attributes:
        target: The target.
        seed: The session's seed.
        case: The case's number.
        data: The case, made small.
        failure: How it gave way.
    """

    target: str
    seed: int
    case: int
    data: bytes
    failure: trial.Failure


@dataclass(slots=True)
class Tally:
    """What one target came to.

    Attributes:
        target: Its name.
        cases: How many cases were tried.
        seconds: How long that took.
        findings: By how it gave way.
    """

    target: str
    cases: int = 0
    seconds: float = 0.0
    findings: list[Finding] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Cases a second."""
        return self.cases / self.seconds if self.seconds else 0.0


def run(
    target: Target,
    seed: int,
    *,
    seconds: float | None = None,
    cases: int | None = None,
    first: int = 0,
    patience_s: float = shrinking.PATIENCE_S,
) -> Tally:
    """Try cases until time or their number is over.

    Args:
        target: The target.
        seed: Where cases come from.
        seconds: How long.
        cases: How many.
        first: The first case's number.
        patience_s: Seconds that making one finding small is worth.
    """
    tally, kinds = Tally(target.name), set[str]()
    with trial.quiet():
        # The first case also pays for all that is made when first needed.
        trial.attempt(target, trial.make(target, seed, first))
        began = time.monotonic()
        while (cases is None or tally.cases < cases) and len(tally.findings) < MOST_FINDINGS:
            if seconds is not None and time.monotonic() - began >= seconds:
                break
            number = first + tally.cases
            data = trial.make(target, seed, number)
            failure = trial.attempt(target, data)
            tally.cases += 1
            if failure is not None and failure.kind not in kinds:
                kinds.add(failure.kind)
                small = shrinking.smaller(target, data, failure.kind, patience_s=patience_s)
                tally.findings.append(Finding(target.name, seed, number, small, failure))
        tally.seconds = time.monotonic() - began
    return tally
