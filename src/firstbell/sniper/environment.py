"""What a run is told through its process environment, by ``firstbell run`` or by hand. No secrets.

The one secret that may stand there, ``FIRSTBELL_KEY``, is read in `firstbell.sniper.dealing.sealing`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from firstbell.model.identifiers import RunId

if TYPE_CHECKING:
    from collections.abc import Mapping

CONFIG: Final = "FIRSTBELL_CONFIG"
AT: Final = "FIRSTBELL_AT"
RUN: Final = "FIRSTBELL_RUN"
DRY: Final = "FIRSTBELL_DRY_RUN"
VERBOSE: Final = "FIRSTBELL_VERBOSE"
LEASH: Final = "FIRSTBELL_LEASH"


@dataclass(frozen=True, slots=True)
class RunWishes:
    """How a run is wanted.

    Attributes:
        config: The config file: ``FIRSTBELL_CONFIG``, or ``config.ini`` in the current folder.
        at: ``FIRSTBELL_AT``: when to fire, in the forms of ``run --at``; None for the config's ``order_time``.
        run_id: ``FIRSTBELL_RUN``: the run's name, where `firstbell run` has begun it already.
        dry: ``FIRSTBELL_DRY_RUN``: whether to do all but send.
        verbose: ``FIRSTBELL_VERBOSE``: how much to say, 0 to 2.
        leashed: ``FIRSTBELL_LEASH``: whether the run ends when its standard input does.
    """

    config: Path
    at: str | None = None
    run_id: RunId | None = None
    dry: bool = False
    verbose: int = 0
    leashed: bool = False

    def as_environment(self) -> dict[str, str]:
        """The same wishes as environment variables."""
        wishes = {
            CONFIG: str(self.config),
            VERBOSE: str(self.verbose),
            # Said outright, so that what is left over in a shell does not change the run.
            DRY: str(int(self.dry)),
            LEASH: str(int(self.leashed)),
        }
        if self.at is not None:
            wishes[AT] = self.at
        if self.run_id is not None:
            wishes[RUN] = self.run_id
        return wishes


def wishes(environ: Mapping[str, str] = os.environ) -> RunWishes:
    """Read the wishes of this process."""
    run_id = environ.get(RUN)
    verbose = environ.get(VERBOSE, "0")
    return RunWishes(
        config=Path(environ.get(CONFIG) or "config.ini"),
        at=environ.get(AT) or None,
        run_id=RunId(run_id) if run_id else None,
        dry=environ.get(DRY) == "1",
        verbose=int(verbose) if verbose.isdecimal() else 0,
        leashed=environ.get(LEASH) == "1",
    )
