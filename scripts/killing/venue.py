"""A simulated exchange in a process of its own, with accounts for many cases; each case has some of them to itself."""

from __future__ import annotations

import json
import re
import select
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import requests

from killing.children import environment
from killing.words import Broken

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_START_S: Final = 60
_ASK_S: Final = 60
_SECTION: Final = re.compile(r"(?m)^\[(Order_Account\d+_\w+)\]$")


@dataclass(frozen=True, slots=True)
class Account:
    """One account of a case.

    Attributes:
        section: Its section in the config.
        text: That section.
        broker_code: Its broker.
        username: Its login name.
        isin: What it buys.
    """

    section: str
    text: str
    broker_code: str
    username: str
    isin: str


class Venue:
    """One exchange.

    Args:
        folder: Where it leaves its config.
        count: How many accounts it makes up.
        options: Further options of ``firstbell exchange``; the bell has rung a second after its start.
    """

    def __init__(self, folder: Path, count: int, options: Sequence[str] = ()) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "exchange.ini"
        # It ends when we do, however that comes about.
        command = [sys.executable, "-m", "benchmarks.leashed", "exchange", "--json", "--write-config", str(config)]
        self._stderr = (folder / "exchange.err").open("wb")
        self._process = subprocess.Popen(
            [*command, "--accounts", str(count), "--bell-in", "1s", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=environment(),
            start_new_session=True,
        )
        said = self._said()
        head, *sections = _SECTION.split(config.read_text(encoding="utf-8"))
        self._head = head
        self._address = said["practice_address"]
        self._lock = threading.Lock()
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = said["ca_file"] or True
        self._accounts = [
            Account(section, text, facts["broker_code"], facts["username"], facts["isin"])
            for section, text, facts in zip(sections[::2], sections[1::2], said["accounts"], strict=True)
        ]
        self._taken = 0

    def take(self, count: int) -> tuple[Account, ...]:
        """So many accounts that nobody else has.

        Raises:
            Broken: None are left.
        """
        with self._lock:
            taken = tuple(self._accounts[self._taken : self._taken + count])
            self._taken += count
        if len(taken) < count:
            raise Broken("the exchange has no accounts left")
        return taken

    def config(self, accounts: Sequence[Account], **keys: str) -> str:
        """A config of these accounts alone; `keys` stand in its first section."""
        more = "".join(f"{name} = {value}\n" for name, value in keys.items())
        head = self._head.replace("[firstbell]\n", f"[firstbell]\n{more}", 1)
        return head + "".join(f"[{each.section}]{each.text}" for each in accounts)

    def accepted(self, accounts: Sequence[Account]) -> dict[str, list[dict[str, Any]]]:
        """What the exchange has accepted of each of these accounts, by section: the truth."""
        mine = {(each.broker_code, each.username, each.isin): each.section for each in accounts}
        found: dict[str, list[dict[str, Any]]] = {each.section: [] for each in accounts}
        with self._lock:
            seen = self._session.get(f"{self._address}/practice/orders", timeout=_ASK_S).json()
        for call in seen["submissions"]:
            section = mine.get((call["broker_code"], call["account"], call["isin"]))
            if section is not None and call["kind"] == "order" and call["decision"] == "accepted":
                found[section].append(call)
        return found

    def _said(self) -> dict[str, Any]:
        pipe = self._process.stdout
        if pipe is None or not select.select([pipe], [], [], _START_S)[0]:
            raise Broken("the exchange did not start")
        try:
            return dict(json.loads(pipe.readline()))
        except ValueError:
            raise Broken("the exchange did not say where it listens") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.send_signal(signal.SIGINT)
        self._process.communicate()
        self._session.close()
        self._stderr.close()
