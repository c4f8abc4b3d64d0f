"""Secrets that are kept elsewhere: ``env:NAME``, ``keyring:SERVICE/NAME``, ``file:PATH``."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from firstbell.config.private_file import read_private
from firstbell.config.values import absolute

if TYPE_CHECKING:
    from pathlib import Path

LONGEST: Final = 16 * 1024
"""Bytes. A secret file that is longer is no secret file."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret and where it came from.

    Attributes:
        text: The secret itself.
        source: Where it came from, for people to read.
    """

    text: str = field(repr=False)
    source: str


def is_reference(value: str) -> bool:
    """Whether a value says where a secret is kept, rather than being it."""
    return value.startswith(("env:", "keyring:", "file:"))


def resolve(value: str, folder: Path) -> Secret:
    """Find the secret that a config value stands for.

    Args:
        value: The value as written. What begins with none of the three words is the secret itself.
        folder: The config's folder, at which relative paths begin.

    Raises:
        ValueError: It is not there, or must not be used; says what to do.
    """
    kind, _, place = value.partition(":")
    if not is_reference(value):
        return Secret(value, "the config")
    if kind == "env":
        return Secret(_from_environment(place), f"env:{place}")
    if kind == "keyring":
        return Secret(_from_keyring(place), f"keyring:{place}")
    return Secret(_from_file(place, folder), f"file:{place}")


def _from_environment(name: str) -> str:
    if not name or "=" in name or "\0" in name:
        raise ValueError("name an environment variable: env:NAME")
    secret = os.environ.get(name)
    if not secret:
        raise ValueError(f"the environment variable {name} is {'not set' if secret is None else 'empty'}; set it")
    return secret


def _from_keyring(place: str) -> str:
    service, slash, name = place.rpartition("/")
    if not (service and slash and name):
        raise ValueError("name the keyring's entry: keyring:SERVICE/NAME")
    # Imported only for those who use it: it looks for the desktop's key store.
    import keyring  # noqa: PLC0415
    from keyring.errors import KeyringError  # noqa: PLC0415

    try:
        secret = keyring.get_password(service, name)
    except KeyringError as error:
        raise ValueError(
            f"this machine's keyring cannot be used ({type(error).__name__}); use env: or file: instead"
        ) from None
    if not secret:
        raise ValueError(f"the keyring has no such entry; run: keyring set {service} {name}")
    return secret


def _from_file(place: str, folder: Path) -> str:
    path = absolute(place, folder)
    try:
        text = read_private(path, LONGEST).decode("utf-8-sig")
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8") from None
    secret = text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text
    if not secret:
        raise ValueError(f"{path} is empty; write the secret into it")
    if "\n" in secret:
        raise ValueError(f"{path} has several lines; a secret is one")
    return secret
