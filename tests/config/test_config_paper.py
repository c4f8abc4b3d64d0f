from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from firstbell.config import PaperSettings, load
from firstbell.config.paper_settings import Around, PaperHours

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Write = Callable[[str], Path]

ACCOUNT = """
[Order_P]
username = me
password = anything
broker_code = paper
isin = BANKNIFTY2412545000CE
"""


def ms(number: int) -> timedelta:
    return timedelta(milliseconds=number)


def test_where_nothing_is_said_paper_is_always_open_and_somebody_is_there(written: Write) -> None:
    found = load(written(ACCOUNT))
    assert found.paper == PaperSettings()
    assert found.accounts[0].broker_code == "paper"
    assert (found.paper.money, found.paper.holdings, found.paper.liquidity) == (1_000_000_000, None, 10_000)
    assert (found.paper.latency, found.paper.hours) == (Around(ms(5), ms(2)), PaperHours.ALWAYS)


def test_every_key_is_read(written: Write) -> None:
    path = written(
        f"""{ACCOUNT}
[paper]
money = 5,000,000
holdings = IRO1MHRN0001: 5,000, IRO1FOLD0001:12
latency = 7ms +- 1ms
liquidity = 0
seed = 0
hours = Market
instruments = more.csv
"""
    )
    found = load(path).paper
    assert found.money == 5_000_000
    assert found.holdings == {"IRO1MHRN0001": Decimal(5000), "IRO1FOLD0001": Decimal(12)}
    assert found.latency == Around(ms(7), ms(1))
    assert (found.liquidity, found.seed, found.hours) == (0, 0, PaperHours.MARKET)
    assert found.instruments == path.parent / "more.csv"


@pytest.mark.parametrize(
    ("text", "mean", "spread"),
    [("5ms ± 2ms", 5, 2), ("5ms±2ms", 5, 2), ("5ms +/- 2ms", 5, 2), ("5ms", 5, 0), ("0", 0, 0), ("1s ± 0", 1000, 0)],
)
def test_a_latency_is_a_time_and_by_how_much_it_varies(text: str, mean: int, spread: int) -> None:
    latency = PaperSettings.model_validate({"latency": text}).latency
    assert latency == Around(ms(mean), ms(spread))
    assert PaperSettings.model_validate({"latency": str(latency)}).latency == latency


@pytest.mark.parametrize(
    "wrong",
    [
        {"latency": "5"},
        {"latency": "2ms ± 5ms"},
        {"latency": "11s"},
        {"latency": "5ms ± 2ms ± 1ms"},
        {"latency": "-5ms"},
        {"latency": None},
        {"holdings": "IRO1MHRN0001"},
        {"holdings": "IRO1MHRN0001: many"},
        {"holdings": ": 5"},
        {"holdings": 5},
        {"liquidity": "-1"},
        {"money": "0"},
        {"hours": "sometimes"},
        {"seed": "x"},
        {"speed": "1"},
    ],
)
def test_what_is_wrong_is_told(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PaperSettings.model_validate(wrong)
