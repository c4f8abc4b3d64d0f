"""The settings: read from ``config.ini``, frozen, secrets wrapped; every mistake told at once and never a secret."""

from __future__ import annotations

import importlib
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from firstbell.config.alert_settings import TelegramSettings
    from firstbell.config.loading import load
    from firstbell.config.models import (
        AccountSettings,
        BrokerSettings,
        CaptchaSettings,
        CaptchaSolverKind,
        OrdersMode,
        RiskSettings,
        RunSettings,
        Settings,
    )
    from firstbell.config.order_settings import FallbackSettings, OrdersSettings, PartialFillSettings, RetrySettings
    from firstbell.config.paper_settings import PaperSettings
    from firstbell.config.position_settings import MetricsSettings, PositionSettings
    from firstbell.config.template import render
    from firstbell.config.validation_settings import ValidationSettings

__all__ = [
    "AccountSettings",
    "BrokerSettings",
    "CaptchaSettings",
    "CaptchaSolverKind",
    "FallbackSettings",
    "MetricsSettings",
    "OrdersMode",
    "OrdersSettings",
    "PaperSettings",
    "PartialFillSettings",
    "PositionSettings",
    "RetrySettings",
    "RiskSettings",
    "RunSettings",
    "Settings",
    "TelegramSettings",
    "ValidationSettings",
    "load",
    "render",
]

_ELSEWHERE: Final = MappingProxyType({"load": "loading", "render": "template"})


def __getattr__(name: str) -> Any:
    """Import what is asked for: the kill switch reads one key of a config, and does not wait for the rest."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_ELSEWHERE.get(name, 'models')}"), name)
