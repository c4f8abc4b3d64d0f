"""The words with which exchanges say that an instrument may be traded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

TRADABLE: Final = frozenset(
    {"a", "ar", "مجاز", "مجاز-محفوظ", "active", "continuous", "normal", "online", "open", "trading"}
)
"""In lower case. Tehran: A is authorized; AR is authorized and reserved, where orders are taken and trading is held up
until the price is found. Suspended (AS), frozen (AG) and all that begins with I, for prohibited, are not among them."""


def is_tradable(state: str, more: Collection[str] = ()) -> bool:
    """Whether a state's word is known to let orders in. A word that nobody knows is not.

    Args:
        state: The exchange's word, as the broker passes it on, in whatever case.
        more: Further words that do, in lower case.
    """
    word = "-".join(part.strip() for part in state.casefold().split("-"))
    return word in TRADABLE or word in more
