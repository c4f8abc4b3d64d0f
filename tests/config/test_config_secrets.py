from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import fail

from firstbell.config.secret_values import LONGEST, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

STRANGE = "%;#='\" \\گذرواژه$"


class InMemory(KeyringBackend):
    """A key store that needs no desktop."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password


@pytest.fixture
def backend() -> Iterator[Callable[[KeyringBackend], None]]:
    before = keyring.get_keyring()
    yield keyring.set_keyring
    keyring.set_keyring(before)


def secret_file(path: Path, data: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(data)
    path.chmod(mode)
    return path


def test_a_plain_value_is_the_secret_itself(tmp_path: Path) -> None:
    found = resolve(STRANGE, tmp_path)
    assert (found.text, found.source) == (STRANGE, "the config")
    assert STRANGE not in repr(found)


def test_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FB_TEST_SECRET", f"  {STRANGE} ")
    found = resolve("env:FB_TEST_SECRET", tmp_path)
    assert (found.text, found.source) == (f"  {STRANGE} ", "env:FB_TEST_SECRET")


@pytest.mark.parametrize(
    ("name", "said"), [("FB_TEST_UNSET", "not set"), ("FB_TEST_EMPTY", "empty"), ("", "env:NAME"), ("A=B", "env:NAME")]
)
def test_not_in_the_environment(name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FB_TEST_EMPTY", "")
    with pytest.raises(ValueError, match=said):
        resolve(f"env:{name}", tmp_path)


@pytest.mark.parametrize(
    ("data", "secret"),
    [
        (f" {STRANGE} \n".encode(), f" {STRANGE} "),
        (b"x\r\n", "x"),
        (b"x", "x"),
        (b"\xef\xbb\xbfx\n", "x"),
        (b"x\r", "x\r"),
    ],
)
def test_from_a_file(data: bytes, secret: str, tmp_path: Path) -> None:
    secret_file(tmp_path / "s", data)
    assert resolve("file:s", tmp_path).text == secret
    assert resolve(f"file:{tmp_path}/s", tmp_path / "elsewhere").source == f"file:{tmp_path}/s"


@pytest.mark.parametrize(
    ("data", "mode", "said"),
    [
        (b"sekret", 0o640, "chmod 600"),
        (b"sekret", 0o602, "chmod 600"),
        (b"\n", 0o600, "is empty"),
        (b"", 0o600, "is empty"),
        (b"sek\nret\n", 0o600, "several lines"),
        (b"sekret\xff", 0o600, "not UTF-8"),
        (b"s" * (LONGEST + 1), 0o600, "longer than"),
    ],
)
def test_files_that_must_not_be_used(data: bytes, mode: int, said: str, tmp_path: Path) -> None:
    secret_file(tmp_path / "s", data, mode)
    with pytest.raises(ValueError, match=said) as error:
        resolve("file:s", tmp_path)
    assert "sek" not in str(error.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for place, said in (
        ("none", "No such file"),
        (".", "no plain file"),
        ("pipe", "no plain file"),
        ("", "write a path"),
    ):
        with pytest.raises(ValueError, match=said):
            resolve(f"file:{place}", tmp_path)


def test_from_the_keyring(tmp_path: Path, backend: Callable[[KeyringBackend], None]) -> None:
    store = InMemory()
    backend(store)
    keyring.set_password("a/firstbell", "u1", STRANGE)
    assert resolve("keyring:a/firstbell/u1", tmp_path).text == STRANGE
    with pytest.raises(ValueError, match="keyring set a/firstbell u2"):
        resolve("keyring:a/firstbell/u2", tmp_path)
    for wrong in ("", "x", "/x", "x/"):
        with pytest.raises(ValueError, match="SERVICE/NAME"):
            resolve(f"keyring:{wrong}", tmp_path)


def test_a_machine_without_a_keyring(tmp_path: Path, backend: Callable[[KeyringBackend], None]) -> None:
    backend(fail.Keyring())
    with pytest.raises(ValueError, match="use env: or file:"):
        resolve("keyring:a/b", tmp_path)


def test_the_keyring_is_imported_only_for_those_who_use_it() -> None:
    code = "import sys, firstbell.config; sys.exit('keyring' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
