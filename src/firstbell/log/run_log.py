"""The run log: ``firstbell.log`` in the logs folder, one event a line, rotated, shared by all processes of a run."""

from __future__ import annotations

import contextlib
import logging
import os
import stat
import sys
import threading
import traceback
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Final, TextIO

from concurrent_log_handler import ConcurrentRotatingFileHandler

from firstbell.errors import RunError
from firstbell.log.escape import one_line
from firstbell.log.redaction import redact
from firstbell.log.rotation import Rotation, remove_aged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo
    from pathlib import Path
    from types import TracebackType

RUN_LOG: Final = "firstbell.log"
MAX_BYTES: Final = 5 * 1024 * 1024
BACKUPS: Final = 5
TEHRAN: Final = timezone(timedelta(hours=3, minutes=30))
_FOLDER_MODE: Final = 0o700

_CONSOLE_LEVELS: Final = (logging.WARNING, logging.INFO, logging.DEBUG)


class LineFormatter(logging.Formatter):
    """Writes a record as one line: time at the exchange, level, process, logger, message and traceback.

    The message and the traceback are formatted first, then redacted, then escaped: so nothing that any library logs
    gets past the boundary, in whatever argument or exception it hides.

    Args:
        tz: The exchange's time zone.
    """

    def __init__(self, tz: tzinfo) -> None:
        super().__init__("%(message)s")
        self._tz = tz

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        at = datetime.fromtimestamp(record.created, self._tz).isoformat(timespec="milliseconds")
        text = one_line(redact(f"{record.name}: {super().format(record)}"))
        return f"{at} {record.levelname:<7} [{record.process}] {text}"


class GuardedFormatter(logging.Formatter):
    """Another handler's formatter with the boundary around it.

    Args:
        inner: The formatter that the handler had.
    """

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        """What the handler's own formatter makes of the record, secrets removed."""
        return redact(self._inner.format(record))


class RotatingFile(ConcurrentRotatingFileHandler):
    """A file of lines: UTF-8, for its owner alone, rotated, safe for several processes.

    Trouble with it is said once on standard error and stops nothing; the record's arguments, which `logging` would
    print there, stay unsaid.

    Args:
        path: The file; rotated ones get ``.1``, ``.2`` … behind their names.
        formatter: Makes lines of records.
        rotation: When it is rotated; by default at 5 MB, five deep.
    """

    def __init__(self, path: Path, formatter: logging.Formatter, rotation: Rotation | None = None) -> None:
        rotation = rotation or Rotation(MAX_BYTES, BACKUPS)
        super().__init__(
            str(path),
            maxBytes=rotation.max_bytes,
            backupCount=rotation.backups,
            encoding="utf-8",
            use_gzip=rotation.compress,
            chmod=0o600,
            unicode_error_policy="replace",
        )
        self.setFormatter(formatter)
        self.lost = 0
        self._path = path
        self._max_age_days = rotation.max_age_days

    def doRollover(self) -> None:  # noqa: N802 - logging's name
        """Begin the file anew, and remove what has become too old."""
        super().doRollover()
        if self._max_age_days is not None:
            remove_aged(self._path, self._max_age_days)

    def do_write(self, msg: str) -> None:
        """Write a record; where a kill or a full disk has left half a line, on a line of its own."""
        super().do_write(f"\n{msg}" if self._is_torn() else msg)

    def _is_torn(self) -> bool:
        """Whether the last line has no end."""
        try:
            file = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            # It is not there yet, or whoever opens it for writing says what is wrong with it.
            return False
        try:
            size = os.fstat(file).st_size
            return size > 0 and os.pread(file, 1, size - 1) != b"\n"
        finally:
            os.close(file)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep every other writer, of whatever process, waiting."""
        self._do_lock()
        try:
            yield
        finally:
            self._do_unlock()

    def close(self) -> None:
        """Close the file; what a full disk does not take even then is complained of, and nothing more."""
        try:
            super().close()
        except OSError as error:
            # The file is closed by now; its lock is not.
            with contextlib.suppress(OSError):
                super().close()
            if not self.lost:
                self.lost = 1
                _say(sys.stderr, f"{self.baseFilename} cannot be written: {type(error).__name__}: {error}")

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Count what could not be written, a line or several, and complain once."""
        first = not self.lost
        self.lost += getattr(record, "lines", 1)
        if first:
            error = sys.exc_info()[1]
            _say(sys.stderr, f"{self.baseFilename} cannot be written: {type(error).__name__}: {error}")


