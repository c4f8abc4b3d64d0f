"""What a case is played on: how many accounts, what faults their exchange has, and from when on calls are counted."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

CHANGES: Final = frozenset(
    {
        "sendto",
        "sendmsg",
        "write",
        "recvfrom",
        "recvmsg",
        "read",
        "pwrite64",
        "fdatasync",
        "fsync",
        "ftruncate",
        "rename",
        "unlink",
        "openat",
        "mkdir",
        "close",
        "shutdown",
        "connect",
        "socket",
    }
)
"""Calls that change what others see, or bring in what they did."""


DURABLE: Final = frozenset({"sendto", "fdatasync", "fsync", "ftruncate", "rename", "unlink"})
"""The calls that matter most: bytes leave, or something is kept for good."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One way to play the bell.

    Attributes:
        name: Its name.
        words: What is special about it.
        accounts: How many accounts a case has.
        faults: Faults of the exchange; each strikes the first account of every case.
        tls: Whether the exchange is reached over TLS.
        from_s: Calls are counted from so many seconds before the bell on; None: from the process's start on.
        warm: Whether the log-ins have been warmed up before; else the run itself logs in.
        lead_s: The bell rings so many seconds after the process was started.
        until_s: Up to so many seconds after the bell; later ones come after the end of everything.
        calls: The names that are struck; None for all.
        every: Of the calls of one name, every so many-th; of those in `DURABLE` every one.
    """

    name: str
    words: str
    accounts: int = 1
    faults: tuple[str, ...] = ()
    tls: bool = False
    from_s: float | None = 1.5
    warm: bool = True
    lead_s: float = 5.5
    until_s: float = 60.0
    calls: frozenset[str] | None = None
    every: int = 1


_ALL: Final = (
    Scenario("plain", "one account: every call from 1.5 s before the bell to the process's end"),
    Scenario(
        "arming",
        "one account: what is written from the process's start on, the claim among it",
        from_s=None,
        warm=False,
        lead_s=7.5,
        until_s=-1.5,
        every=4,
        calls=DURABLE | {"pwrite64"},
    ),
    Scenario("tls", "one account, over TLS", tls=True, calls=CHANGES, every=2),
    Scenario(
        "dropped",
        "three accounts at three brokers; one's order is accepted and its connection cut",
        accounts=3,
        faults=("drop_after_accept",),
        calls=CHANGES,
        every=3,
    ),
    Scenario(
        "hidden",
        "three accounts at three brokers; one's order is accepted, answered with HTTP 500 and in no list for 3 s",
        accounts=3,
        faults=("http_500_after_accept", "hidden:seconds=3"),
        calls=CHANGES - {"read", "openat", "close", "mkdir"},
        every=4,
    ),
    Scenario(
        "lost",
        "three accounts at three brokers; one's order is lost on its way",
        accounts=3,
        faults=("drop_before_accept",),
        calls=DURABLE | {"recvmsg", "recvfrom", "pwrite64"},
        every=6,
    ),
)

SCENARIOS: Final[Mapping[str, Scenario]] = MappingProxyType({each.name: each for each in _ALL})
"""Every scenario by its name."""
