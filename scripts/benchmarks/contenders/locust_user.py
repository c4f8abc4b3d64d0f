"""A plain Locust user that places its order with Locust's own client, as requirement 1 describes it.

One class per account, made at run time, ``fixed_count = 1``; its task waits for the bell and posts. It is treated
better than life would: all users are there long before the bell, nothing is logged, and unless it is to be cold each
has spoken to the server before.

Usage: ``python -m benchmarks.contenders.locust_user http|fast|cold URL CONNECTIONS CA_FILE``; ``cold`` is ``http`` with
its connections closed before each bell, as they are for a user that is spawned for it.
"""

from __future__ import annotations

import logging
import sys
import time
from typing import Any, ClassVar

import gevent
from gevent.event import Event
from gevent.fileobject import FileObject
from locust import FastHttpUser, HttpUser, constant
from locust.env import Environment

from benchmarks import orders
from benchmarks.contenders import obey

_NS = 1_000_000_000


class _Round:
    """One thing to do, for all users."""

    def __init__(self, users: int) -> None:
        self.given = Event()
        self.ended = Event()
        self.at_ns = 0
        self.until_ns = 0
        self.answered = 0
        self._left = users

    def done(self) -> None:
        self._left -= 1
        if not self._left:
            self.ended.set()


class _Rounds:
    """Users go from round to round, each at its own pace."""

    def __init__(self, users: int) -> None:
        self._users = users
        self.all = [_Round(users)]

    def hold(self, at_ns: int, until_ns: int = 0) -> int:
        current = self.all[-1]
        self.all.append(_Round(self._users))
        current.at_ns, current.until_ns = at_ns, until_ns
        current.given.set()
        current.ended.wait()
        return current.answered


class _Account:
    """What every user has, whatever its client."""

    wait_time = constant(0)
    fixed_count = 1
    rounds: ClassVar[_Rounds]
    cold: ClassVar[bool]
    ca_file: ClassVar[str]
    client: Any
    seen: int

    def on_start(self) -> None:
        self.seen = 0
        self.client.verify = self.ca_file


def _place_order(user: _Account) -> None:
    current = user.rounds.all[user.seen]
    user.seen += 1
    if user.cold:
        user.client.close()
    current.given.wait()
    gevent.sleep(max(0, current.at_ns - time.monotonic_ns()) / _NS)
    while True:
        user.client.post(orders.PATH, json=orders.document(), headers=orders.headers())
        current.answered += 1
        if time.monotonic_ns() >= current.until_ns:
            break
    current.done()


class LocustUsers:
    """All of them.

    Args:
        kind: ``http``, ``fast`` or ``cold``.
        url: Where the orders go.
        count: How many users.
        ca_file: The authority behind the server's certificate.
    """

    def __init__(self, kind: str, url: str, count: int, ca_file: str) -> None:
        self._rounds = _Rounds(count)
        base = FastHttpUser if kind == "fast" else HttpUser
        body = {
            "tasks": [_place_order],
            "rounds": self._rounds,
            "cold": kind == "cold",
            "ca_file": ca_file,
            "host": url,
        }
        classes = [type(f"Order_Account{number}_User{number}", (_Account, base), dict(body)) for number in range(count)]
        environment = Environment(user_classes=classes, host=url)
        self._runner = environment.create_local_runner()
        self._runner.start(count, spawn_rate=count)
        self._rounds.hold(0)

    def fire(self, at_ns: int) -> None:
        """Send one order from each user at that instant, and await the answers."""
        self._rounds.hold(at_ns)

    def pump(self, seconds: float) -> int:
        """Send for so long; how many were answered."""
        return self._rounds.hold(0, time.monotonic_ns() + int(seconds * _NS))


def main() -> None:
    """Be the contender."""
    logging.basicConfig(level=logging.WARNING)
    kind, url, count, ca_file = sys.argv[1:]
    obey(LocustUsers(kind, url, int(count), ca_file), FileObject(sys.stdin.fileno()))


if __name__ == "__main__":
    main()
