"""The commented config that ``firstbell init`` writes and ``config.example.ini`` shows, made from the models."""

from __future__ import annotations

from datetime import time, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Final

from firstbell.config.alert_settings import TelegramSettings
from firstbell.config.mistakes import keys_of
from firstbell.config.models import (
    AccountSettings,
    BrokerSettings,
    CaptchaSettings,
    RiskSettings,
    RunSettings,
)
from firstbell.config.order_log_settings import OrderLogSettings
from firstbell.config.order_settings import FallbackSettings, OrdersSettings, PartialFillSettings, RetrySettings
from firstbell.config.paper_settings import PaperSettings
from firstbell.config.position_settings import MetricsSettings, PositionSettings
from firstbell.config.validation_settings import ValidationSettings

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from firstbell.config.section import Section

_HEAD: Final = """\
# firstbell's config. It holds passwords: keep it readable by you alone (chmod 600).
# A line that begins with # is a comment; there are none at a line's end, and no quoting: whatever stands behind the
# first = is the value, without the spaces around it. A #key = value is what holds anyway: delete its # to change it.
# Passwords and other secrets may be kept elsewhere: env:NAME, keyring:SERVICE/NAME or file:PATH.
"""

_EXAMPLES: Final = {
    "username": "YOUR_USERNAME",
    "password": "YOUR_PASSWORD",  # to be filled in  # nosec B105
    "broker_code": "shahr",
    "isin": "IRO1MHRN0001",
}

_SECTIONS: Final[tuple[tuple[str, type[Section], str], ...]] = (
    (
        "Order_Account1_Shahr",
        AccountSettings,
        "One section for each order you want: Order_ and a name of your own. Four fields are enough.",
    ),
    ("firstbell", RunSettings, "The run."),
    ("captcha", CaptchaSettings, "Who solves the brokers' captchas."),
    ("broker.shahr", BrokerSettings, "Only to override what is built in for a broker: [broker.CODE]."),
    ("telegram", TelegramSettings, "Where alerts go."),
    ("risk", RiskSettings, "Your own limits: what would go beyond one is not sent. Empty: no such limit."),
    (
        "validation",
        ValidationSettings,
        "What an order is held against before it is sent. Without a value: no such limit.",
    ),
    ("orders", OrdersSettings, "The order manager: orders beyond the bell."),
    ("retry", RetrySettings, "When the order manager asks again, and sends again what was certainly not placed."),
    ("fallback", FallbackSettings, "What it does about an order that was refused for certain."),
    ("partial_fills", PartialFillSettings, "What it does about the rest of an order that has traded in part."),
    ("order_log", OrderLogSettings, "The files orders.log and trading_orders.log in the logs folder."),
    ("paper", PaperSettings, "The paper market, where broker_code = paper trades without money."),
    ("positions", PositionSettings, "What positions are watched for. Empty: for nothing."),
    ("metrics", MetricsSettings, "Figures for Prometheus, on this machine alone."),
)


def render() -> str:
    """The whole example config, every key with its default and one line on it."""
    parts = [_HEAD]
    for name, model, comment in _SECTIONS:
        lines = [f"\n# {comment}", f"[{name}]"]
        for key in keys_of(model):
            definition = model.model_fields[key]
            lines += [f"# {definition.description}", _line(key, definition)]
        parts.append("\n".join(lines) + "\n")
    return "".join(parts)


def _line(key: str, definition: FieldInfo) -> str:
    if definition.is_required():
        return f"{key} = {_EXAMPLES[key]}"
    return f"#{key} = {_default(definition)}".rstrip()


def _default(definition: FieldInfo) -> str:
    extra = definition.json_schema_extra
    default = extra["shown"] if isinstance(extra, dict) else definition.default
    if default is None:
        return ""
    if isinstance(default, bool):
        return "yes" if default else "no"
    if isinstance(default, timedelta):
        return f"{default.total_seconds():g}s"
    if isinstance(default, time):
        return default.isoformat()
    return str(default.value if isinstance(default, Enum) else default)
