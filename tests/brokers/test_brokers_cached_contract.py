from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from firstbell.brokers.cached_instrument import read, written
from firstbell.model.instrument import Instrument
from firstbell.model.price_band import PriceBand

SHARE = Instrument("IRO1MHRN0001", "", "", PriceBand(Decimal(1), Decimal(9)), Decimal(1), Decimal(9), Decimal(1))
CONTRACT = replace(SHARE, expiry=date(2026, 11, 26), tick_size=Decimal("0.05"))


@pytest.mark.parametrize("instrument", [SHARE, CONTRACT])
def test_a_contract_comes_back_from_the_cache_as_it_went_in(instrument):
    assert read(written(instrument)) == instrument


@pytest.mark.parametrize("changed", [{"expiry": "soon"}, {"expiry": 20261126}, {"tick": "0"}, {"tick": "0.050e0"}])
def test_what_is_no_expiry_or_tick_is_fetched_again(changed):
    assert read({**written(CONTRACT), **changed}) is None


def test_an_entry_of_before_there_were_contracts_is_fetched_again():
    older = {key: value for key, value in written(SHARE).items() if key not in {"expiry", "tick"}}
    assert read(older) is None


def test_what_expires_is_a_derivative():
    assert CONTRACT.is_derivative
    assert not SHARE.is_derivative
