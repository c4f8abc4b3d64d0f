"""Disks that are full, folders that cannot be written, journals that are torn, turned or held, and two runs at once."""

from __future__ import annotations

import os
import time
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from killing.ground import LEAD_S, RESULTS, STATE, reasons, until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from killing.ground import Ground

_DISK: Final = 16 << 20
_FILLED_S: Final = 1.0
"""A disk fills up so many seconds before the bell: after the claim, before the answers."""
_REFUSED: Final = 2
_UNKNOWN: Final = 3


def full_before(ground: Ground, name: str) -> None:
    """The disk is full from the start: nothing is claimed, nothing leaves, and it says so."""
    ground.begin()
    ballast = ground.fill(ground.on_small_disk(name, _DISK))
    run = ground.run("run", time.time() + LEAD_S)
    ground.ended(run, _REFUSED)
    ground.says(run, "full" if name == STATE else "No space left")
    ground.sent_nothing()
    ballast.unlink()
    _works_again(ground)


def little_room(ground: Ground, room: int) -> None:
    """The disk fills up somewhere on the way to the claim: whatever leaves is claimed and known."""
    ground.begin()
    ballast = ground.fill(ground.on_small_disk(STATE, _DISK), room)
    run = ground.run("run", time.time() + LEAD_S)
    document = ground.ended(run)
    if document is None:
        # It may have got as far as the order. What was sent without a claim would be sent once more below.
        ground.says(run, "full")
    ballast.unlink()
    _works_again(ground)


def full_after_claim(ground: Ground, name: str) -> None:
    """The disk fills up between the claim and the answer: the order is at the exchange, and nobody denies it."""
    ground.begin()
    place = ground.on_small_disk(name, _DISK)
    run, bell_s = ground.run_and_claim()
    until(bell_s - _FILLED_S)
    ballast = ground.fill(place)
    document = ground.ended(run, _UNKNOWN)
    if ground.count() != 1:
        ground.wrong.append(f"{ground.count()} orders are at the exchange, and one was claimed")
    if {"rejected", "not_sent"} & set(ground.outcomes(document)):
        ground.wrong.append(f"bytes had left, and it says {ground.outcomes(document)}")
    ballast.unlink()
    _expect(ground, ground.reconciled(), "accepted")
    _works_again(ground)


def read_only(ground: Ground, name: str) -> None:
    """The folder cannot be written: nothing leaves, and it says so."""
    ground.begin()
    ground.read_only(name)
    run = ground.run("run", time.time() + LEAD_S)
    ground.ended(run, _REFUSED)
    said = " ".join(run.said().split()).lower()
    if not any(words in said for words in ("read-only", "readonly")):
        ground.wrong.append(f"it does not say that it is read-only: {said[-600:]}")
    ground.sent_nothing()


def held_before(ground: Ground) -> None:
    """Another process holds the journal for longer than anybody waits: nothing leaves."""
    ground.begin()
    ground.ended(ground.run("first", time.time() + LEAD_S, "--dry-run"))
    with ground.locked():
        run = ground.run("run", time.time() + LEAD_S)
        ground.ended(run, _REFUSED)
    ground.says(run, "locked")
    ground.sent_nothing()
    _works_again(ground)


def held_at_the_bell(ground: Ground) -> None:
    """Another process holds the journal from before the bell until long after it: what left is not denied."""
    ground.begin()
    run, bell_s = ground.run_and_claim()
    until(bell_s - _FILLED_S)
    with ground.locked():
        until(bell_s + 13)
    document = ground.ended(run, 0, _UNKNOWN)
    if ground.count() != 1:
        ground.wrong.append(f"{ground.count()} orders are at the exchange, and one was claimed")
    if {"rejected", "not_sent"} & set(ground.outcomes(document)):
        ground.wrong.append(f"bytes had left, and it says {ground.outcomes(document)}")
    _expect(ground, ground.reconciled(), "accepted")


