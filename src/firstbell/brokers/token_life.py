"""How long a token lives: its own word for it, read without believing more than that."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from firstbell.brokers import strict_json
from firstbell.errors import Unreadable

LONGEST_UNSAID_S: Final = 3600
"""Seconds that a token is used which does not say when it ends."""
MARGIN_S: Final = 30
"""Seconds before its end from which on a token is no longer used; a tenth of its life where that is shorter."""
_NS: Final = 1_000_000_000
_SOONEST: Final = range(1, 1 << 34)
"""Seconds since the epoch that can be meant: until the year 2514."""


def ends_at(token: str, now_ns: int) -> datetime:
    """The moment until which a token that has just been given is used.

    A JWT says when it ends (``exp``). Where our clock is past that already, the clocks differ, for nobody gives out
    dead tokens; then its life from ``iat`` to ``exp`` counts from now. Its signature is the broker's business.

    Args:
        token: The token.
        now_ns: Now, nanoseconds since the epoch.
    """
    now = Decimal(now_ns) / _NS
    claims = _claims(token)
    expires, issued = _second(claims.get("exp")), _second(claims.get("iat"))
    life = Decimal(LONGEST_UNSAID_S)
    if expires is not None and expires > now:
        life = expires - now
    elif expires is not None and issued is not None and expires > issued:
        life = min(life, Decimal(expires - issued))
    life -= min(Decimal(MARGIN_S), life / 10)
    return datetime.fromtimestamp(float(now + life), UTC)


def _claims(token: str) -> dict[str, Any]:
    parts = token.split(".")
    if len(parts) != len(("header", "claims", "signature")):
        return {}
    try:
        claims = strict_json.read(
            base64.b64decode(parts[1] + "=" * (-len(parts[1]) % 4), altchars=b"-_", validate=True)
        )
    except (binascii.Error, ValueError, Unreadable):
        return {}
    return claims if isinstance(claims, dict) else {}


def _second(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    return int(value) if int(value) in _SOONEST else None
