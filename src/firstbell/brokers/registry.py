"""Which adapter speaks to which broker: one explicit table, each adapter imported when it is first asked for."""

from __future__ import annotations

import importlib
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, cast

from firstbell.clock import SystemClock
from firstbell.errors import NotSent
from firstbell.model.broker_codes import BROKER_CODES, PAPER, PLANNED_CODES
from firstbell.model.identifiers import BrokerCode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from firstbell.brokers.base import Broker, Outcome
    from firstbell.brokers.captcha import CaptchaSolver
    from firstbell.cache import TtlCache
    from firstbell.clock import Clock
    from firstbell.config import AccountSettings, Settings

    AnswerReader = Callable[[int, Mapping[str, str], bytes], Outcome]
    """`firstbell.brokers.base.HttpBroker.read_answer`, without a login."""

_EPHOENIX: Final = "firstbell.brokers.ephoenix.opening"

ADAPTERS: Final[Mapping[BrokerCode, str]] = MappingProxyType(
    {
        BrokerCode("gs"): _EPHOENIX,
        BrokerCode("bbi"): _EPHOENIX,
        BrokerCode("shahr"): _EPHOENIX,
        BrokerCode("karamad"): _EPHOENIX,
        BrokerCode("tejarat"): _EPHOENIX,
        BrokerCode("shams"): _EPHOENIX,
        BrokerCode("ebb"): _EPHOENIX,
        BrokerCode("hbc"): _EPHOENIX,
        BrokerCode("rabin"): _EPHOENIX,
        BrokerCode("ayandeh"): _EPHOENIX,
        BrokerCode("farabi"): _EPHOENIX,
        BrokerCode("ideal"): _EPHOENIX,
        BrokerCode("ib"): _EPHOENIX,
        PAPER: "firstbell.brokers.paper.opening",
    }
)
"""Broker code → the module that has its ``open_account``, ``order_url``, ``service_urls`` and ``read_answer``."""


def known_codes() -> tuple[BrokerCode, ...]:
    """Every code that can be opened."""
    return tuple(ADAPTERS)


def open_broker(
    account: AccountSettings,
    settings: Settings,
    cache: TtlCache,
    solver: CaptchaSolver,
    *,
    clock: Clock | None = None,
) -> Broker:
    """Open the broker of an account. Nothing is asked of anybody yet.

    Args:
        account: The account.
        settings: The whole config.
        cache: The disk cache.
        solver: Reads captchas.
        clock: Both clocks, and how to wait; the machine's own by default.

    Raises:
        NotSent: No adapter speaks to this broker.
    """
    opened = _adapter(account.broker_code).open_account(account, settings, cache, solver, clock or SystemClock())
    return cast("Broker", opened)


def order_url(code: BrokerCode, settings: Settings) -> str:
    """The host that takes a broker's orders: scheme, host and port.

    Raises:
        NotSent: No adapter speaks to this broker.
    """
    return cast("str", _adapter(code).order_url(code, settings))


def service_urls(code: BrokerCode, settings: Settings) -> Mapping[str, str]:
    """Every host of a broker by what it serves; the one that takes orders is ``api``.

    Raises:
        NotSent: No adapter speaks to this broker.
    """
    return cast("Mapping[str, str]", _adapter(code).service_urls(code, settings))


def answer_reader(code: BrokerCode) -> AnswerReader:
    """What reads a broker's answers to orders: for those who send what somebody else has prepared.

    Raises:
        NotSent: No adapter speaks to this broker, or its orders do not go over HTTP.
    """
    reader = getattr(_adapter(code), "read_answer", None)
    if reader is None:
        raise NotSent(f"orders at {code} do not go over HTTP")
    return cast("AnswerReader", reader)


def _adapter(code: BrokerCode) -> Any:
    if code not in ADAPTERS:
        if code in PLANNED_CODES:
            raise NotSent(f"broker_code {code} has its name already, but this version cannot trade with it yet")
        raise NotSent(f"no broker is called {code}; the codes are {', '.join(BROKER_CODES)}")
    return importlib.import_module(ADAPTERS[code])
