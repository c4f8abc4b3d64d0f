"""The kinds of things that are cached, and how long each stays true."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


class Kind(StrEnum):
    """What an entry is of."""

    TOKEN = "token"  # noqa: S105 - the word, not a token  # nosec B105
    """The right to act for an account; lives until the token's own end."""
    BUYING_POWER = "buying_power"
    """What an account may spend."""
    INSTRUMENT = "instrument"
    """An instrument with its price band."""
    PREPARED_ORDER = "prepared_order"
    """What an account's order would be, as last computed."""
    COOLDOWN = "cooldown"
    """A host asked for a pause."""
    REFUSED_LOGIN = "refused_login"
    """A broker refused a password."""


DEFAULT_LIFE_S: Final[Mapping[Kind, float]] = MappingProxyType(
    {
        Kind.TOKEN: 3600.0,
        Kind.BUYING_POWER: 60.0,
        Kind.INSTRUMENT: 300.0,
        Kind.PREPARED_ORDER: 30.0,
    }
)
"""Seconds that an entry lives where nobody says otherwise; the other kinds are given their life each time."""

LONGEST_LIFE_S: Final[Mapping[Kind, float]] = MappingProxyType(
    {kind: life for kind, life in DEFAULT_LIFE_S.items() if kind is not Kind.TOKEN}
)
"""Seconds beyond which an entry of this kind cannot be genuine. It was planted, or the clock was set back."""

UNCOUNTED: Final = frozenset({Kind.COOLDOWN, Kind.REFUSED_LOGIN})
"""Kinds that note something down. Not finding such a note is no miss: nothing is fetched because of it."""
