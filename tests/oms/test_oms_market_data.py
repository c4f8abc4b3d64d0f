"""What a broker says of instruments: asked once a round and once a minute, however many want to know."""

from __future__ import annotations

import logging
from dataclasses import replace
from decimal import Decimal

import pytest

from firstbell.brokers.paper.broker import PaperBroker
from firstbell.brokers.paper.market import PaperMarket
from firstbell.errors import CaptchaError, NoAnswer, NoSuchInstrument
from firstbell.model.terms import Side
from firstbell.oms.orders.market_data import MarketData

D = Decimal
FOLD = "IRO1FOLD0001"
MHRN = "IRO1MHRN0001"
MS = 1_000_000


class AskedBroker(PaperBroker):
    """A paper broker that notes what it is asked for, and may be out of order."""

    error = None

    def __init__(self, *args):
        super().__init__(*args)
        self.asked = []

    def instrument(self, instrument, *, fresh=False):
        self.asked.append((instrument, fresh))
        return super().instrument(instrument, fresh=fresh)

    def quote(self, instrument):
        self.asked.append(instrument)
        if self.error is not None:
            raise self.error
        return super().quote(instrument)


@pytest.fixture
def broker(stepped_clock):
    made = AskedBroker(PaperMarket(clock=stepped_clock), "u")
    made.login()
    made.market.set_quote(FOLD, bid=D(4860), ask=D(4870))
    stepped_clock.sleep(1)
    return made


@pytest.fixture
def data(broker, stepped_clock):
    return MarketData(broker, stepped_clock)


def test_an_instrument_is_described_once_a_minute_and_then_anew(data, broker, stepped_clock):
    first = data.instrument(FOLD)
    assert first.id == FOLD
    stepped_clock.sleep(60)
    assert data.instrument(FOLD) is first
    assert broker.asked == [(FOLD, False)]
    stepped_clock.move_to(stepped_clock.monotonic_ns() + 1)
    # What a cache has kept of it would be as old.
    assert data.instrument(FOLD) == first
    assert broker.asked == [(FOLD, False), (FOLD, True)]
    stepped_clock.sleep(60)
    data.instrument(FOLD)
    assert len(broker.asked) == 2


def test_an_instrument_that_cannot_be_had_is_told_and_asked_for_again(data, broker):
    for _ in range(2):
        with pytest.raises(NoSuchInstrument):
            data.instrument("IRO1NONE0001")
    assert len(broker.asked) == 2


def test_a_quote_is_remembered_for_half_a_second(data, broker, stepped_clock):
    first = data.quote(FOLD)
    assert first.touch(Side.BUY) == 4870
    stepped_clock.move_to(stepped_clock.monotonic_ns() + 500 * MS)
    assert data.quote(FOLD) is first
    assert broker.asked == [FOLD]
    stepped_clock.move_to(stepped_clock.monotonic_ns() + 1)
    broker.market.set_quote(FOLD, bid=D(4850), ask=D(4860))
    assert data.quote(FOLD).touch(Side.BUY) == 4860
    assert broker.asked == [FOLD, FOLD]
    data.quote(FOLD)
    assert len(broker.asked) == 2


def test_a_fresh_quote_is_asked_for_whatever_is_known(data, broker):
    data.quote(FOLD)
    broker.market.set_quote(FOLD, bid=D(4850), ask=D(4860))
    assert data.quote(FOLD, fresh=True).touch(Side.BUY) == 4860
    assert broker.asked == [FOLD, FOLD]
    # And is the one that is remembered.
    assert data.quote(FOLD).touch(Side.BUY) == 4860
    assert len(broker.asked) == 2


def test_a_new_round_asks_anew_once_for_each_instrument(data, broker):
    data.quote(FOLD)
    broker.market.set_quote(FOLD, bid=D(4850), ask=D(4860))
    data.look_again()
    for _ in range(3):
        assert data.quote(FOLD).touch(Side.BUY) == 4860
    assert broker.asked == [FOLD, FOLD]


@pytest.mark.parametrize("error", [NoAnswer("silence"), CaptchaError("nobody solved it")], ids=repr)
def test_what_nobody_quotes_is_none_at_first_and_the_last_that_was_known_later(data, broker, error, caplog):
    broker.error = error
    with caplog.at_level(logging.WARNING):
        assert data.quote(FOLD) is None
    assert f"{FOLD} cannot be quoted: {error}" in caplog.text
    broker.error = None
    known = data.quote(FOLD)
    broker.error = error
    data.look_again()
    assert data.quote(FOLD) is known
    # It is not taken for a new one: the next who wants it asks again.
    broker.error = None
    assert data.quote(FOLD) is not known
    assert len(broker.asked) == 4


def test_a_new_round_asks_anew_though_the_machine_has_only_just_begun_to_count(stepped_clock):
    broker = AskedBroker(PaperMarket(clock=stepped_clock), "u")
    data = MarketData(broker, stepped_clock)
    stepped_clock.sleep(0.1)
    data.quote(FOLD)
    data.look_again()
    data.quote(FOLD)
    assert broker.asked == [FOLD, FOLD]


class IsinBroker(AskedBroker):
    """One that knows ISINs alone, as those of Tehran do."""

    def instrument(self, instrument, *, fresh=False):
        found = super().instrument(instrument, fresh=fresh)
        if found.id != instrument:
            raise NoSuchInstrument(f"nobody knows {instrument}", host="h", status=200)
        return found


def isin_data(clock, *listed):
    broker = IsinBroker(PaperMarket(clock=clock), "u")
    broker.login()
    return broker, MarketData(broker, clock, listed)


@pytest.mark.parametrize("symbol", ["فولاد", "  فولاد", "ف\u200cولاد"])
def test_a_symbol_is_that_of_an_instrument_of_the_config(stepped_clock, symbol):
    broker, data = isin_data(stepped_clock, "IRO1NONE0001", MHRN, FOLD)
    assert data.instrument(symbol).id == FOLD
    asked = len(broker.asked)
    assert data.instrument(symbol) is data.instrument(FOLD)
    assert len(broker.asked) == asked
    assert symbol not in [name for name, _ in broker.asked]


def test_a_symbol_is_the_same_on_whatever_keyboard_it_was_written(stepped_clock, monkeypatch):
    broker, data = isin_data(stepped_clock, FOLD)
    found = broker.instrument(FOLD)
    monkeypatch.setattr(broker, "instrument", lambda *_, **__: replace(found, symbol="شپکي"))
    assert data.instrument("شپكی").id == FOLD


def test_a_symbol_of_none_or_of_several_is_told_with_what_to_do(stepped_clock, monkeypatch):
    broker, data = isin_data(stepped_clock, FOLD, MHRN)
    with pytest.raises(NoSuchInstrument, match="nobody knows فملی; by its symbol .* has its ISIN") as told:
        data.instrument("فملی")
    assert told.value.host == "h"
    described = broker.instrument
    monkeypatch.setattr(broker, "instrument", lambda name, **more: replace(described(name, **more), symbol="x"))
    stepped_clock.sleep(61)
    with pytest.raises(NoSuchInstrument, match=f"x is the symbol of {FOLD} and of {MHRN}: write the ISIN"):
        data.instrument("x")


def test_an_isin_is_asked_for_whatever_is_listed(stepped_clock):
    broker, data = isin_data(stepped_clock, MHRN)
    assert data.instrument(FOLD).id == FOLD
    assert broker.asked == [(FOLD, False)]
