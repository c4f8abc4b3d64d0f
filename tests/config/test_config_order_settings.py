from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from firstbell.config import FallbackSettings, PartialFillSettings, RetrySettings, load, values
from firstbell.errors import ConfigError
from firstbell.model.policies import CompletionStrategy, RetryStrategy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Write = Callable[[str], Path]

D = Decimal
FOUR = """
[Order_Account1_Shahr]
username = 0012345678
password = pl4nted
broker_code = shahr
isin = IRO1MHRN0001
"""


def test_where_nothing_is_said_the_requirements_own_numbers_hold(written: Write) -> None:
    found = load(written(FOUR))
    assert found.retry == RetrySettings()
    assert found.retry.strategy is RetryStrategy.EXPONENTIAL_BACKOFF
    assert (found.retry.max_attempts, found.retry.backoff_multiplier) == (3, 2)
    assert (found.retry.base_delay, found.retry.max_delay) == (timedelta(seconds=1), timedelta(seconds=30))
    fallback = found.fallback
    assert (fallback.enabled, fallback.max_price_adjustment, fallback.min_quantity_reduction) == (True, D("0.05"), 1)
    assert (fallback.split_threshold, fallback.manual_intervention_threshold) == (None, 5)
    assert found.partial_fills.strategy is None


def test_every_key_is_read(written: Write) -> None:
    found = load(
        written(
            f"""{FOUR}
[retry]
strategy = linear_backoff
max_attempts = 7
base_delay = 500ms
max_delay = 1m
backoff_multiplier = 1.5
jitter = 0
[fallback]
enabled = no
max_price_adjustment = 0.02
marketable_allowance = ۰٫۰۰۵
min_quantity_reduction = 10
split_threshold = 1,000
max_parts = 4
manual_intervention_threshold = 2
[partial_fills]
strategy = price_based
after = 2m
price_move = 0.01
max_price_adjustment = 0.03
min_remaining = 25
"""
        )
    )
    assert [value for _, value in found.retry] == [
        RetryStrategy.LINEAR_BACKOFF,
        7,
        timedelta(milliseconds=500),
        timedelta(minutes=1),
        D("1.5"),
        0,
    ]
    assert [value for _, value in found.fallback] == [False, D("0.02"), D("0.005"), 10, 1000, 4, 2]
    assert [value for _, value in found.partial_fills] == [
        CompletionStrategy.PRICE_BASED,
        timedelta(minutes=2),
        D("0.01"),
        D("0.03"),
        25,
    ]


@pytest.mark.parametrize(
    ("added", "said"),
    [
        ("[retry]\nstrategy = harder", "write exponential_backoff, linear_backoff, fixed_delay or immediate"),
        ("[retry]\nbase_delay = 1", "base_delay: found '1'; write a length of time"),
        ("[retry]\nbase_delay = 31s", "[retry]: base_delay is longer than max_delay"),
        ("[retry]\nbackoff_multiplier = 0.5", "found '0.5'; write a number from 1 to 100"),
        ("[retry]\nmax_attempts = 0", "max_attempts: found '0'; write a whole number above zero"),
        ("[fallback]\nmax_price_adjustment = 5%", "found '5%'; write a part of one, from 0 to 1"),
        ("[fallback]\nmax_price_adjustment = 1.01", "write a part of one, from 0 to 1"),
        ("[fallback]\nsplit_treshold = 1", "split_treshold: no such key; did you mean split_threshold?"),
        ("[partial_fills]\nstrategy = later", "write immediate, time_based, price_based or cancel_remaining"),
        ("[partial_fill]\nafter = 1s", "did you mean [partial_fills]?"),
    ],
)
def test_a_mistake_in_them_is_told(written: Write, added: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(written(f"{FOUR}{added}\n"))
    (problem,) = error.value.problems
    assert said in str(problem)


@pytest.mark.parametrize("model", [RetrySettings, FallbackSettings, PartialFillSettings])
def test_they_can_be_made_in_code_and_do_not_change(model) -> None:
    made = model()
    with pytest.raises(ValidationError, match="frozen"):
        setattr(made, next(iter(model.model_fields)), 1)


@pytest.mark.parametrize(
    ("text", "part"), [("0", "0"), ("1", "1"), ("0.05", "0.05"), ("۰٫۵", "0.5"), (D("0.1"), "0.1")]
)
def test_parts_of_something(text: object, part: str) -> None:
    assert values.fraction(text) == D(part)


@pytest.mark.parametrize("text", ["", "-0.1", "1.1", "5%", "1e-3", ".5", "nan", None, True, 0.5])
def test_what_is_no_part(text: object) -> None:
    with pytest.raises(ValueError, match="a part of one, from 0 to 1"):
        values.fraction(text)


@pytest.mark.parametrize(("text", "times"), [("1", "1"), ("2", "2"), ("1.5", "1.5"), ("100", "100")])
def test_how_many_times(text: object, times: str) -> None:
    assert values.factor(text) == D(times)


@pytest.mark.parametrize("text", ["0.99", "101", "-2", "x", None])
def test_what_is_no_number_of_times(text: object) -> None:
    with pytest.raises(ValueError, match="from 1 to 100"):
        values.factor(text)
