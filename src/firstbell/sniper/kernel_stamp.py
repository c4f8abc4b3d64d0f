"""When bytes came to this machine, as its kernel saw it, and not when this process came to read them.

While a thousand accounts are being armed, an answer may lie there for a long time before anybody reads it. That would
look like a long path, and the aim goes by the path.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
import time
from typing import Any, Final

_OPTION: Final = 35
"""``SO_TIMESTAMPNS`` of Linux (asm-generic/socket.h), which Python does not name; also the kind of its message."""
_TIMESPEC: Final = struct.Struct("@ll")
_SPACE: Final = 0 if not sys.platform.startswith("linux") else socket.CMSG_SPACE(_TIMESPEC.size)
_NS: Final = 1_000_000_000


def ask_for_stamps(plain: Any) -> None:
    """Have the kernel stamp what comes on a socket; where it does not, nothing is lost but exactness."""
    if _SPACE:
        with contextlib.suppress(OSError):
            plain.setsockopt(socket.SOL_SOCKET, _OPTION, 1)


def receive(plain: Any, size: int) -> tuple[bytes, int | None]:
    """Take in at most `size` bytes of what has come.

    Returns:
        The bytes, none when the connection has ended, and when they came: ns since the epoch, on our clock; None where
        the kernel does not say.

    Raises:
        OSError: As `recv` does.
    """
    if not _SPACE:
        return plain.recv(size), None
    data, ancillary, _, _ = plain.recvmsg(size, _SPACE)
    for level, kind, stamp in ancillary:
        if level == socket.SOL_SOCKET and kind == _OPTION and len(stamp) >= _TIMESPEC.size:
            seconds, ns = _TIMESPEC.unpack_from(stamp)
            return data, seconds * _NS + ns
    return data, None


def came_ago_ns(stamp_ns: int | None) -> int:
    """How long ago that was, in ns; 0 where it is not known, or the clock has been set meanwhile."""
    if stamp_ns is None:
        return 0
    ago_ns = time.time_ns() - stamp_ns
    return ago_ns if 0 <= ago_ns < 10 * _NS else 0
