"""Names of things, each its own type, and how our name for an order is made."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from datetime import date
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NewType

if TYPE_CHECKING:
    from firstbell.model.terms import Side

AccountName = NewType("AccountName", str)
"""The name of one ``[Order_*]`` section."""
BrokerCode = NewType("BrokerCode", str)
"""``gs``, ``shahr``, ``paper`` …"""
InstrumentId = NewType("InstrumentId", str)
"""An ISIN, or a symbol where a broker has no ISINs."""
ClientOrderId = NewType("ClientOrderId", str)
"""Our name for an order (FIX 11)."""
VenueOrderId = NewType("VenueOrderId", str)
"""The broker's name for an order (FIX 37)."""
RunId = NewType("RunId", str)
"""One run's name: its start in exchange time and four random hexadecimal digits."""


def same_login(username: str) -> str:
    """A user name as it is compared: letter case and the script of its digits make no second login."""
    digits = (str(unicodedata.digit(c)) if c.isdigit() else c for c in unicodedata.normalize("NFKC", username))
    return "".join(digits).casefold()


_ISIN: Final = re.compile(r"[A-Z]{2}[A-Z0-9]{9}[0-9]")
_KEYBOARDS: Final = MappingProxyType({ord("ي"): "ی", ord("ى"): "ی", ord("ك"): "ک", 0x200C: None, 0x200D: None})
"""Letters that an Arabic keyboard writes otherwise than a Persian one, and joiners that nobody sees."""


def is_isin(name: str) -> bool:
    """Whether a name is built like an ISIN: two capital letters, nine letters or digits, one digit."""
    return _ISIN.fullmatch(name) is not None


def same_symbol(symbol: str) -> str:
    """A symbol as it is compared: whatever keyboard it was written on, and with or without spaces in it."""
    return "".join(unicodedata.normalize("NFKC", symbol).translate(_KEYBOARDS).split()).casefold()


_REQUESTED: Final = "-q"


def client_order_id(
    day: date,
    broker_code: BrokerCode,
    username: str,
    instrument: InstrumentId,
    side: Side,
    slice_: int,
    round_: int = 1,
) -> ClientOrderId:
    """Name an order: the same plan always gets the same name, and that name is the claim on it.

    The login stands in the name, not the config section, so that renaming a section cannot make a second order. It is
    hashed, because ids travel to places where a user name has no business.

    Args:
        day: The trading day, on the exchange's calendar.
        broker_code: The broker.
        username: The login at the broker.
        instrument: What is traded.
        side: Buy or sell.
        slice_: 0 for the first order of the plan, 1 for the next one of ``orders = all``, and so on.
        round_: 1, or one more than the round before it, when that one has certainly ended without being placed.

    Returns:
        At most 36 characters of ``[0-9a-z-]``, which the strictest broker known to us takes.
    """
    plan = f"{day.isoformat()}\x1f{broker_code}\x1f{same_login(username)}\x1f{instrument}\x1f{side.value}"
    digest = hashlib.blake2b(plan.encode(), digest_size=6).hexdigest()
    name = f"fb-{day:%Y%m%d}-{digest}-{slice_}"
    return ClientOrderId(name if round_ == 1 else f"{name}-r{round_}")


def request_order_id(day: date, broker_code: BrokerCode, username: str, key: str) -> ClientOrderId:
    """Name an order that somebody asked for under a key of his own: the same key always gets the same name.

    Args:
        day: The trading day, on the exchange's calendar.
        broker_code: The broker.
        username: The login at the broker.
        key: What whoever asks calls it.

    Returns:
        At most 30 characters of ``[0-9a-z-]``, and so never more than 36 with a later round's ending.
    """
    asked = f"{day.isoformat()}\x1f{broker_code}\x1f{same_login(username)}\x1f{key}"
    return ClientOrderId(f"fb-{day:%Y%m%d}-{hashlib.blake2b(asked.encode(), digest_size=8).hexdigest()}{_REQUESTED}")


def named_on(name: ClientOrderId) -> date | None:
    """The day by which an order is named; None where it is named by somebody else."""
    try:
        return date.fromisoformat(name[3:11]) if name.startswith("fb-") else None
    except ValueError:
        return None


def is_requested(plan_id: ClientOrderId) -> bool:
    """Whether a plan's name is one of `request_order_id`, and not that of an order that is configured for the bell."""
    return plan_id.endswith(_REQUESTED)
