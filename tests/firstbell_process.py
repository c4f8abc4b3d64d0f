"""The command as a person or a script calls it: a real process with real streams, started by `fork_server`.

Loading takes most of what a short command takes, and the tests start hundreds. That each command also starts with
nothing loaded is seen in ``test_cli_starts``.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Self

from fork_server import MOST, STATUS

SRC = Path(__file__).parents[1] / "src"


class ForkServer:
    """The server of this process, started when it is first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ours: socket.socket | None = None

    def fork(self, request: dict, streams: list[int]) -> tuple[int, socket.socket]:
        """Start a process; its number, and what tells of its end."""
        status, theirs = socket.socketpair()
        with self._lock, theirs:
            ours = self._ours or self._start()
            socket.send_fds(ours, [json.dumps(request).encode()], [*streams, theirs.fileno()])
            return STATUS.unpack(ours.recv(MOST))[0], status

    def _start(self) -> socket.socket:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            server = subprocess.Popen(
                [sys.executable, Path(__file__).with_name("fork_server.py"), str(theirs.fileno())],
                env={**os.environ, "PYTHONPATH": str(SRC), "PYTHONWARNINGS": "default"},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        atexit.register(self._end, server)
        return self._ours

    def _end(self, server: subprocess.Popen) -> None:
        self._ours.close()
        server.wait()


_SERVER = ForkServer()


class Process:
    """One ``firstbell``: as far as tests need it, what `subprocess.Popen` is.

    Args:
        arguments: Its arguments.
        stdout: PIPE, or DEVNULL; so is stderr.
        cwd: Its folder; None: ours.
        env: Its environment; None: ours.
        start_new_session: Whether it leads a session, and so a group of processes.
    """

    def __init__(
        self,
        arguments,
        *,
        stdout: int = subprocess.PIPE,
        stderr: int = subprocess.PIPE,
        cwd=None,
        env: dict[str, str] | None = None,
        start_new_session: bool = False,
    ) -> None:
        self.args = ["firstbell", *map(str, arguments)]
        self.returncode: int | None = None
        self._lock = threading.Lock()
        self._readers: dict[str, threading.Thread] = {}
        self._heard: dict[str, str] = {}
        request = {
            "arguments": self.args[1:],
            "cwd": str(cwd or Path.cwd()),
            "env": dict(os.environ if env is None else env),
            "session": start_new_session,
        }
        with contextlib.ExitStack() as given:
            null = given.enter_context(Path(os.devnull).open("r+b"))
            self.stdout, out = self._stream(stdout, null, given)
            self.stderr, err = self._stream(stderr, null, given)
            self.pid, self._status = _SERVER.fork(request, [null.fileno(), out, err])

    @staticmethod
    def _stream(kind, null, given):
        if kind != subprocess.PIPE:
            return None, null.fileno()
        ours, theirs = os.pipe()
        given.callback(os.close, theirs)
        return open(ours, encoding="utf-8"), theirs  # noqa: PTH123 - a descriptor, closed with the process

    def poll(self) -> int | None:
        """Its exit status, or minus the signal that ended it; None while it runs."""
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end."""
        if self._ended(timeout) is None:
            raise subprocess.TimeoutExpired(self.args, timeout)
        return self.returncode

    def _ended(self, timeout):
        with self._lock:
            if self.returncode is None and select.select([self._status], [], [], timeout)[0]:
                data = self._status.recv(MOST)
                assert data, "the server that started it has ended"
                self.returncode = STATUS.unpack(data)[0]
                self._status.close()
            return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str | None, str | None]:
        """All that is still to read of its output, and of its complaints; waits for its end."""
        end = None if timeout is None else time.monotonic() + timeout
        for name in ("stdout", "stderr"):
            stream = getattr(self, name)
            if stream is not None and name not in self._readers and not stream.closed:
                self._readers[name] = threading.Thread(target=self._read, args=(name, stream), daemon=True)
                self._readers[name].start()
        for reader in self._readers.values():
            reader.join(None if end is None else max(0.0, end - time.monotonic()))
            if reader.is_alive():
                raise subprocess.TimeoutExpired(self.args, timeout)
        self.wait(None if end is None else max(0.0, end - time.monotonic()))
        return self._heard.get("stdout"), self._heard.get("stderr")

    def _read(self, name, stream):
        with stream:
            self._heard[name] = stream.read()

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in (self.stdout, self.stderr):
            if stream is not None:
                stream.close()
        self.wait()


def run_firstbell(arguments, *, timeout: float = 60, **options) -> subprocess.CompletedProcess:
    """Run ``firstbell`` to its end."""
    process = Process(arguments, **options)
    try:
        out, err = process.communicate(timeout)
    except BaseException:
        process.kill()
        process.communicate()
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)
