"""Small documents of the state folder: replaced whole, readable by their owner alone, and never trusted when read."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any, Final

from firstbell.errors import RunError
from firstbell.model.facts import document

_LARGEST: Final = 8 * 1024 * 1024
"""Bytes: what is larger is none of ours."""


def read(path: Path) -> Any:
    """A document as it was written; None where there is none.

    Raises:
        ValueError: What stands there is none of ours, or cannot be read.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    try:
        with os.fdopen(handle, "rb") as file:
            return document(file.read(_LARGEST).decode("utf-8"))
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged") from error


def write(path: Path, value: Any) -> None:
    """Put a document in its place, whole.

    Raises:
        RunError: It cannot be written.
    """
    text = json.dumps(value, ensure_ascii=False, indent=1) + "\n"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror}") from error
