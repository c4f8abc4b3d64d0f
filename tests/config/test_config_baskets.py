"""Sections with several instruments: one account for each of them, and what cannot be said of several."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from firstbell.config import AccountSettings, load
from firstbell.errors import ConfigError
from firstbell.model.terms import Side

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Write = Callable[[str], Path]

A, B, C = "IRO1MHRN0001", "IRO1BORS0001", "IRO1FOLD0001"
NAME = "Order_Account1_Shahr"
FOUR = f"""
[{NAME}]
username = 0012345678
password = pl4nted
broker_code = shahr
isin = {A}
"""


def several(*lines: str, isin: str = f"{A}, {B}, {C}") -> str:
    return "\n".join([FOUR.replace(A, isin).strip(), *lines, ""])


def accounts_of(path: Path) -> tuple[AccountSettings, ...]:
    return load(path).accounts


def told(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as error:
        load(path)
    return [str(problem) for problem in error.value.problems]


def test_each_instrument_is_an_account_with_a_name_of_its_own(written: Write) -> None:
    found = accounts_of(written(several("weights = 60, 30, 10", "quantity = 5", "orders = all")))
    assert [(account.name, account.isin) for account in found] == [
        (f"{NAME}.{A}", A),
        (f"{NAME}.{B}", B),
        (f"{NAME}.{C}", C),
    ]
    for account in found:
        assert account.section == NAME
        assert account.isins == (A, B, C)
        assert account.basket == {A: 60, B: 30, C: 10}
        assert account.quantity == 5
        assert account.password.get_secret_value() == "pl4nted"
    assert load(written(several())).enabled == accounts_of(written(several()))


def test_one_instrument_is_an_account_as_it_always_was(written: Write) -> None:
    (account,) = accounts_of(written(FOUR))
    assert (account.name, account.section, account.isins, account.weights) == (NAME, NAME, (), None)
    assert account.basket == {A: 1}


def test_without_weights_they_weigh_the_same(written: Write) -> None:
    assert {tuple(account.basket.items()) for account in accounts_of(written(several()))} == {((A, 1), (B, 1), (C, 1))}


@pytest.mark.parametrize(
    ("weights", "read"),
    [
        ("60, 30, 10", ("60", "30", "10")),
        ("2,1.5,0.5", ("2", "1.5", "0.5")),
        ("۶۰، ۳۰، ۱۰", ("60", "30", "10")),
        ("0.000001,999999.999999 ,1", ("0.000001", "999999.999999", "1")),
    ],
)
def test_weights_are_read_as_they_are_written(written: Write, weights: str, read: tuple[str, ...]) -> None:
    for account in accounts_of(written(several(f"weights = {weights}", isin=f"{A}،{B} ,{C}"))):
        assert account.weights == tuple(map(Decimal, read))


def test_the_most_to_spend_is_divided_to_the_last_rial(written: Write) -> None:
    found = accounts_of(written(several("max_value = 1,000,000,001")))
    assert [account.max_value for account in found] == [333_333_333, 333_333_333, 333_333_335]
    found = accounts_of(written(several("weights = 60, 30, 10", "max_value = 1009")))
    assert [account.max_value for account in found] == [605, 302, 102]


@pytest.mark.parametrize(
    ("lines", "isin", "said"),
    [
        ("weights = 60, 40", None, "weights: found 2 weights; isin names 3 instruments: write as many"),
        ("weights = 60", None, "weights: found 1 weight; isin names 3 instruments: write as many"),
        ("weights = 60, 0, 40", None, "weights: found '60, 0, 40'; write a number above zero for each"),
        ("weights = 60, -1, 40", None, "weights: found '60, -1, 40'; write a number above zero for each"),
        ("weights = 60, 40, rest", None, "weights: found '60, 40, rest'; write a number above zero for each"),
        ("weights = 60, NaN, 40", None, "weights: found '60, NaN, 40'; write a number above zero"),
        ("weights = 1, 1, 1e3", None, "weights: found '1, 1, 1e3'; write a number above zero"),
        ("weights = 50", A, "weights: found '50'; divides the money over several instruments, and isin names one"),
        ("side = sell\nweights = 1, 1, 1", None, "weights: found '1, 1, 1'; divides what is spent, and a sell"),
        ("order_side = Sell\nweights = 1, 1, 1", None, "weights: found '1, 1, 1'; divides what is spent, and a sell"),
        ("side = sell\nmax_value = 5000", None, "max_value: found '5000'; holds for one instrument in a sell"),
        ("price = 5860", None, "price: found '5860'; holds for one instrument, and isin names several: delete it, or"),
        ("order_price = 5860", None, "order_price: found '5860'; holds for one instrument, and isin names several"),
        ("max_value = 2", None, "max_value: found '2'; is too little to be divided over 3 instruments"),
        ("max_value = 1.5", None, "max_value: found '1.5'; write a whole number"),
        ("", f"{A}, {B}, {A}", f"isin: found '{A}' 2 times; an instrument stands there once; keep one of them"),
        ("", f"{A}, iro1", "isin: found 'iro1'; write an ISIN"),
        ("", f"{A},", "isin: has nothing between two commas, or at an end; delete a comma"),
        ("", f"{A},,{B}", "isin: has nothing between two commas, or at an end; delete a comma"),
    ],
)
def test_what_cannot_be_is_told_once_and_clearly(written: Write, lines: str, isin: str | None, said: str) -> None:
    (problem,) = told(written(several(lines, isin=isin or f"{A}, {B}, {C}")))
    assert problem.startswith(f"[{NAME}] {said}")
    assert "pl4nted" not in problem


def test_what_may_be_a_piece_of_a_secret_is_not_quoted(written: Write) -> None:
    (problem,) = told(written(several("price = pl4nted#1")))[:1]
    assert problem.startswith(f"[{NAME}] price: holds for one instrument")
    assert "pl4" not in "".join(told(written(several("", isin=f"{A}, pl4#, pl4#"))))


def test_all_mistakes_of_a_section_are_told_at_once_in_its_order(written: Write) -> None:
    problems = told(written(several("weights = 1, 2", "price = 5", "orders = two", isin=f"{A}, iro1, {A}, {B}")))
    assert [problem.split()[1] for problem in problems] == ["isin:", "isin:", "weights:", "price:", "orders:"]


def test_the_same_order_in_two_sections_is_told_with_its_instrument(written: Write) -> None:
    other = FOUR.replace("Account1", "A2").replace(A, f"{C}, {B}")
    (problem,) = told(written(several(isin=f"{A}, {B}") + other))
    assert problem.startswith(f"[Order_A2_Shahr]: has an order of {B}, as has [{NAME}]: same broker, username, isin")
    assert len(accounts_of(written(several(isin=f"{A}, {B}") + other + "side = sell\n"))) == 4


def test_one_login_has_one_password_and_it_is_told_once(written: Write) -> None:
    other = FOUR.replace("Account1", "A2").replace(A, f"{B}, {C}").replace("pl4nted", "0ther")
    (problem,) = told(written(FOUR + other))
    assert problem.startswith(f"[Order_A2_Shahr] password - differs from the password of [{NAME}]")
    (problem,) = told(written(several(isin=f"{A}, {B}") + other.replace(B, "IRO1IKCO0001")))
    assert f"differs from the password of [{NAME}]," in problem


def test_a_disabled_section_leaves_out_all_of_its_instruments(written: Write) -> None:
    found = load(written(several("enabled = no") + FOUR.replace("Account1", "A2")))
    assert (len(found.accounts), [account.section for account in found.enabled]) == (4, ["Order_A2_Shahr"])
    (problem,) = told(written(several("enabled = no")))
    assert "every account is disabled" in problem


def test_the_budget_of_a_run_counts_every_order(written: Write) -> None:
    (problem,) = told(written(several() + "[risk]\nmax_attempts_per_run = 2\n"))
    assert "3 accounts are enabled" in problem


def test_several_to_sell_and_the_older_form_with_one(written: Write) -> None:
    sells = accounts_of(written(several("side = sell", "quantity = 7")))
    assert [(account.side, account.quantity, account.isin) for account in sells] == [
        (Side.SELL, 7, i) for i in (A, B, C)
    ]
    older = "order_side = Buy\norder_price = 5860\norder_volume = 100\norder_type = Limit\norder_validity = Day\n"
    (account,) = accounts_of(written(FOUR + older))
    assert (account.name, account.price, account.quantity, account.isins) == (NAME, 5860, 100, ())


def test_what_is_in_no_file_cannot_be_written_into_one(written: Write) -> None:
    (problem,) = told(written(FOUR + "isins = x\n"))
    assert "isins: no such key; did you mean isin?" in problem
