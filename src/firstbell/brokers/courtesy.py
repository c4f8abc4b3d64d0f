"""Being a polite client of an identity host: one captcha a second, a second before each, and pauses when asked.

All of it holds for all processes of one state folder together.
"""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING, Final

from firstbell.cache import Kind
from firstbell.cache.file_lock import locked
from firstbell.errors import NotSent, RateLimited

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from firstbell.brokers.shelf import Shelf
    from firstbell.clock import Clock

BEFORE_CAPTCHA_S: Final = 1.0
"""Seconds of pause before each captcha of a host."""
PAUSE_S: Final = 420.0
"""Seconds of pause after HTTP 429 where the host does not say: seven minutes have healed it."""
LONGEST_PAUSE_S: Final = 86_400.0
"""No pause is longer, whatever a host says."""
WAITED_OUT_S: Final = 5.0
"""A pause with so many seconds left is waited out; a longer one is an error."""
_QUEUE_S: Final = 1800.0


class Courtesy:
    """What one host is owed.

    Args:
        host: The host, for messages and as a name.
        shelf: The cache.
        locks: The folder of locks.
        clock: Both clocks, and how to wait.
    """

    def __init__(self, host: str, shelf: Shelf, locks: Path, clock: Clock) -> None:
        self._host = host
        self._shelf = shelf
        self._locks = locks
        self._clock = clock

    def await_captcha(self) -> None:
        """Wait for the turn to ask for one captcha: a second after anybody else's turn, and a second before asking.

        Raises:
            RateLimited: The host has asked for a pause.
            NotSent: Others have had the turn for half an hour.
        """
        name = hashlib.blake2b(self._host.encode(), digest_size=8).hexdigest()
        with held(self._locks / f"captcha-{name}.lock", self._host, self._clock):
            self._clock.sleep(BEFORE_CAPTCHA_S)
            self.wait_for_pause()

    def wait_for_pause(self) -> None:
        """Wait until a pause that the host has asked for is over.

        Raises:
            RateLimited: It is longer than we wait by ourselves; it says how long.
        """
        left = self._pause_left()
        if left > WAITED_OUT_S:
            raise RateLimited(
                f"{self._host} has asked for a pause: {left:.0f} s are left", host=self._host, retry_after=left
            )
        self._clock.sleep(left)

    def pause(self, retry_after: float | None) -> float:
        """The host has asked for a pause, for all of us.

        Args:
            retry_after: For how many seconds, or None where it did not say.

        Returns:
            The seconds it is.
        """
        seconds = PAUSE_S if retry_after is None else min(max(retry_after, 0.0), LONGEST_PAUSE_S)
        until = self._clock.wall_ns() + int(seconds * 1e9)
        self._shelf.put(Kind.COOLDOWN, self._host, {"until_ns": until, "s": int(seconds) + 1}, ttl_s=seconds)
        return seconds

    def _pause_left(self) -> float:
        noted = self._shelf.get(Kind.COOLDOWN, self._host)
        if not isinstance(noted, dict):
            return 0.0
        until, longest = noted.get("until_ns"), noted.get("s")
        if not isinstance(until, int) or not isinstance(longest, int):
            return 0.0
        # The clock may have been set back since.
        return min(max((until - self._clock.wall_ns()) / 1e9, 0.0), float(longest), LONGEST_PAUSE_S)


@contextlib.contextmanager
def held(path: Path, host: str, clock: Clock) -> Iterator[None]:
    """Hold a lock among all processes, made in a folder of its own.

    Raises:
        NotSent: It could not be had.
    """
    with contextlib.ExitStack() as stack:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            stack.enter_context(locked(path, timeout_s=_QUEUE_S, sleep=clock.sleep))
        except TimeoutError:
            raise NotSent(f"{host}: another process has held {path} for half an hour", host=host) from None
        except OSError as error:
            raise NotSent(f"{host}: the lock {path} cannot be used: {error.strerror}", host=host) from None
        yield
