"""The instruments and accounts that an exchange begins with, and what it refuses to begin with."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from decimal import Decimal
from importlib import resources
from typing import TYPE_CHECKING, Any

import pytest

from firstbell.errors import SimulatorError
from firstbell.market import on_tick
from firstbell.model.broker_codes import EPHOENIX_CODES, MAIN_CODES
from firstbell.model.identifiers import BrokerCode, InstrumentId
from firstbell.model.terms import Side
from firstbell.simulator.listings import tehran_instruments
from firstbell.simulator.roster import Investor, check, made_up, read_investors

if TYPE_CHECKING:
    from pathlib import Path

MHRN = InstrumentId("IRO1MHRN0001")


def test_the_published_instruments_are_as_published() -> None:
    mhrn, bors = tehran_instruments()[:2]
    assert (mhrn.id, mhrn.symbol, mhrn.band.low, mhrn.band.high) == (MHRN, "مهرگان", 5520, 5860)
    assert (mhrn.min_quantity, mhrn.max_quantity) == (1, 200_000)
    assert (bors.id, bors.band.low, bors.band.high, bors.max_quantity) == ("IRO1BORS0001", 3393, 3601, 400_000)
    assert len(tehran_instruments()) == 13


def test_made_up_instruments_are_plausible() -> None:
    text = resources.files("firstbell.simulator").joinpath("data", "tse_instruments.csv").read_text(encoding="utf-8")
    invented = {row["isin"] for row in csv.DictReader(text.splitlines()) if row["source"].startswith("made up")}
    assert len(invented) == 11
    for each in tehran_instruments():
        assert each.reference_price is not None
        assert each.band.holds(each.reference_price)
        for price in (each.reference_price, each.band.low, each.band.high):
            assert on_tick("XTEH", price)
        if each.id in invented:
            assert each.band.low >= each.reference_price * Decimal("0.97")
            assert each.band.high <= each.reference_price * Decimal("1.03")
        assert each.max_quantity in {400_000, 200_000, 100_000, 50_000}


def test_the_same_seed_makes_up_the_same_accounts_dealt_over_the_brokers() -> None:
    first, again, other = (made_up(8, tehran_instruments(), seed) for seed in (1, 1, 2))
    assert first == again != other
    assert [each.broker_code for each in first] == [*MAIN_CODES, *MAIN_CODES[:2]]
    assert [each.username for each in first[:2]] == ["practice01", "practice02"]
    assert len({each.password for each in first}) == 8
    assert first[0].money == 1_000_003_827
    assert first[0].instrument == MHRN
    assert first[0].password not in repr(first[0])


def test_the_last_ones_sell_what_they_hold_and_are_otherwise_the_same() -> None:
    buyers, some = made_up(5, tehran_instruments(), 1), made_up(5, tehran_instruments(), 1, sells=2)
    assert [each.side for each in some] == [Side.BUY] * 3 + [Side.SELL] * 2
    assert [replace(each, side=Side.BUY) for each in some] == buyers
    assert all(each.instrument in each.holdings for each in some)


def written(folder: Path, content: Any) -> Path:
    file = folder / "accounts.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return file


ENTRY = {"username": "u", "password": "p", "broker_code": "gs", "money": 5}


def test_accounts_are_read_exactly(tmp_path: Path) -> None:
    text = (
        '[{"username": "علی", "password": " p%;#=\'\\" ", "broker_code": "gs", "money": 1000003827.10, '
        f'"holdings": {{"{MHRN}": 7}}, "isin": "{MHRN}", "side": "sell"}}, {json.dumps(ENTRY | {"money": -3})}]'
    )
    first, second = read_investors(written(tmp_path, text))
    assert (first.username, first.password, first.money) == ("علی", " p%;#='\" ", Decimal("1000003827.10"))
    assert (first.holdings, first.instrument, first.side) == ({MHRN: 7}, MHRN, Side.SELL)
    assert (second.money, second.holdings, second.instrument, second.side) == (-3, {}, None, Side.BUY)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read"),
        ({}, "no array"),
        ([5], "account 1 of .* cannot be read"),
        ([{**ENTRY, "money": "x"}], "account 1 of .* not a number"),
        ([ENTRY, {"username": "u"}], "account 2 of .* has no 'holdings'|account 2 of .* has no 'password'"),
        ([{**ENTRY, "username": ""}], "username must be a text"),
        ([{**ENTRY, "password": 5}], "password must be a text"),
        ([{**ENTRY, "holdings": [1]}], "cannot be read"),
        ([{**ENTRY, "side": "hold"}], "account 1 of .* cannot be read: 'hold' is not a valid Side"),
        ([{**ENTRY, "side": []}], "account 1 of .* cannot be read"),
    ],
)
def test_a_broken_accounts_file_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(SimulatorError, match=message):
        read_investors(written(tmp_path, content))


def test_a_missing_accounts_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SimulatorError, match="cannot be read"):
        read_investors(tmp_path / "none.json")


def investor(username: str = "u", code: str = "gs", **changed: Any) -> Investor:
    facts: dict[str, Any] = {"money": Decimal(0), "holdings": {}} | changed
    return Investor(username, "p", BrokerCode(code), **facts)


@pytest.mark.parametrize(
    ("investors", "message"),
    [
        ([investor(code="nix")], "no broker 'nix'; known: ayandeh"),
        ([investor(holdings={InstrumentId("X"): Decimal(1)})], "X is not listed"),
        ([investor(instrument=InstrumentId("Y"))], "Y is not listed"),
        ([investor(), investor()], "gs/u is there twice"),
    ],
)
def test_accounts_that_do_not_fit_are_refused(investors: list[Investor], message: str) -> None:
    with pytest.raises(SimulatorError, match=message):
        check(investors, EPHOENIX_CODES, tehran_instruments())


def test_the_same_login_at_two_brokers_fits() -> None:
    check([investor(), investor(code="bbi")], EPHOENIX_CODES, tehran_instruments())
