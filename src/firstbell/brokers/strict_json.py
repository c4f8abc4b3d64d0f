"""Reading the JSON that brokers send: bounded, and as strictly as `firstbell.model.strict_json` reads any."""

from __future__ import annotations

from typing import Any, Final

from firstbell.errors import Unreadable
from firstbell.model import strict_json

LARGEST: Final = 1 << 20
"""Bytes. The longest list of a day is far shorter."""


def read(body: bytes, *, host: str = "", largest: int = LARGEST) -> Any:
    """Read an answer's body.

    Args:
        body: UTF-8, with or without a byte-order mark.
        host: The host that sent it, for the error.
        largest: The most bytes to look at.

    Returns:
        None, `bool`, `int`, `Decimal`, `str`, and lists and dictionaries of them.

    Raises:
        Unreadable: It is not JSON, or not JSON that can be trusted; the message says why, and quotes nothing.
    """
    try:
        if len(body) > largest:
            raise ValueError(f"it has {len(body):,} bytes, more than {largest:,}")  # noqa: TRY301 - one error for all
        return strict_json.parse(body.decode("utf-8-sig"))
    except UnicodeDecodeError:
        why = "it is not UTF-8"
    except ValueError as error:
        why = str(error)
    raise Unreadable(f"{host or 'the broker'} sent an answer that cannot be read: {why}", host=host)
