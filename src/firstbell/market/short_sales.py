"""Whether an exchange lets what nobody holds be sold."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_TAKEN: Final[Mapping[str, bool]] = MappingProxyType({"XTEH": False})
"""Market → whether shares can be sold short there. In Tehran brokers refuse a sale of more than is held."""


def takes_short_sales(market: str) -> bool:
    """Whether shares can be sold short at a market.

    Raises:
        ValueError: Nobody knows that of this market.
    """
    if market not in _TAKEN:
        raise ValueError(f"whether {market!r} takes short sales is not known; known: {', '.join(_TAKEN)}")
    return _TAKEN[market]
