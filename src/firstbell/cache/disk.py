"""A diskcache `Disk` that can neither execute nor read anything.

diskcache's own `Disk` unpickles values and keys, opens the files that rows name, and deletes them; its `JSONDisk` does
the same beneath its JSON (CVE-2025-69872). Whoever can write one row into the database then runs code as its reader.
This one knows short texts and integers, stored in the database itself, and nothing else.
"""

from __future__ import annotations

from typing import Any, Final, NoReturn

import diskcache
from diskcache.core import MODE_RAW

LONGEST_TEXT: Final = 1 << 20
"""Characters. Nothing that a broker says about an account comes near it."""
_INT64: Final = range(-(1 << 63), 1 << 63)


class DamagedRow(Exception):  # noqa: N818 - a finding about a row; it never leaves this room
    """A row that this room did not write. It holds nothing worth reading: remove it."""


class TextDisk(diskcache.Disk):  # type: ignore[misc] # diskcache has no types
    """Keys are texts; values are texts or integers, and live in the database."""

    def put(self, key: object) -> tuple[str, bool]:
        """Write a key for the database."""
        if type(key) is not str:
            raise TypeError(f"a cache key is a text, not {type(key).__name__}")
        return key, True

    def get(self, key: object, raw: object) -> str:
        """Read a key from the database; a planted one would be a pickle.

        Raises:
            DamagedRow: It is no text.
        """
        if not raw or type(key) is not str:
            raise DamagedRow
        return key

    def store(self, value: object, read: object, key: object = None) -> tuple[int, int, None, str | int]:
        """Write a value for the database: size, mode, file name, value."""
        del key
        if read:
            raise TypeError("the cache stores no files")
        if type(value) is str and len(value) <= LONGEST_TEXT:
            return 0, MODE_RAW, None, value
        if type(value) is int and value in _INT64:
            return 0, MODE_RAW, None, value
        raise TypeError(f"the cache stores short texts and 64-bit integers, not {type(value).__name__}")

    def fetch(self, mode: object, filename: object, value: object, read: object) -> str | int:
        """Read a value from the database.

        Raises:
            DamagedRow: The row names a file, or holds anything but a short text or an integer.
        """
        if read or mode != MODE_RAW or filename is not None:
            raise DamagedRow
        if type(value) is int:
            return value
        if type(value) is str and len(value) <= LONGEST_TEXT:
            return value
        raise DamagedRow

    def filename(self, key: object = None, value: object = None) -> NoReturn:
        """Never: nothing is stored in a file."""
        del key, value
        raise TypeError("the cache stores no files")

    def remove(self, file_path: Any) -> None:
        """Do nothing. Only a planted row names a file, and the file it names is somebody else's."""
