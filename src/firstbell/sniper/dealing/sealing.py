"""Sealed messages between a master and its workers: encrypted and signed with one key that all of them know.

What travels is a Fernet token over JSON (AES-128-CBC with HMAC-SHA256). It says of what kind it is, so that a message
cannot be passed off as another one. It is not refused for its age: two machines' clocks may differ.
"""

from __future__ import annotations

import base64
import json
import os
from argparse import ArgumentError, ArgumentParser
from typing import TYPE_CHECKING, Any, Final

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from firstbell.errors import RunError
from firstbell.log import hide
from firstbell.model import strict_json
from firstbell.sniper.here import is_this_machine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

KEY: Final = "FIRSTBELL_KEY"
"""The environment variable that holds the key, on the master and on every worker that is started by hand."""

_LOOPBACK: Final = "127.0.0.1"
_REMEDY: Final = f"`firstbell key` makes one; set the same {KEY} in the environment of the master and of every worker"


class NotOurs(RunError):  # noqa: N818 - a message, and one that is not ours
    """A message that was not sealed with our key, or is not what it is taken for."""


class Seal:
    """Seals and opens messages.

    Args:
        key: A Fernet key.

    Raises:
        RunError: It is none; the text says how to make one.
    """

    def __init__(self, key: str) -> None:
        hide(key)
        try:
            self._fernet = Fernet(key)
        except ValueError:
            raise RunError(f"{KEY} is no key: {_REMEDY}") from None
        self._key = base64.urlsafe_b64decode(key)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Seal:
        """The seal with the key that the environment names.

        Raises:
            RunError: There is no key, or it is none.
        """
        key = environ.get(KEY, "").strip()
        if not key:
            raise RunError(f"{KEY} is not set: {_REMEDY}")
        return cls(key)

    @classmethod
    def fresh(cls) -> Seal:
        """A seal of a new key that nobody else knows."""
        return cls(new_key())

    def derived(self, purpose: str) -> bytes:
        """32 bytes that only those who have the key can find, and others for each purpose."""
        return HKDF(SHA256(), 32, salt=None, info=f"firstbell {purpose}".encode()).derive(self._key)

    def close(self, kind: str, document: Mapping[str, Any]) -> str:
        """Seal a message.

        Args:
            kind: What it is.
            document: What it says, in JSON's types.
        """
        return self._fernet.encrypt(json.dumps([kind, document]).encode()).decode("ascii")

    def open(self, kind: str, sealed: object) -> dict[str, Any]:
        """Open a message.

        Raises:
            NotOurs: It was sealed with another key, or is of another kind.
        """
        try:
            text = self._fernet.decrypt(str(sealed).encode()).decode()
        except (InvalidToken, ValueError):
            raise NotOurs(f"a message ({kind}) came that was not sealed with this {KEY}") from None
        try:
            said = strict_json.parse(text, halves=True)
        except ValueError:
            said = None
        if not isinstance(said, list) or len(said) != len(("kind", "document")):
            raise NotOurs(f"a message came as {kind} that is none")
        found, document = said
        if found != kind or not isinstance(document, dict):
            raise NotOurs(f"a message came as {kind} that is none")
        return document


def new_key() -> str:
    """A new key, as `KEY` holds it."""
    return Fernet.generate_key().decode("ascii")


def refuse_master_by_hand(journal_is_local: bool, environ: Mapping[str, str] = os.environ) -> None:
    """Refuse to be a master for other machines where the run could not be safe, or its messages not be sealed.

    Raises:
        RunError: Why, and what to do.
    """
    if journal_is_local:
        raise RunError(
            "--master is for workers on other machines, and the journal is a file of this one, so that they could not "
            "see whose an order is: set journal = postgresql://… in [firstbell], or use --processes on this machine"
        )
    Seal.from_environment(environ)


def refuse_open_port(options: Sequence[str], environ: Mapping[str, str] = os.environ) -> None:
    """Refuse to listen for workers beyond this machine without a key that they could have.

    Args:
        options: Locust's options as they are typed.
        environ: The environment.

    Raises:
        RunError: What to do.
    """
    parser = ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument("--master-bind-host", default=environ.get("LOCUST_MASTER_BIND_HOST", _LOOPBACK))
    try:
        host = parser.parse_known_args(options)[0].master_bind_host
    except ArgumentError:
        # Locust will say what is wrong with them.
        return
    if not is_this_machine(host) and not environ.get(KEY):
        raise RunError(f"--master-bind-host {host}: beyond this machine a master listens with a key only; {_REMEDY}")