def two_at_once(ground: Ground) -> None:
    """Two runs of one config with one bell: one of them has the order, and the other says who."""
    ground.begin()
    bell_s = time.time() + LEAD_S
    runs = [ground.run(f"run{number}", bell_s) for number in range(2)]
    documents = [ground.ended(run) for run in runs]
    if ground.count() != 1:
        ground.wrong.append(f"{ground.count()} orders are at the exchange")
    said = [reason for document in documents for reason in reasons(document)]
    if not any("has claimed this order" in reason or "placed earlier" in reason for reason in said):
        ground.wrong.append(f"nobody says who has it: {said}")
    _works_again(ground)


def turned(ground: Ground, what: str) -> None:
    """One bit of the journal has turned: nothing leaves until a person has looked."""
    ground.begin()
    ground.ended(ground.run("first", None), 0)
    # The first to look closes it in order: everything is in one file then.
    ground.reconciled()
    data = bytearray(ground.journal.read_bytes())
    text = {"status": "ACCEPTED", "isin": ground.accounts[0].isin, "code": ground.accounts[0].broker_code}[what]
    at = data.rindex(text.encode()) + len(text) - 1
    data[at] ^= 1
    ground.journal.write_bytes(data)
    run = ground.run("run", None)
    ground.ended(run, _REFUSED)
    ground.says(run, "the journal is damaged", "nothing is sent until")
    if ground.count() != 1:
        ground.wrong.append(f"{ground.count()} orders are at the exchange")


def torn(ground: Ground, less: int) -> None:
    """A run is killed before its bell and the end of the journal's log is torn off: the next run carries on."""
    ground.begin()
    run, _ = ground.run_and_claim()
    run.kill()
    run.wait(10)
    ground.wait_for_nobody()
    log = ground.journal.with_name("journal.db-wal")
    if log.exists() and log.stat().st_size:
        os.truncate(log, log.stat().st_size - less)
    again = ground.run("run", time.time() + LEAD_S)
    _expect(ground, ground.ended(again, 0, _UNKNOWN), "accepted", "unresolved")
    ground.reconciled()


def cut(ground: Ground) -> None:
    """The journal's file has lost its second half: nothing leaves."""
    ground.begin()
    ground.ended(ground.run("first", None), 0)
    ground.reconciled()
    os.truncate(ground.journal, ground.journal.stat().st_size // 2)
    run = ground.run("run", None)
    ground.ended(run, _REFUSED)
    ground.says(run, "is damaged")
    if ground.count() != 1:
        ground.wrong.append(f"{ground.count()} orders are at the exchange")


def _works_again(ground: Ground) -> None:
    """Once the damage is mended, a run comes to the truth, and there is one order in the end."""
    document = ground.ended(ground.run("later", None), 0, _UNKNOWN)
    if document is not None and "unresolved" in ground.outcomes(document):
        ground.reconciled()
    if ground.count() > 1:
        ground.wrong.append(f"{ground.count()} orders are at the exchange")


def _expect(ground: Ground, document: dict[str, Any] | None, *outcomes: str) -> None:
    if document is None or not set(ground.outcomes(document)) <= set(outcomes):
        ground.wrong.append(f"it comes to {ground.outcomes(document)} instead of {outcomes}")


_MOUNTED: Final[dict[str, Callable[[Ground], None]]] = {
    "full-before": partial(full_before, name=STATE),
    "full-before-results": partial(full_before, name=RESULTS),
    **{f"room-{kib}k": partial(little_room, room=kib << 10) for kib in (8, 24, 64, 96, 128, 256)},
    "full-after-claim": partial(full_after_claim, name=STATE),
    "full-after-claim-results": partial(full_after_claim, name=RESULTS),
    "read-only": partial(read_only, name=STATE),
    "read-only-results": partial(read_only, name=RESULTS),
}

DAMAGE: Final[Mapping[str, Callable[[Ground], None]]] = MappingProxyType(
    {
        **_MOUNTED,
        "held-before": held_before,
        "held-at-the-bell": held_at_the_bell,
        "two-at-once": two_at_once,
        **{f"turned-{what}": partial(turned, what=what) for what in ("status", "isin", "code")},
        "cut": cut,
        **{f"torn-{less}": partial(torn, less=less) for less in (1, 4097)},
    }
)
"""Every kind of damage by its name."""

NEEDS_MOUNTS: Final = frozenset(_MOUNTED)
"""Those of them that need a disk of their own: root, in a private mount namespace."""
