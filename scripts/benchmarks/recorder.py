"""Who receives the orders: a server that notes when the kernel received each, in a process of its own.

The C program where there is a compiler, the Python one otherwise. Both speak HTTP on one port and pass another port on
to a TLS server behind them (`benchmarks.tls_server`): so an order over TLS is timed as it comes off the wire, before
anybody has decrypted it, and however busy anybody is.
"""

from __future__ import annotations

import contextlib
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import machine
from benchmarks.child import Child, python
from firstbell.simulator.tls import make_certificates

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SOURCES = Path(__file__).with_name("native")


def compiled(name: str, folder: Path) -> Path | None:
    """Compile one of the C programs; None where there is no compiler, or where it does not take it."""
    compiler = machine.compiler()
    if compiler is None:
        return None
    program = folder / name
    command = [compiler, "-O2", "-o", str(program), str(_SOURCES / f"{name}.c")]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        return None
    return program


@dataclass(frozen=True, slots=True)
class Recorder:
    """The server.

    Attributes:
        tcp_port: Where it speaks HTTP.
        tls_port: Where it passes TLS on.
        ca_file: The authority behind its certificate.
        folder: Where this measurement keeps its files.
        in_words: What it is.
    """

    tcp_port: int
    tls_port: int
    ca_file: Path
    folder: Path
    in_words: str
    _child: Child

    def url(self, *, tls: bool) -> str:
        """Where it listens, by the name in its certificate."""
        return f"https://127.0.0.1:{self.tls_port}" if tls else f"http://127.0.0.1:{self.tcp_port}"

    def reset(self) -> None:
        """Forget all times."""
        self._child.ask("reset")

    def received_ns(self) -> Sequence[int]:
        """When the last order of each connection was received that has had one since, in ns since the epoch."""
        return sorted(int(word) for word in self._child.ask("report").split())


@contextlib.contextmanager
def recorder(folder: Path, cpu: int | None) -> Iterator[Recorder]:
    """Have a recorder run.

    Args:
        folder: Where to put certificates and programs.
        cpu: The processor it runs on, with everything behind it.
    """
    ca_file, _ = make_certificates(folder / "tls")
    program = compiled("recorder", folder)
    with contextlib.ExitStack() as stack:
        behind = stack.enter_context(Child("the TLS server", python("tls_server", str(folder / "tls")), cpu))
        port = behind.line()
        command = python("python_recorder", port) if program is None else [str(program), port]
        child = stack.enter_context(Child("the recorder", command, cpu))
        tcp_port, tls_port = (int(word) for word in child.line().split())
        words = (
            "a C program (epoll)" if program is not None else "a Python program (selectors), for want of a C compiler"
        )
        yield Recorder(tcp_port, tls_port, ca_file, folder, words, child)
