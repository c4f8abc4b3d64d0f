"""``[positions]`` and ``[metrics]``: nothing is watched for, closed or shown unless it is written."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from firstbell.config import MetricsSettings, PositionSettings, load
from firstbell.config.position_settings import OnLoss
from firstbell.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ACCOUNT = """
[Order_A]
username = a
password = pl4nted-9
broker_code = gs
isin = IRO1FOLD0001
"""


def test_nothing_is_watched_for_by_default() -> None:
    settings = PositionSettings()
    limits = (settings.default_target_pnl, settings.default_stop_loss, settings.max_daily_loss, settings.max_drawdown)
    assert (*limits, settings.position_timeout_hours) == (None,) * 5
    assert not settings.auto_close_on_target
    assert not settings.auto_close_on_stop
    assert settings.on_daily_loss is OnLoss.REDUCING
    assert MetricsSettings().port is None


def test_it_is_read_from_the_config(written: Callable[[str], Path]) -> None:
    text = """
    [positions]
    default_target_pnl = 2,000.50
    default_stop_loss = -۱۰۰۰
    max_daily_loss = 5000
    max_drawdown = -7000
    position_timeout_hours = 0.5
    monitoring_interval = 20s
    price_update_interval = 5s
    stale_after = 1m30s
    auto_close_on_target = yes
    auto_close_on_stop = yes
    on_daily_loss = HALTED
    [metrics]
    port = 9464
    """
    settings = load(written(ACCOUNT + text.replace("\n    ", "\n")))
    assert settings.metrics.port == 9464
    assert settings.positions == PositionSettings(
        default_target_pnl=Decimal("2000.50"),
        default_stop_loss=Decimal(1000),
        max_daily_loss=Decimal(5000),
        max_drawdown=Decimal(7000),
        position_timeout_hours=Decimal("0.5"),
        monitoring_interval=timedelta(seconds=20),
        price_update_interval=timedelta(seconds=5),
        stale_after=timedelta(seconds=90),
        auto_close_on_target=True,
        auto_close_on_stop=True,
        on_daily_loss=OnLoss.HALTED,
    )


def test_made_in_code_it_takes_the_requirements_own_numbers() -> None:
    made = PositionSettings.model_validate(
        {"default_target_pnl": 2000.0, "default_stop_loss": -1000.0, "max_daily_loss": -5000, "max_drawdown": "7.25"}
        | {"position_timeout_hours": 6}
    )
    assert made.default_target_pnl == 2000
    assert (made.default_stop_loss, made.max_daily_loss, made.max_drawdown) == (1000, 5000, Decimal("7.25"))
    assert made.position_timeout_hours == 6


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("default_target_pnl", "-5"),
        ("default_target_pnl", "0"),
        ("default_stop_loss", "0"),
        ("default_stop_loss", "--5"),
        ("default_stop_loss", "nan"),
        ("max_daily_loss", "1e9"),
        ("max_daily_loss", "much"),
        ("max_drawdown", "-"),
        ("position_timeout_hours", "0"),
        ("position_timeout_hours", "-1"),
        ("position_timeout_hours", "6h"),
        ("on_daily_loss", "active"),
        ("price_update_interval", "10"),
        ("price_update_interval", "2m"),
        ("auto_close_on_stop", "perhaps"),
        ("max_daily_los", "5"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(written: Callable[[str], Path], key: str, value: str) -> None:
    with pytest.raises(ConfigError, match=r"\[positions\]"):
        load(written(f"{ACCOUNT}[positions]\n{key} = {value}\n"))


@pytest.mark.parametrize("value", ["0", "65536", "0.0.0.0:9000", "127.0.0.1:9000", "*:9000", "localhost", "-1"])
def test_the_figures_are_on_this_machine_alone(written: Callable[[str], Path], value: str) -> None:
    with pytest.raises(ConfigError, match=r"\[metrics\] port: .*on 127\.0\.0\.1 and nowhere else"):
        load(written(f"{ACCOUNT}[metrics]\nport = {value}\n"))


@pytest.mark.parametrize("wrong", [True, None, [], 1.5e300])
def test_other_kinds_are_refused(wrong: object) -> None:
    for key in ("max_daily_loss", "position_timeout_hours"):
        if wrong is not None:
            with pytest.raises(ValueError, match=key):
                PositionSettings.model_validate({key: wrong})
