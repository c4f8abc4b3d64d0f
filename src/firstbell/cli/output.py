"""Standard output and standard error that may go away: what is done does not end for it, and is not told otherwise.

A full disk, a reader that has gone, or a stream that was closed from the start says nothing of what became of an order.
So what cannot be printed is dropped, the command comes to its end, and its exit status is that of what was done. Where
nothing was to be done but to print, the status is that of `EXIT_UNPRINTED`.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from typing import TextIO

EXIT_UNPRINTED: Final = 74
"""What was asked for could not be printed: as ``EX_IOERR`` of ``sysexits.h``."""


class Lasting(io.TextIOBase):
    """A text stream that drops what it cannot write.

    Args:
        stream: Where it writes; None where it was closed from the start.

    Attributes:
        lost: Why it writes no more; None as long as it does.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.lost: OSError | ValueError | None = None
        if stream is None:
            self.lost = OSError(errno.EBADF, os.strerror(errno.EBADF))

    @property
    def reader_has_gone(self) -> bool:
        """Whether it writes no more because nobody reads it any more, which is nothing to complain of."""
        return isinstance(self.lost, OSError) and self.lost.errno == errno.EPIPE

    def write(self, text: str) -> int:
        """Write, or drop, a text; returns how long it is."""
        if self.lost is None and self._stream is not None:
            try:
                self._stream.write(text)
            except (OSError, ValueError) as error:
                self.lost = error
        return len(text)

    def flush(self) -> None:
        """Write what waits, or drop it."""
        if self.lost is None and self._stream is not None:
            try:
                self._stream.flush()
            except (OSError, ValueError) as error:
                self.lost = error

    def isatty(self) -> bool:
        """Whether a person looks at it."""
        return self._stream is not None and self._stream.isatty()

    def fileno(self) -> int:
        """Its number for the operating system."""
        if self._stream is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return self._stream.fileno()

    def writable(self) -> bool:
        """Always."""
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """How text becomes bytes."""
        return "utf-8" if self._stream is None else self._stream.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        """What becomes of text that does not."""
        return None if self._stream is None else self._stream.errors

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def last() -> Lasting:
    """Have standard output and standard error be such streams; returns the first of them."""
    if not isinstance(sys.stdout, Lasting):
        sys.stdout = Lasting(sys.stdout)
    if not isinstance(sys.stderr, Lasting):
        sys.stderr = Lasting(sys.stderr)
    return sys.stdout


_ONLY_PRINTING: Final = frozenset(
    {
        ("check",),
        ("results",),
        ("key",),
        ("positions",),
        ("preflight",),
        ("cache", "stats"),
        ("orders", "list"),
        ("orders", "show"),
        ("orders", "log"),
        ("orders", "brokers"),
    }
)
"""The commands that do nothing but print."""


def status_of(done: Any, command: str) -> Any:
    """A command's exit status, or another one where it only prints and has not been able to.

    Args:
        done: What the command says.
        command: Its words, those of the program itself first.
    """
    out = sys.stdout
    if done not in {0, None} or not isinstance(out, Lasting) or tuple(command.split()[1:]) not in _ONLY_PRINTING:
        return done
    out.flush()
    return done if out.lost is None or out.reader_has_gone else EXIT_UNPRINTED


def is_lost() -> bool:
    """Whether standard output takes nothing any more: whoever only prints may as well end."""
    return isinstance(sys.stdout, Lasting) and sys.stdout.lost is not None
