"""A login's way to a broker that answers in this process, as paper does: nothing to connect to, nothing to prove."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firstbell.oms.carrier import PlainCarrier

if TYPE_CHECKING:
    from firstbell.brokers.base import PreparedCall


class InProcessCarrier(PlainCarrier):
    """A `firstbell.sniper.firing.ProvenCarrier` for a broker that is here."""

    def prove(self, call: PreparedCall, at_ns: int) -> None:
        """Nothing: there is no connection."""

    def close(self) -> None:
        """Nothing, likewise."""
