"""The machine that is measured: its processors, who gets which, and how all of it is named in the report."""

from __future__ import annotations

import os
import platform
import shutil
import ssl
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Cores:
    """Which processor does what; None where it cannot be chosen.

    Attributes:
        client: Who sends.
        server: Who receives, and this program itself, which only waits meanwhile.
    """

    client: int | None
    server: int | None

    @property
    def in_words(self) -> str:
        """How the work was split, for people."""
        if self.client is None:
            return "the processes could not be pinned to processors of their own"
        return f"whoever sends runs on processor {self.client}, whoever receives on processor {self.server}"


def cores() -> Cores:
    """One processor for those who send and another one for those who receive, where there are two."""
    if sys.platform == "linux":
        ours = sorted(os.sched_getaffinity(0))
        if len(ours) > 1:
            return Cores(ours[0], ours[-1])
    return Cores(None, None)


def pin(pid: int, cpu: int | None) -> None:
    """Have a process run on one processor only; None leaves it alone."""
    if sys.platform == "linux" and cpu is not None:
        os.sched_setaffinity(pid, {cpu})


def compiler() -> str | None:
    """The path of a C compiler, or None."""
    return shutil.which("cc")


def facts() -> dict[str, str]:
    """What the figures depend on, in words, by its name."""
    return {
        "Processor": f"{_processor()}, {os.cpu_count()} logical",
        "Kernel": f"{platform.system()} {platform.release()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}, {ssl.OPENSSL_VERSION}",
        "Libraries": ", ".join(f"{name} {version(name)}" for name in ("locust", "gevent", "httptools", "requests")),
        "C compiler": _compiler_version(),
    }


def _processor() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _compiler_version() -> str:
    found = compiler()
    if found is None:
        return "none"
    said = subprocess.run([found, "--version"], capture_output=True, text=True, check=False)
    return said.stdout.partition("\n")[0].strip() or "unknown"
