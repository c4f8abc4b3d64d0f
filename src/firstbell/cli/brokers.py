"""The brokers of a config, for commands that speak to them about orders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firstbell.oms.logins import logins_of

if TYPE_CHECKING:
    from firstbell.brokers.base import Broker
    from firstbell.oms.office import Office


def brokers_of(office: Office) -> dict[str, Broker]:
    """Login → its broker, for every login with an enabled account."""
    return {login.key: office.broker(login.leader) for login in logins_of(office.settings.enabled)}
