"""The simulated exchange and ``firstbell`` itself as children, for the parts that measure whole commands."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import requests

from benchmarks.child import Child, python

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_START_S = 60
_ASK_S = 60


@dataclass(frozen=True, slots=True)
class Practice:
    """A simulated exchange that runs.

    Attributes:
        config: The config for its accounts.
        said: What it said of itself.
    """

    config: Path
    said: dict[str, Any]

    @property
    def bell(self) -> datetime:
        """Its bell, on its own clock."""
        return datetime.fromisoformat(self.said["bell"])

    def seen(self) -> dict[str, Any]:
        """Everything that it saw."""
        with requests.Session() as session:
            session.trust_env = False
            answer = session.get(f"{self.said['practice_address']}/practice/orders", timeout=_ASK_S)
        return dict(answer.json())


@contextlib.contextmanager
def practice(folder: Path, cpu: int | None, *options: str) -> Iterator[Practice]:
    """Have a simulated exchange run.

    Args:
        folder: Where its config goes, and what is run with it leaves its files.
        cpu: The processor it runs on.
        options: Options of ``firstbell exchange``.

    Raises:
        ChildFailed: It did not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "config.ini"
    command = python("leashed", "--json", "exchange", "--write-config", str(config), *options)
    with Child("firstbell exchange", command, cpu) as child:
        try:
            said = json.loads(child.line(_START_S))
        except ValueError:
            raise child.failed("did not say where it listens") from None
        yield Practice(config, said)


def firstbell(config: Path, cpu: int | None, *arguments: str) -> Child:
    """Start a command of ``firstbell``'s, which prints JSON."""
    command = python("leashed", "--json", "--config", str(config), *arguments)
    return Child(f"firstbell {arguments[0]}", command, cpu)


def document(child: Child, timeout_s: float) -> dict[str, Any]:
    """The document that a command prints before it ends.

    Raises:
        ChildFailed: It printed none in time.
    """
    said, status = child.rest(timeout_s)
    try:
        return dict(json.loads(said))
    except ValueError:
        raise child.failed(f"printed no document (exit status {status})") from None
