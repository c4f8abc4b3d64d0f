"""The settings: read from ``config.ini``, frozen, secrets wrapped; every mistake told at once and never a secret."""

from __future__ import annotations

from firstbell.config.load import load
from firstbell.config.models import (
    AccountSettings,
    BrokerSettings,
    CaptchaSettings,
    CaptchaSolverKind,
    OrdersMode,
    RiskSettings,
    RunSettings,
    Settings,
    TelegramSettings,
)
from firstbell.config.template import render

__all__ = [
    "AccountSettings",
    "BrokerSettings",
    "CaptchaSettings",
    "CaptchaSolverKind",
    "OrdersMode",
    "RiskSettings",
    "RunSettings",
    "Settings",
    "TelegramSettings",
    "load",
    "render",
]
