"""Tokens: shaped like the platform's (three parts, an ``exp``), signed, and taken only while they are known here."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from firstbell.simulator.exchange_clock import NS

if TYPE_CHECKING:
    from firstbell.simulator.roster import Investor


@dataclass(frozen=True, slots=True)
class Session:
    """One log-in.

    Attributes:
        investor: Who logged in.
        token: The token's text.
        session_id: Its name.
        ends_at: The first instant at which it is no longer taken, in ns since the epoch on the exchange's clock.
    """

    investor: Investor
    token: str = field(repr=False)
    session_id: str
    ends_at: int


class TokenDesk:
    """Gives out tokens and knows whose they are.

    Args:
        life_ns: How long a token lives, in ns; its ``exp`` is cut to whole seconds.
        chance: Where names and the key come from; None for the machine's own.
    """

    def __init__(self, life_ns: int, chance: random.Random | None = None) -> None:
        self.life_ns = life_ns
        self._chance = chance or random.SystemRandom()
        self._key = self._chance.randbytes(32)
        self._sessions: dict[str, Session] = {}

    def issue(self, investor: Investor, now: int) -> Session:
        """Give an investor a token. Earlier ones of his go on living, as on the platform."""
        ends_at = now + self.life_ns
        session_id = self._chance.randbytes(16).hex()
        claims = {
            "sub": investor.username,
            "broker": investor.broker_code,
            "sid": session_id,
            "iat": now // NS,
            "exp": ends_at // NS,
        }
        signed = f"{_part({'alg': 'HS256', 'typ': 'JWT'})}.{_part(claims)}"
        signature = hmac.new(self._key, signed.encode(), hashlib.sha256).digest()
        session = Session(investor, f"{signed}.{_text(signature)}", session_id, ends_at)
        self._sessions[session.token] = session
        return session

    def holder(self, token: str, now: int) -> Investor | None:
        """Whose token this is; None when it has ended or was never given out."""
        session = self._sessions.get(token)
        if session is None:
            return None
        if now >= session.ends_at:
            del self._sessions[token]
            return None
        return session.investor

    def end_all_of(self, investor: Investor) -> None:
        """End every token of an investor."""
        for session in [each for each in self._sessions.values() if each.investor is investor]:
            del self._sessions[session.token]


def _part(claims: dict[str, Any]) -> str:
    return _text(json.dumps(claims, separators=(",", ":")).encode())


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
