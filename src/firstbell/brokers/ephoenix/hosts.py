"""Where each broker of the platform is, and what is peculiar to it: one row each.

Hosts have moved before and will again, so the config can override every one of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from firstbell.model.identifiers import BrokerCode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from firstbell.config import BrokerSettings

_MARKET_DATA: Final = "https://marketdatagw.ephoenix.ir"
"""One host for all brokers."""


@dataclass(frozen=True, slots=True)
class Hosts:
    """A broker's services, each as scheme, host and port.

    Attributes:
        identity: Where to log in.
        api: Where orders go.
        market_data: Where instruments come from.
        backoffice: Where holdings come from; None where nobody knows.
    """

    identity: str
    api: str
    market_data: str
    backoffice: str | None


@dataclass(frozen=True, slots=True)
class Row:
    """One broker.

    Attributes:
        hosts: Its own hosts.
        before_login_s: Seconds to wait between a captcha's answer and the log-in.
    """

    hosts: Hosts
    before_login_s: float = 0.0


def _usual(code: str) -> Hosts:
    return Hosts(
        identity=f"https://identity-{code}.ephoenix.ir",
        api=f"https://api-{code}.ephoenix.ir",
        market_data=_MARKET_DATA,
        backoffice=f"https://backofficeexternal-{code}.ephoenix.ir",
    )


TABLE: Final[Mapping[BrokerCode, Row]] = MappingProxyType(
    {
        # Stricter about log-ins than the others.
        BrokerCode("gs"): Row(_usual("gs"), before_login_s=2.0),
        BrokerCode("bbi"): Row(_usual("bbi")),
        BrokerCode("shahr"): Row(_usual("shahr")),
        BrokerCode("karamad"): Row(_usual("karamad")),
        BrokerCode("tejarat"): Row(_usual("tejarat")),
        # No public trace of it on this platform: preflight says whether these hosts answer.
        BrokerCode("shams"): Row(_usual("shams")),
        BrokerCode("ebb"): Row(_usual("ebb")),
        BrokerCode("hbc"): Row(_usual("hbc")),
        BrokerCode("rabin"): Row(_usual("rabin")),
        BrokerCode("ayandeh"): Row(_usual("ayandeh")),
        BrokerCode("farabi"): Row(_usual("farabi")),
        BrokerCode("ideal"): Row(_usual("ideal")),
        # On hosts of its own; of its back office there is no trace.
        BrokerCode("ib"): Row(
            Hosts("https://identity.ibtrader.ir", "https://api.ibtrader.ir", _MARKET_DATA, backoffice=None)
        ),
    }
)
"""Code → broker."""


def hosts_of(code: BrokerCode, settings: BrokerSettings) -> Hosts:
    """A broker's hosts: those of the config where it names them, the built-in ones elsewhere."""
    own = TABLE[code].hosts
    return Hosts(
        identity=settings.identity_url or own.identity,
        api=settings.api_url or own.api,
        market_data=settings.market_data_url or own.market_data,
        backoffice=settings.backoffice_url or own.backoffice,
    )
