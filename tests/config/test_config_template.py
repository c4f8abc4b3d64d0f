from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from firstbell.config import load, render
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
    from collections.abc import Callable

    from firstbell.config.section import Section

EXAMPLE = Path(__file__).parents[2] / "config.example.ini"
SECTIONS: dict[str, type[Section]] = {
    "Order_Account1_Shahr": AccountSettings,
    "firstbell": RunSettings,
    "captcha": CaptchaSettings,
    "broker.shahr": BrokerSettings,
    "telegram": TelegramSettings,
    "risk": RiskSettings,
    "validation": ValidationSettings,
    "orders": OrdersSettings,
    "retry": RetrySettings,
    "fallback": FallbackSettings,
    "partial_fills": PartialFillSettings,
    "order_log": OrderLogSettings,
    "paper": PaperSettings,
    "positions": PositionSettings,
    "metrics": MetricsSettings,
}
FILLED = render().replace("YOUR_USERNAME", "u").replace("YOUR_PASSWORD", "p4ssw0rd")


def test_the_example_is_what_init_writes() -> None:
    assert EXAMPLE.read_text(encoding="utf-8") == render()


def test_the_example_has_every_key_once_with_a_line_on_it() -> None:
    found: dict[str, list[str]] = {}
    name, comment = "", False
    for line in render().splitlines():
        if line.startswith("["):
            name = line.strip("[]")
            found[name] = []
        elif match := re.fullmatch(r"#?([a-z_]+) =.*", line):
            assert comment, f"{match[1]} has no line on it"
            found[name].append(match[1])
        comment = line.startswith("# ")
        assert len(line) <= 120
    assert found == {section: keys_of(model) for section, model in SECTIONS.items()}


def test_unfilled_it_says_what_to_fill_in(written: Callable[[str], Path]) -> None:
    with pytest.raises(Exception, match="placeholder"):
        load(written(render()))


def test_filled_in_it_loads_and_uncommenting_changes_nothing(written: Callable[[str], Path]) -> None:
    plain = load(written(FILLED))
    uncommented = load(written(re.sub(r"(?m)^#(?! )", "", FILLED)))
    assert uncommented.warnings == plain.warnings == ()
    assert uncommented == plain