def make_folder(folder: Path) -> None:
    """Make a folder that its owner alone can enter, or bring one to that.

    Raises:
        RunError: It cannot be made, or something else stands in its place.
    """
    try:
        for missing in [parent for parent in reversed(folder.parents) if not parent.exists()]:
            missing.mkdir(mode=_FOLDER_MODE, exist_ok=True)
        folder.mkdir(mode=_FOLDER_MODE, exist_ok=True)
        if folder.is_symlink():
            raise RunError(f"{folder} is a symbolic link: firstbell writes its logs into a folder of its own")
        if stat.S_IMODE(folder.stat().st_mode) != _FOLDER_MODE:
            # Where that is so already a folder that nothing can be written into is none to stop for.
            folder.chmod(_FOLDER_MODE)
    except OSError as error:
        raise RunError(f"the folder {folder} cannot be used for logs: {error.strerror}") from error


def refuse_link(path: Path) -> None:
    """Make sure that a log file is no symbolic link: somebody could make us write elsewhere.

    Raises:
        RunError: It is one.
    """
    if path.is_symlink():
        raise RunError(f"{path} is a symbolic link: remove it")


def set_up(logs_dir: Path, *, verbose: int = 0, console: bool, tz: tzinfo = TEHRAN) -> Path:
    """Send every record of every library to the run log, secrets removed; call it again after anybody else did so.

    Nothing is truncated: an existing log is continued, and rotated at 5 MB, five deep. Uncaught exceptions are redacted
    too, and handlers that others have installed get the boundary around their own formatter.

    Args:
        logs_dir: The folder; made if it is not there.
        verbose: 0 shows warnings on the console, 1 also progress, 2 everything; from 1 on the file holds everything.
        console: Whether to write to standard error as well.
        tz: The exchange's time zone, for the times.

    Returns:
        The log file.

    Raises:
        RunError: The folder or the file cannot be used.
    """
    make_folder(logs_dir)
    path = logs_dir / RUN_LOG
    refuse_link(path)
    root = logging.getLogger()
    for ours in [handler for handler in root.handlers if getattr(handler, _OURS, False)]:
        root.removeHandler(ours)
        ours.close()
    guard()
    _install(root, RotatingFile(path, LineFormatter(tz)), logging.DEBUG if verbose else logging.INFO)
    if console:
        stream: logging.Handler = _Console()
        stream.setFormatter(LineFormatter(tz))
        stream.addFilter(lambda record: record.name != _UNCAUGHT)
        _install(root, stream, _CONSOLE_LEVELS[min(verbose, 2)])
    root.setLevel(logging.DEBUG if verbose else logging.INFO)
    guard_tracebacks()
    return path


def guard_tracebacks() -> None:
    """Have nobody's uncaught exception printed or logged with a secret in it."""
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread
    sys.unraisablehook = _unraisable


def complain(text: str) -> None:
    """Say something on standard error, secrets removed, each line by itself."""
    for line in redact(text).rstrip("\n").split("\n"):
        _say(sys.stderr, line)


def guard() -> None:
    """Put the boundary around every handler that others have installed so far.

    A library that sets up logging by itself (Locust does) is followed by a call of this.
    """
    loggers = [logger for logger in logging.root.manager.loggerDict.values() if isinstance(logger, logging.Logger)]
    for logger in (logging.root, *loggers):
        for handler in logger.handlers:
            if not isinstance(handler.formatter, LineFormatter | GuardedFormatter):
                handler.setFormatter(GuardedFormatter(handler.formatter or logging.Formatter()))


_OURS: Final = "_firstbell"
_UNCAUGHT: Final = "firstbell.uncaught"


class _Console(logging.StreamHandler[TextIO]):
    """Standard error, whatever it is at the moment of writing."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """A console that went away is nobody's business: the file has the record."""


def _install(root: logging.Logger, handler: logging.Handler, level: int) -> None:
    handler.setLevel(level)
    setattr(handler, _OURS, True)
    root.addHandler(handler)


def _say(stream: TextIO | None, text: str) -> None:
    if stream is not None and not stream.closed:
        stream.write(one_line(redact(text)) + "\n")


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    text = redact("".join(traceback.format_exception(kind, error, trace)))
    if logging.root.handlers:
        logging.getLogger(_UNCAUGHT).critical("%s", text)
    # For people, line by line; the console handler leaves it to us.
    for line in text.splitlines():
        _say(sys.stderr, line)


def _uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not issubclass(args.exc_type, SystemExit):
        _uncaught(args.exc_type, args.exc_value, args.exc_traceback)


def _unraisable(args: sys.UnraisableHookArgs) -> None:
    if args.exc_value is not None:
        _uncaught(args.exc_type, args.exc_value, args.exc_traceback)
