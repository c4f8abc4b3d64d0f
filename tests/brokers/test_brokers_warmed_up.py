"""Warming up at a platform's real adapter: through the cache, or as things stand now."""

from __future__ import annotations

from datetime import UTC
from types import SimpleNamespace

import pytest
from brokers_platform import CALCULATOR, HOLDINGS, INSTRUMENT, LOGIN, MONEY, PASSWORD, USUAL
from brokers_wire import http

from firstbell.config import AccountSettings
from firstbell.sniper.warmup import warm_up


def account(username, **own):
    usual = {"password": PASSWORD, "broker_code": "shahr", "isin": "IRO1MHRN0001"}
    return AccountSettings(name=f"Order_{username}_{len(own)}", username=username, **{**usual, **own})


@pytest.fixture
def office(house):
    """An office with two logins, the second of which only sells."""
    accounts = (account("one"), account("two", side="sell"))
    settings = house.settings().model_copy(update={"accounts": accounts})
    brokers = {each.username: house.broker(each.username) for each in accounts}
    return SimpleNamespace(
        settings=settings,
        broker=lambda leader: brokers[leader.username],
        cache=house.cache,
        clock=house.clock,
        calendar=SimpleNamespace(tz=UTC),
    )


def warm(office, *, fresh):
    return warm_up(office, lambda _login, _step: None, fresh=fresh)


def asked(platform):
    counted = {path: len(platform.calls(path)) for path in (LOGIN, MONEY, HOLDINGS, INSTRUMENT)}
    platform.server.requests.clear()
    return counted


def test_a_second_warm_up_asks_for_nothing_that_is_cached(office, platform):
    warm(office, fresh=False)
    first = asked(platform)
    assert (first[LOGIN], first[MONEY], first[HOLDINGS]) == (2, 1, 1)
    assert first[INSTRUMENT] in {1, 2}
    warm(office, fresh=False)
    assert asked(platform) == {LOGIN: 0, MONEY: 0, HOLDINGS: 1, INSTRUMENT: 0}


def test_as_things_stand_now_each_login_is_asked_once_and_each_instrument_once(office, platform, monkeypatch):
    warm(office, fresh=False)
    asked(platform)
    monkeypatch.setitem(USUAL, MONEY, {"buyingPower": 1000})
    (moved,) = USUAL[INSTRUMENT]
    monkeypatch.setitem(USUAL, INSTRUMENT, [{**moved, "t": {"maxap": 6000.0, "minap": 5600.0}}])
    buys, sells = warm(office, fresh=True)
    assert asked(platform) == {LOGIN: 0, MONEY: 1, HOLDINGS: 1, INSTRUMENT: 1}
    assert buys.buying_power == 1000
    assert "buying power too low" in buys.why_not
    assert sells.line.instrument.band.low == 5600
    # What was read stands in the cache for the next one.
    assert warm(office, fresh=False)[0].buying_power == 1000


def test_a_token_that_died_in_the_cache_is_found_out_and_replaced(office, platform):
    before = warm(office, fresh=False)
    asked(platform)
    platform.refused_tokens |= set(platform.tokens)
    after = warm(office, fresh=True)
    assert asked(platform)[LOGIN] == 2
    assert all(new.token_ends_at >= old.token_ends_at for new, old in zip(after, before, strict=True))
    assert after[0].ready


@pytest.mark.parametrize(("path", "what"), [(MONEY, "buying power"), (INSTRUMENT, "instrument")])
def test_what_cannot_be_read_now_is_no_go_whatever_is_cached_and_says_who_and_what_to_do(office, platform, path, what):
    assert warm(office, fresh=False)[0].ready
    platform.says[path] = [http(503, b"")] * 9
    row = warm(office, fresh=True)[0]
    assert not row.ready
    assert row.why_not.startswith(f"{platform.url.removeprefix('http://')} answered the question for the {what}")
    assert row.why_not.endswith("HTTP 503: try again, and ask the broker where it stays so")


def test_the_calculator_is_asked_again_where_the_money_is_another(office, platform, monkeypatch):
    warm(office, fresh=False)
    monkeypatch.setitem(USUAL, MONEY, {"buyingPower": 2_000_000_000})
    warm(office, fresh=True)
    assert len(platform.calls(CALCULATOR)) == 2
