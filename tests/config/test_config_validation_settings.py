from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from pydantic import ValidationError

from firstbell.config import ValidationSettings, load, values
from firstbell.errors import ConfigError

ACCOUNT = "[Order_A]\nusername = u\npassword = p4ssw0rd\nbroker_code = gs\nisin = IRO1MHRN0001\n"


def test_without_a_section_there_is_a_tolerance_and_an_age_and_no_other_limit(written):
    found = load(written(ACCOUNT)).validation
    assert found == ValidationSettings()
    assert (found.price_tolerance, found.max_quote_age) == (Decimal("0.20"), timedelta(seconds=10))
    assert found.min_price is found.max_price is found.max_spread is None
    assert found.min_volume is found.min_open_interest is found.tradable_states is None


def test_the_requirements_own_numbers_are_read(written):
    text = (
        "[validation]\nmin_price = 0.05\nmax_price = 10,000\nprice_tolerance = 0.15\nmin_volume = 100\n"
        "min_open_interest = ۵۰\nmax_spread = 0.02\nmax_quote_age = 1m30s\ntradable_states = A, Frei\n"
    )
    assert load(written(ACCOUNT + text)).validation == ValidationSettings(
        min_price=Decimal("0.05"),
        max_price=Decimal(10_000),
        price_tolerance=Decimal("0.15"),
        min_volume=Decimal(100),
        min_open_interest=Decimal(50),
        max_spread=Decimal("0.02"),
        max_quote_age=timedelta(seconds=90),
        tradable_states=("a", "frei"),
    )


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("lot_size = 25", "lot_size: comes from the broker's instrument, which may change from day to day"),
        ("Lot_Size = 25", "lot_size: comes from the broker's instrument"),
        ("expiry = 2026-11-26", "expiry: comes from the broker's instrument"),
        ("tick_size = 5", "tick_size: comes from the broker's instrument, or from the market's rules"),
        ("max_order_value = 1000000", "max_order_value: stands in [risk]"),
        ("max_order_quantity = 10", "max_order_quantity: stands in [risk]"),
        ("price_tolerence = 1", "price_tolerence: no such key; did you mean price_tolerance?"),
        ("min_price = 0", "min_price: found '0'; write a number above zero"),
        ("price_tolerance = 1.5", "price_tolerance: found '1.5'; write a part of one"),
        ("price_tolerance =", "price_tolerance: is empty"),
        ("max_quote_age = 10", "max_quote_age: found '10'; write a length of time"),
        ("tradable_states = A,,B", "tradable_states: found 'A,,B'; write words with commas between them"),
        ("min_price = 5\nmax_price = 4", "min_price is above max_price"),
    ],
)
def test_what_cannot_stand_here_is_told_with_its_remedy(written, line, words):
    with pytest.raises(ConfigError) as refused:
        load(written(f"{ACCOUNT}[validation]\n{line}\n"))
    assert [words in str(problem) for problem in refused.value.problems] == [True], refused.value


@pytest.mark.parametrize(
    ("text", "number"), [("0.05", "0.05"), ("1,000.5", "1000.5"), ("۱۲٫۵", "12.5"), (7, "7"), (Decimal("1E+3"), "1000")]
)
def test_an_amount(text, number):
    assert values.amount(text) == Decimal(number)


@pytest.mark.parametrize("text", ["0", "-1", "1e3", "", "1.", ".5", "1,00", True, 1.5, None, "1" * 16, Decimal("NaN")])
def test_what_is_no_amount(text):
    with pytest.raises(ValueError, match="write a number above zero"):
        values.amount(text)


@pytest.mark.parametrize("states", [5, (), ("a", " "), "", [1]])
def test_states_are_words(states):
    with pytest.raises(ValidationError, match="words with commas"):
        ValidationSettings(tradable_states=states)
