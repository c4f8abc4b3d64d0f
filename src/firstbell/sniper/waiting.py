"""Waiting for a plain socket: by gevent's hub where there is one at work, by the system otherwise."""

from __future__ import annotations

import select
from typing import Protocol

from gevent import monkey
from gevent.socket import wait_read, wait_write

_poll = monkey.get_original("select", "poll")


class Waiter(Protocol):
    """Waits for a socket. A wait for no time at all looks once."""

    def readable(self, fileno: int, timeout_s: float) -> bool:
        """Wait until something can be read, or the connection has ended; whether it can within `timeout_s` seconds."""
        ...

    def writable(self, fileno: int, timeout_s: float) -> bool:
        """Wait until something can be written; whether it can within `timeout_s` seconds."""
        ...


class GreenWaiter:
    """Lets the other greenlets work meanwhile."""

    def readable(self, fileno: int, timeout_s: float) -> bool:
        """Wait until something can be read; see `Waiter`."""
        try:
            wait_read(fileno, timeout=max(timeout_s, 0), timeout_exc=TimeoutError())
        except TimeoutError:
            return False
        return True

    def writable(self, fileno: int, timeout_s: float) -> bool:
        """Wait until something can be written; see `Waiter`."""
        try:
            wait_write(fileno, timeout=max(timeout_s, 0), timeout_exc=TimeoutError())
        except TimeoutError:
            return False
        return True


class PlainWaiter:
    """Stops the whole thread: for programs without gevent's hub."""

    def readable(self, fileno: int, timeout_s: float) -> bool:
        """Wait until something can be read; see `Waiter`."""
        return _ready(fileno, select.POLLIN, timeout_s)

    def writable(self, fileno: int, timeout_s: float) -> bool:
        """Wait until something can be written; see `Waiter`."""
        return _ready(fileno, select.POLLOUT, timeout_s)


def _ready(fileno: int, events: int, timeout_s: float) -> bool:
    poll = _poll()
    poll.register(fileno, events)
    return bool(poll.poll(max(timeout_s, 0) * 1000))
