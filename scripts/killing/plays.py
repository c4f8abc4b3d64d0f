"""The cases that are no system calls: deaths at instants, and damage. They are played with whole commands."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from killing.case import Verdict
from killing.damage import DAMAGE, NEEDS_MOUNTS
from killing.ground import Ground
from killing.instants import INSTANTS
from killing.venue import Venue
from killing.words import Broken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from killing.children import Nursery

PLAYS: Final[Mapping[str, Callable[[Ground], None]]] = MappingProxyType(
    {
        **{f"instant/{name}": play for name, play in INSTANTS.items()},
        **{f"damage/{name}": play for name, play in DAMAGE.items()},
    }
)
"""Every case of this kind by its name."""

_PRIVATE: Final = "KILLS_PRIVATE_MOUNTS"
_ACCOUNTS: Final = 2


def why_not(name: str) -> str | None:
    """Why a case cannot be played here; None where it can."""
    if name.removeprefix("damage/") in NEEDS_MOUNTS and os.environ.get(_PRIVATE) != "1":
        return "a disk of its own needs root and `unshare --mount`"
    return None


def into_private_mounts(arguments: Sequence[str]) -> None:
    """Begin anew where nobody else sees what we mount; returns where that is not possible, or done already."""
    if os.environ.get(_PRIVATE) == "1" or os.geteuid() != 0 or shutil.which("unshare") is None:
        return
    unshare = ["unshare", "--mount", "--propagation", "private"]
    folder = tempfile.mkdtemp(prefix="firstbell-kills-")
    try:
        tried = subprocess.run([*unshare, "mount", "-t", "tmpfs", "tmpfs", folder], capture_output=True, check=False)
    finally:
        Path(folder).rmdir()
    if tried.returncode == 0:
        command = [*unshare, sys.executable, "-m", "killing", *arguments]
        os.execvpe(command[0], command, {**os.environ, _PRIVATE: "1"})  # noqa: S606 - we become it  # nosec B606


def play_all(folder: Path, names: Sequence[str], commands: Nursery, jobs: int) -> Iterator[Verdict]:
    """Play these cases, several at once; the verdicts as they come."""
    if not names:
        return
    home = Path(tempfile.mkdtemp(prefix="exchange-plays-", dir=folder))
    with Venue(home, _ACCOUNTS * len(names), ["--port-per-broker"]) as venue, ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(_play, folder, name, venue, commands) for name in names]
        for future in as_completed(futures):
            yield future.result()


def _play(folder: Path, name: str, venue: Venue, commands: Nursery) -> Verdict:
    began_s = time.monotonic()
    count = _ACCOUNTS if name.startswith(("instant/worker", "instant/master")) else 1
    ground = Ground(folder / name.replace("/", "-"), venue.take(count), venue, commands)
    verdict = Verdict(name, killed=name.startswith("instant/"), last=name, wrong=ground.wrong)
    verdict.folder = str(ground.folder)
    try:
        PLAYS[name](ground)
        if ground.journal.exists() and name.startswith("instant/"):
            verdict.final.update(ground.outcomes(ground.reconciled()))
    except (Broken, OSError, ValueError, KeyError) as error:
        ground.wrong.append(f"it could not be judged: {type(error).__name__}: {error}")
    finally:
        ground.end_all()
        if ground.wrong:
            ground.keep()
        ground.close()
    verdict.seconds = time.monotonic() - began_s
    if not verdict.wrong:
        shutil.rmtree(ground.folder)
    return verdict
