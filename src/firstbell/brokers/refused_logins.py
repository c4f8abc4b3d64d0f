"""Passwords that a broker has refused: not tried again, until they have been changed.

What is kept is a hash of four bytes under a key that only this installation has, so that the cache tells nobody the
password, and a changed one is tried at once.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import secrets
from typing import TYPE_CHECKING, Final

from firstbell.cache import Kind

if TYPE_CHECKING:
    from pathlib import Path

    from firstbell.brokers.shelf import Shelf

REMEMBERED_S: Final = 900.0
"""Seconds that a refused password is not tried again."""
_KEY_FILE: Final = "installation.key"
_KEY_BYTES: Final = 32
_log: Final = logging.getLogger(__name__)


class RefusedLogins:
    """The refused passwords of one login.

    Args:
        shelf: The cache.
        state_dir: Where the installation's key lies.
        key: The login's name in the cache.
    """

    def __init__(self, shelf: Shelf, state_dir: Path, key: str) -> None:
        self._shelf = shelf
        self._state_dir = state_dir
        self._key = key

    def holds(self, password: str) -> bool:
        """Whether this password was refused a short while ago."""
        noted = self._shelf.get(Kind.REFUSED_LOGIN, self._key)
        return noted is not None and noted == self._digest(password)

    def add(self, password: str) -> None:
        """Remember that this password was refused."""
        digest = self._digest(password)
        if digest is not None:
            self._shelf.put(Kind.REFUSED_LOGIN, self._key, digest, ttl_s=REMEMBERED_S)

    def _digest(self, password: str) -> str | None:
        try:
            key = _installation_key(self._state_dir)
        except OSError as error:
            _log.warning("The refused password cannot be remembered: %s", error.strerror)
            return None
        return hashlib.blake2b(password.encode(), key=key, digest_size=4).hexdigest()


def _installation_key(state_dir: Path) -> bytes:
    """The key of this installation, made when first asked for.

    Raises:
        OSError: It can be neither read nor made.
    """
    path = state_dir / _KEY_FILE
    with contextlib.suppress(FileNotFoundError):
        return _read(path)
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = state_dir / f"{_KEY_FILE}.{secrets.token_hex(8)}"
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(file, "wb") as writer:
            writer.write(secrets.token_bytes(_KEY_BYTES))
        with contextlib.suppress(FileExistsError):
            # A link appears whole or not at all, and another process's key is never replaced.
            path.hardlink_to(draft)
    finally:
        draft.unlink()
    return _read(path)


def _read(path: Path) -> bytes:
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(file, "rb") as reader:
        return reader.read(_KEY_BYTES)
