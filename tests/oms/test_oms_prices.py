"""Prices: asked for once an instrument, at all brokers at once, each with its time; and written down for later."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest

from firstbell.brokers.paper.broker import PaperBroker
from firstbell.brokers.paper.market import PaperMarket
from firstbell.clock import SystemClock
from firstbell.errors import CaptchaError, NoAnswer, RunError
from firstbell.market import calendar
from firstbell.market.hours import Hours
from firstbell.model.instant import instant
from firstbell.model.price_band import PriceBand
from firstbell.model.quote import Quote
from firstbell.oms import small_file
from firstbell.oms.positions import last_prices
from firstbell.oms.positions.prices import BrokerPrices, MarketPrice

FOLD, MHRN = "IRO1FOLD0001", "IRO1MHRN0001"
AT = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
HOURS = Hours(calendar("XTEH"))
BAND = PriceBand(Decimal(5300), Decimal(6000))


class Venue:
    """A broker as far as prices go, and what it was asked."""

    def __init__(self, clock, code="gs", last=5860, reference=5500, *, logged_in=True):
        self.clock, self.code, self.is_logged_in = clock, code, logged_in
        self.last, self.reference = last, reference
        self.asked = []
        self.error = None

    def quote(self, name):
        self.asked.append(name)
        if self.error is not None:
            raise self.error
        last = None if self.last is None else Decimal(self.last)
        return Quote(name, instant(self.clock.wall_ns()), last_price=last)

    def instrument(self, name, *, fresh):
        assert fresh
        self.asked.append(f"described {name}")
        numbers = [None if number is None else Decimal(number) for number in (self.last, self.reference)]
        return SimpleNamespace(id=name, last_price=numbers[0], reference_price=numbers[1], band=BAND)


class Hanging(Venue):
    """One that does not answer until it is let go."""

    def __init__(self, clock):
        super().__init__(clock, "shahr")
        self.may_answer = threading.Event()

    def quote(self, name):
        assert self.may_answer.wait(30)
        return super().quote(name)


class Plain(Venue):
    """One that has no quotes."""

    quote = None


def prices(clock, patience_s=5.0, **brokers):
    return BrokerPrices(brokers, clock, HOURS, patience_s=patience_s)


def test_the_day_befores_price_is_read_anew_at_midnight_of_the_exchange_and_once_the_market_has_opened(stepped_clock):
    venue = Venue(stepped_clock)
    feed = prices(stepped_clock, A=venue)
    read = []
    # 08:43 at the exchange, 08:46, 23:58, 00:03, 08:39 and 08:46.
    for pause_s in (0, 180, 15.2 * 3600, 300, 8.6 * 3600, 400):
        stepped_clock.sleep(pause_s)
        venue.reference += 1
        read.append(feed.read([("A", FOLD)])["A", FOLD].reference)
    assert read == [5501, 5502, 5502, 5504, 5504, 5506]


def test_a_price_comes_with_its_time_and_the_day_befores(stepped_clock):
    found = prices(stepped_clock, A=Venue(stepped_clock)).read([("A", FOLD)])
    assert found == {("A", FOLD): MarketPrice(Decimal(5860), instant(stepped_clock.wall_ns()), Decimal(5500))}
    assert found["A", FOLD].band == BAND


def test_an_instrument_is_asked_for_once_however_many_accounts_hold_it(stepped_clock):
    venue = Venue(stepped_clock)
    feed = prices(stepped_clock, A=venue, B=venue)
    wanted = [("A", FOLD), ("B", FOLD), ("B", MHRN)]
    assert set(feed.read(wanted)) == set(wanted)
    assert sorted(venue.asked) == [FOLD, MHRN, f"described {FOLD}", f"described {MHRN}"]
    feed.read(wanted)
    assert sorted(venue.asked[4:]) == [FOLD, MHRN]
    stepped_clock.sleep(24 * 3600)
    feed.read([("A", FOLD)])
    assert venue.asked[6:] == [FOLD, f"described {FOLD}"]


def test_a_login_without_a_token_is_not_asked_and_another_of_the_broker_is(stepped_clock):
    out, in_ = Venue(stepped_clock, logged_in=False), Venue(stepped_clock)
    assert set(prices(stepped_clock, A=out, B=in_).read([("A", FOLD), ("B", MHRN)])) == {("A", FOLD), ("B", MHRN)}
    assert set(prices(stepped_clock, A=in_, B=out).read([("A", FOLD), ("B", MHRN)])) == {("A", FOLD), ("B", MHRN)}
    assert out.asked == []
    assert prices(stepped_clock, A=out).read([("A", FOLD)]) == {}
    assert prices(stepped_clock).read([("A", FOLD)]) == {}


def test_a_broker_without_quotes_describes_its_instruments(stepped_clock):
    venue = Plain(stepped_clock)
    feed = prices(stepped_clock, A=venue)
    first = feed.read([("A", FOLD)])["A", FOLD]
    assert (first.price, first.reference, venue.asked) == (5860, 5500, [f"described {FOLD}"])
    venue.last = 5900
    stepped_clock.sleep(10)
    again = feed.read([("A", FOLD)])["A", FOLD]
    assert (again.price, again.at - first.at) == (5900, timedelta(seconds=10))
    venue.last = None
    assert feed.read([("A", FOLD)])["A", FOLD] == again


def test_before_the_first_trade_it_is_worth_what_it_closed_at(stepped_clock):
    found = prices(stepped_clock, A=Venue(stepped_clock, last=None, reference=5500)).read([("A", FOLD)])
    assert (found["A", FOLD].price, found["A", FOLD].reference) == (5500, 5500)


@pytest.mark.parametrize("kind", [Venue, Plain])
def test_what_has_never_traded_has_no_price(stepped_clock, kind):
    assert prices(stepped_clock, A=kind(stepped_clock, last=None, reference=None)).read([("A", FOLD)]) == {}


def test_what_cannot_be_read_grows_old_and_is_said_once(stepped_clock, caplog):
    venue = Venue(stepped_clock)
    feed = prices(stepped_clock, A=venue)
    before = feed.read([("A", FOLD)])
    venue.error = NoAnswer("cut")
    stepped_clock.sleep(90)
    with caplog.at_level(logging.WARNING):
        assert feed.read([("A", FOLD)]) == feed.read([("A", FOLD)]) == before
    assert [record.getMessage() for record in caplog.records] == ["IRO1FOLD0001 of gs has no price: cut"]
    now = instant(stepped_clock.wall_ns())
    price = before["A", FOLD]
    assert price.age(now) == timedelta(seconds=90)
    assert price.is_stale(now, timedelta(seconds=89))
    assert not price.is_stale(now, timedelta(seconds=90))
    venue.error = None
    assert feed.read([("A", FOLD)])["A", FOLD].at == now


def test_each_price_that_cannot_be_read_is_said_again_once_it_could_be_read(stepped_clock, caplog):
    venue = Venue(stepped_clock)
    feed = prices(stepped_clock, A=venue)
    wanted = [("A", FOLD), ("A", MHRN)]
    said = []
    for error in (NoAnswer("cut"), NoAnswer("cut"), None, CaptchaError("unread"), CaptchaError("unread")):
        venue.error = error
        caplog.clear()
        feed.read(wanted)
        said.append([record.getMessage() for record in caplog.records])
    assert said == [
        ["IRO1FOLD0001 of gs has no price: cut", "IRO1MHRN0001 of gs has no price: cut"],
        [],
        [],
        ["IRO1FOLD0001 of gs has no price: unread", "IRO1MHRN0001 of gs has no price: unread"],
        [],
    ]


def test_one_price_that_cannot_be_read_keeps_no_other_from_being_read(stepped_clock):
    class Picky(Venue):
        def quote(self, name):
            self.error = NoAnswer("cut") if name == FOLD else None
            return super().quote(name)

    assert set(prices(stepped_clock, A=Picky(stepped_clock)).read([("A", FOLD), ("A", MHRN)])) == {("A", MHRN)}


def test_each_broker_is_asked_for_what_is_held_there_and_what_nobody_holds_is_not(stepped_clock):
    one, other = Venue(stepped_clock), Venue(stepped_clock, "shahr", last=6000)
    feed = prices(stepped_clock, A=one, B=other)
    found = feed.read([("C", FOLD), ("A", FOLD), ("B", FOLD)])
    assert {key: price.price for key, price in found.items()} == {("A", FOLD): 5860, ("B", FOLD): 6000}
    assert feed.known == {("gs", FOLD): found["A", FOLD], ("shahr", FOLD): found["B", FOLD]}
    assert feed.last([("A", MHRN), ("A", FOLD), ("C", FOLD)]) == {("A", FOLD): found["A", FOLD]}


def test_a_clock_that_was_set_back_makes_no_price_young():
    price = MarketPrice(Decimal(1), datetime(2026, 11, 21, 9, tzinfo=UTC))
    assert price.is_stale(datetime(2026, 11, 21, 8, tzinfo=UTC), timedelta(minutes=1))


def test_a_broker_that_hangs_keeps_nobody_waiting_and_is_asked_by_one_thread(stepped_clock):
    hanging, venue = Hanging(stepped_clock), Venue(stepped_clock)
    feed = prices(SystemClock(), patience_s=0.2, A=hanging, B=venue)
    wanted = [("A", FOLD), ("B", FOLD)]
    before, threads = time.monotonic(), set(threading.enumerate())
    for price in (5860, 5870, 5880):
        venue.last = price
        while (found := feed.read(wanted)).get(("B", FOLD), MarketPrice(Decimal(0), AT)).price != price:
            assert time.monotonic() - before < 10
        assert set(found) == {("B", FOLD)}
    assert time.monotonic() - before < 10
    (waiting,) = set(threading.enumerate()) - threads
    # It keeps no process from ending either.
    assert waiting.daemon
    hanging.may_answer.set()
    until = time.monotonic() + 20
    while ("A", FOLD) not in feed.last(wanted) and time.monotonic() < until:
        time.sleep(0.01)
    assert set(feed.last(wanted)) == set(wanted)


def test_the_paper_broker_has_prices(tmp_path):
    del tmp_path
    broker = PaperBroker(PaperMarket(), "ali")
    broker.login()
    found = BrokerPrices({"A": broker}, SystemClock(), HOURS).read([("A", MHRN), ("A", "NONE")])
    assert set(found) == {("A", MHRN)}
    assert found["A", MHRN].price > 0


# --- written down


def test_what_others_have_read_since_is_taken_over(stepped_clock):
    now = instant(stepped_clock.wall_ns())
    earlier, later = now - timedelta(minutes=2), now - timedelta(minutes=1)
    reader = BrokerPrices(
        {"A": Venue(stepped_clock)}, stepped_clock, HOURS, {("gs", FOLD): MarketPrice(Decimal(1), later)}
    )
    older, newer = MarketPrice(Decimal(2), earlier), MarketPrice(Decimal(3), now)
    of_the_future = MarketPrice(Decimal(4), now + timedelta(days=1))
    reader.learn({("gs", FOLD): older, ("gs", MHRN): newer})
    assert [price.price for price in reader.known.values()] == [1, 3]
    reader.learn({("gs", FOLD): newer, ("gs", MHRN): of_the_future})
    assert [price.price for price in reader.known.values()] == [3, 3]


def test_last_prices_are_read_as_they_were_written(tmp_path):
    at = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
    written = {
        ("gs", FOLD): MarketPrice(Decimal("5860.50"), at, Decimal(5500)),
        ("ib", "X"): MarketPrice(Decimal(1), at),
    }
    last_prices.save(tmp_path / "state", written)
    assert last_prices.load(tmp_path / "state") == written
    assert (
        BrokerPrices({"A": Venue(SystemClock())}, SystemClock(), HOURS, written).last([("A", FOLD)])["A", FOLD].at == at
    )
    path = tmp_path / "state" / last_prices.FILE
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == [last_prices.FILE]
    assert last_prices.load(tmp_path / "elsewhere") == {}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "[" * 9999,
        '{"prices": 5}',
        '{"prices": [5]}',
        '{"prices": [{"broker_code": "gs", "instrument": "X", "price": "NaN", "at": "2026-11-21T00:00:00+00:00"}]}',
        '{"prices": [{"broker_code": "gs", "instrument": "X", "price": "1", "at": "2026-11-21"}]}',
    ],
)
def test_damaged_ones_are_none_and_that_is_said(tmp_path, text, caplog):
    (tmp_path / last_prices.FILE).write_text(text)
    assert last_prices.load(tmp_path) == {}
    assert "the last prices are not known" in caplog.text


def test_none_written_yet_are_no_damage(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        assert last_prices.load(tmp_path) == {}
    assert caplog.records == []


def test_the_same_prices_are_written_in_the_same_words_however_they_came(tmp_path):
    price = MarketPrice(Decimal(1), AT)
    markets = [("gs", FOLD), ("gs", MHRN), ("ib", "X")]
    written = []
    for order in (markets, markets[::-1]):
        last_prices.save(tmp_path, dict.fromkeys(order, price))
        written.append((tmp_path / last_prices.FILE).read_text())
    assert written[0] == written[1]


def test_what_stands_in_a_small_files_place_is_not_followed(tmp_path):
    planted = tmp_path / "planted.json"
    planted.write_text("5")
    (tmp_path / "link.json").symlink_to(planted)
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "folder.json").mkdir()
    for name in ("link", "pipe", "folder"):
        with pytest.raises(ValueError, match=rf"{name}\.json"):
            small_file.read(tmp_path / f"{name}.json")
    small_file.write(tmp_path / "link.json", {"a": "ب"})
    assert planted.read_text() == "5"
    assert json.loads((tmp_path / "link.json").read_text(encoding="utf-8")) == {"a": "ب"}
    assert small_file.read(tmp_path / "nothing.json") is None


def test_a_small_file_that_cannot_be_written_is_said_and_leaves_nothing(tmp_path):
    (tmp_path / "state").write_text("a file where the folder should be")
    with pytest.raises(RunError, match=r"x\.json cannot be written"):
        small_file.write(tmp_path / "state" / "x.json", 1)
    (tmp_path / "x.json").mkdir()
    with pytest.raises(RunError, match="cannot be written"):
        small_file.write(tmp_path / "x.json", 1)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["state", "x.json"]
