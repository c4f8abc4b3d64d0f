"""What every registered broker must do, tried on each of them at its practice venue."""

import itertools
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from brokers_venues import VENUES, Seat

from firstbell.brokers import registry
from firstbell.brokers.base import Broker, HttpBroker, VenueOrder
from firstbell.brokers.registry import ADAPTERS, known_codes, open_broker, order_url, service_urls
from firstbell.brokers.transport import shared_transport
from firstbell.cache import TtlCache
from firstbell.config import AccountSettings, Settings
from firstbell.errors import BrokerError, NoSuchInstrument, NotSent
from firstbell.market import Phase
from firstbell.model.broker_codes import BROKER_CODES, PAPER, PLANNED_CODES
from firstbell.model.identifiers import AccountName, BrokerCode, ClientOrderId, InstrumentId, VenueOrderId
from firstbell.model.order import Order
from firstbell.model.terms import AttemptOutcome, Side

FIRST_OF_ADAPTER = {adapter: code for code, adapter in reversed(ADAPTERS.items())}
TakeSeat = Callable[[str], Seat]
NUMBERS = itertools.count()
"""Where a broker carries our names for orders, no name may come twice."""


@pytest.fixture(scope="module")
def venues() -> Iterator[Callable[[BrokerCode, Phase], object]]:
    """Practice venues, each opened once."""
    opened: dict[tuple[object, Phase], object] = {}
    with ExitStack() as stack:

        def at(code: BrokerCode, phase: Phase) -> object:
            venue: Callable[[Phase], AbstractContextManager[object]] = VENUES[code][0]
            if (venue, phase) not in opened:
                opened[venue, phase] = stack.enter_context(venue(phase))
            return opened[venue, phase]

        yield at
    shared_transport().close()


@pytest.fixture(params=known_codes())
def code(request: pytest.FixtureRequest) -> BrokerCode:
    return BrokerCode(request.param)


@pytest.fixture
def phase() -> Phase:
    return Phase.ORDER_ENTRY


@pytest.fixture
def take(
    code: BrokerCode, phase: Phase, venues: Callable[[BrokerCode, Phase], Any], tmp_path: Path
) -> Iterator[TakeSeat]:
    """Take seats at the broker, each with a state folder of its own."""
    with ExitStack() as stack:

        def seat(name: str) -> Seat:
            state_dir = tmp_path / name
            cache = stack.enter_context(TtlCache(state_dir / "cache"))
            taken = VENUES[code][1](venues(code, phase), code, state_dir, cache, name)
            stack.callback(leave, taken, taken.calls())
            return taken

        yield seat


def leave(seat: Seat, calls_before: int) -> None:
    """Take off the book what a test has left there: its money is wanted by the next one."""
    if seat.calls() > calls_before:
        for row in seat.broker.open_orders():
            seat.broker.cancel(row.venue_order_id)


@pytest.fixture
def seat(take: TakeSeat) -> Seat:
    return take("ali")


def order(seat: Seat, quantity: int = 1000, side: Side = Side.BUY, price: Decimal | None = None) -> Order:
    band = seat.broker.instrument(seat.instrument).band
    return Order(
        ClientOrderId(f"fb-20261121-contract-{next(NUMBERS)}"),
        AccountName("Order_A"),
        seat.broker.code,
        seat.instrument,
        side,
        price or (band.high if side is Side.BUY else band.low),
        Decimal(quantity),
        seat.day,
    )


def listed(seat: Seat, name: VenueOrderId | None) -> VenueOrder:
    (found,) = [row for row in seat.broker.orders(seat.day) if row.venue_order_id == name]
    return found


def test_every_code_has_an_adapter_and_a_venue() -> None:
    assert set(known_codes()) == set(BROKER_CODES) - PLANNED_CODES == set(VENUES)


def test_it_is_what_it_says(seat: Seat, code: BrokerCode) -> None:
    assert seat.broker.code == code
    assert seat.broker.capabilities.min_interval_ms >= 300
    assert isinstance(seat.broker, HttpBroker)


def test_logging_in_gives_a_living_token_and_keeps_it(seat: Seat) -> None:
    token = seat.broker.login()
    assert token.ends_at > datetime.now(UTC)
    assert token.text
    assert token.text not in repr(token)
    assert seat.broker.login() == token
    seat.broker.forget_token()
    assert seat.broker.login().text != token.text


def test_reading_logs_in_by_itself(seat: Seat) -> None:
    before = seat.log_ins()
    seat.broker.buying_power()
    seat.broker.instrument(seat.instrument)
    seat.broker.orders(seat.day)
    assert seat.log_ins() == before + 1


def test_an_ended_token_is_renewed_once_for_reading(seat: Seat) -> None:
    seat.broker.login()
    before = seat.log_ins()
    seat.end_tokens()
    seat.broker.buying_power(fresh=True)
    seat.broker.orders(seat.day)
    assert seat.log_ins() == before + 1


def test_the_money_is_exact(seat: Seat) -> None:
    money = seat.broker.buying_power(fresh=True)
    assert type(money) is Decimal
    assert money <= seat.money
    assert seat.broker.buying_power() == money


def test_the_instrument_is_described(seat: Seat) -> None:
    found = seat.broker.instrument(seat.instrument)
    assert found.id == seat.instrument
    assert 0 < found.band.low <= found.band.high
    assert 0 < found.min_quantity <= found.max_quantity
    assert found.lot_size > 0
    assert seat.broker.instrument(seat.instrument, fresh=True) == found


def test_an_unknown_instrument_is_refused(seat: Seat) -> None:
    with pytest.raises(NoSuchInstrument):
        seat.broker.instrument(InstrumentId("IRO1NONE0001"))


def test_an_unknown_instrument_has_no_quote(seat: Seat) -> None:
    with pytest.raises(NoSuchInstrument):
        seat.broker.quote(InstrumentId("IRO1NONE0001"))


def test_a_resting_order_is_in_the_quote_where_the_book_is_shown(seat: Seat) -> None:
    if not seat.broker.capabilities.shows_book:
        pytest.skip("this broker does not show the book")
    wanted = order(seat)
    name = seat.broker.submit(wanted).venue_order_id
    found = seat.broker.quote(seat.instrument)
    assert abs((found.at - datetime.now(UTC)).total_seconds()) < 60
    level = next(level for level in found.bids if level.price == wanted.price)
    assert level.quantity >= wanted.quantity
    assert level.orders is None or level.orders >= 1
    for levels, step in ((found.bids, -1), (found.asks, 1)):
        assert [each.price for each in levels] == sorted((each.price for each in levels), key=lambda p: p * step)
    assert name is not None
    seat.broker.cancel(name)
    left = sum(each.quantity for each in seat.broker.quote(seat.instrument).bids if each.price == wanted.price)
    assert left == level.quantity - wanted.quantity


def test_an_estimate_can_be_paid(seat: Seat) -> None:
    price = seat.broker.instrument(seat.instrument).band.high
    money = Decimal(1_000_003_827)
    said = seat.broker.estimate(seat.instrument, Side.BUY, money, price)
    if said is not None:
        assert 0 < said.quantity * price <= money
        assert said.net_amount is None or said.net_amount <= money
    less = seat.broker.estimate(seat.instrument, Side.BUY, -money, price)
    assert less is None or less.quantity <= 0


def test_an_accepted_order_is_in_the_lists_until_it_is_canceled(seat: Seat) -> None:
    wanted = order(seat)
    outcome = seat.broker.submit(wanted)
    assert outcome.outcome is AttemptOutcome.ACCEPTED
    assert outcome.again is False
    name = outcome.venue_order_id
    assert name is not None
    row = listed(seat, name)
    assert (row.instrument, row.side, row.price, row.quantity) == (
        wanted.instrument,
        wanted.side,
        wanted.price,
        wanted.quantity,
    )
    assert (row.filled_qty, row.working, row.refused) == (0, True, False)
    assert row.created_at is None or abs((row.created_at - datetime.now(UTC)).total_seconds()) < 60
    assert name in {found.venue_order_id for found in seat.broker.open_orders()}
    seat.broker.cancel(name)
    gone = listed(seat, name)
    assert (gone.working, gone.refused, gone.filled_qty) == (False, False, 0)
    assert name not in {found.venue_order_id for found in seat.broker.open_orders()}


def test_the_same_name_twice_is_one_order_where_names_are_carried(seat: Seat) -> None:
    if not seat.broker.capabilities.client_order_ids:
        pytest.skip("this broker does not carry our names for orders")
    wanted = order(seat)
    name = seat.broker.submit(wanted).venue_order_id
    assert seat.broker.submit(wanted).outcome is not AttemptOutcome.ACCEPTED
    same = [row for row in seat.broker.orders(seat.day) if row.client_order_id == wanted.client_order_id]
    assert [row.venue_order_id for row in same] == [name]


def test_many_orders_are_all_in_the_list(seat: Seat, code: BrokerCode) -> None:
    """More than fit on one page, once for each adapter."""
    count = 102 if code in FIRST_OF_ADAPTER.values() else 3
    names = {seat.broker.submit(order(seat, quantity=1000 + number)).venue_order_id for number in range(count)}
    assert len(names) == count
    assert names <= {row.venue_order_id for row in seat.broker.orders(seat.day)}


def test_an_order_is_replaced_in_place(seat: Seat) -> None:
    if not seat.broker.capabilities.replace:
        pytest.skip("this broker says that it cannot change an order in place")
    name = seat.broker.submit(order(seat)).venue_order_id
    assert name is not None
    band = seat.broker.instrument(seat.instrument).band
    outcome = seat.broker.replace(name, order(seat, quantity=1007, price=band.low))
    assert outcome.outcome is AttemptOutcome.ACCEPTED
    names = {name, outcome.venue_order_id}
    working = [row for row in seat.broker.open_orders() if row.venue_order_id in names]
    assert [(row.price, row.quantity) for row in working] == [(band.low, 1007)]


def test_a_refused_order_is_nowhere(seat: Seat) -> None:
    """One that costs more than there is money for."""
    before = {row.venue_order_id for row in seat.broker.orders(seat.day) if not row.refused}
    largest = int(seat.broker.instrument(seat.instrument).max_quantity)
    for _ in range(20):
        outcome = seat.broker.submit(order(seat, quantity=largest))
        if outcome.outcome is not AttemptOutcome.ACCEPTED:
            break
        assert outcome.venue_order_id is not None
        before.add(outcome.venue_order_id)
    assert outcome.outcome is AttemptOutcome.REJECTED
    assert outcome.again is False
    assert outcome.message
    after = {row.venue_order_id for row in seat.broker.orders(seat.day) if not row.refused}
    assert after == before


def test_what_is_prepared_is_what_is_sent(seat: Seat) -> None:
    broker = seat.broker
    assert isinstance(broker, HttpBroker)
    broker.login()
    wanted = order(seat)
    before = seat.calls()
    prepared = broker.prepare(wanted)
    assert broker.prepare(wanted) == prepared
    assert type(prepared.body) is bytes
    assert re.fullmatch(r"(https?|paper)://[^/]+", prepared.base_url)
    assert prepared.path.startswith("/")
    assert prepared.order == wanted
    assert seat.calls() == before
    answer = broker.send(prepared, timeout_s=10)
    assert 0 < answer.sent_ns <= answer.answered_ns
    assert answer.round_trip_ns > 0
    assert seat.calls() == before + 1
    outcome = broker.read_answer(answer.status, answer.headers, answer.body)
    assert outcome.outcome is AttemptOutcome.ACCEPTED
    assert listed(seat, outcome.venue_order_id).working


def test_an_ended_token_is_a_certain_refusal_of_an_order(seat: Seat) -> None:
    broker = seat.broker
    wanted = order(seat)
    broker.login()
    seat.end_tokens()
    outcome = broker.submit(wanted)
    assert (outcome.outcome, outcome.again, outcome.token_ended) == (AttemptOutcome.REJECTED, True, True)
    broker.forget_token()
    assert broker.submit(wanted).outcome is AttemptOutcome.ACCEPTED


def test_a_fraction_never_leaves(seat: Seat) -> None:
    wanted = order(seat)
    before = seat.calls()
    for wrong in (replace(wanted, quantity=Decimal("1.5")), replace(wanted, price=wanted.price + Decimal("0.5"))):
        with pytest.raises((ValueError, NotSent)):
            seat.broker.submit(wrong)
    assert seat.calls() == before


def test_a_cancel_of_nothing_is_an_error(seat: Seat) -> None:
    with pytest.raises((BrokerError, ValueError)):
        seat.broker.cancel(VenueOrderId("1"))


def test_what_is_held_is_listed(seat: Seat) -> None:
    held = {holding.instrument: holding.quantity for holding in seat.broker.positions()}
    assert held[seat.instrument] == seat.holding


def test_the_proof_of_a_connection_changes_nothing(seat: Seat) -> None:
    broker = seat.broker
    assert isinstance(broker, HttpBroker)
    before = seat.calls()
    broker.login()
    before = seat.calls()
    call = broker.prepare_proof()
    assert seat.calls() == before
    if not order_url(broker.code, Settings.model_validate({"file": "c.ini"})).startswith("https://"):
        pytest.skip("this broker has no connections that could be proved alive")
    answer = shared_transport().send(call.method, call.base_url, call.path, call.headers, call.body)
    assert answer.status == 200
    assert seat.calls() == before


STATUSES = (0, 200, 204, 301, 307, 400, 401, 404, 429, 500, 503)
BODIES = (b"", b"<html>", b"{}", b"[]", b"null", b'{"a":', b"\xff", b"NaN", bytes(2 << 20))


def test_no_answer_is_an_error_and_none_of_these_is_an_acceptance(seat: Seat) -> None:
    broker = seat.broker
    assert isinstance(broker, HttpBroker)
    for status, body in itertools.product(STATUSES, BODIES):
        outcome = broker.read_answer(status, {}, body)
        assert outcome.outcome in {AttemptOutcome.REJECTED, AttemptOutcome.UNRESOLVED}
        if status not in {401, 429}:
            assert outcome.outcome is AttemptOutcome.UNRESOLVED


class TestTrading:
    """In continuous trading, where a sell meets a buy."""

    @pytest.fixture
    def phase(self) -> Phase:
        return Phase.CONTINUOUS

    def test_a_trade_is_a_fill_of_both_and_each_fill_has_one_name(self, take: TakeSeat) -> None:
        buyer, seller = take("ali"), take("zahra")
        price = buyer.broker.instrument(buyer.instrument).band.low
        bought = buyer.broker.submit(order(buyer, quantity=1000, price=price)).venue_order_id
        sold = seller.broker.submit(order(seller, quantity=400, side=Side.SELL, price=price)).venue_order_id
        assert bought is not None
        assert sold is not None
        row = listed(buyer, bought)
        assert (row.filled_qty, row.working) == (400, True)
        done = listed(seller, sold)
        assert (done.filled_qty, done.working, done.refused) == (400, False, False)
        assert sold not in {found.venue_order_id for found in seller.broker.open_orders()}
        for seat, side in ((buyer, Side.BUY), (seller, Side.SELL)):
            fills = seat.broker.fills(seat.day)
            newest = fills[-1]
            assert (newest.instrument, newest.side) == (seat.instrument, side)
            assert (newest.fill.last_qty, newest.fill.last_px) == (400, price)
            assert len({fill.fill.trade_id for fill in fills}) == len(fills)
            assert seat.broker.fills(seat.day) == fills
        buyer.broker.cancel(bought)
        assert listed(buyer, bought).filled_qty == 400


# The registry


def account(code: str) -> AccountSettings:
    return AccountSettings.model_validate(
        {"name": "Order_A", "username": "u", "password": "p", "broker_code": code, "isin": "IRO1MHRN0001"}
    )


def test_opening_asks_nobody_anything(tmp_path: Path, code: BrokerCode) -> None:
    """Of the built-in hosts, no less: nothing may leave, or this test would reach out into the world."""
    settings = Settings.model_validate({"file": tmp_path / "c.ini", "firstbell": {"state_dir": tmp_path}})
    with TtlCache(tmp_path / "cache") as cache:
        broker: Broker = open_broker(account(code), settings, cache, object())  # type: ignore[arg-type] # never asked
    assert broker.code == code
    urls = service_urls(code, settings)
    assert list(urls) == [] if code == PAPER else urls["api"] == order_url(code, settings)
    assert order_url(code, settings).startswith("paper://" if code == PAPER else "https://")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "cache.lock"]


def test_a_planned_broker_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings.model_validate({"file": tmp_path / "c.ini"})
    monkeypatch.setattr(registry, "PLANNED_CODES", frozenset({BrokerCode("coming")}))
    with pytest.raises(NotSent, match="this version cannot trade with it yet"):
        order_url(BrokerCode("coming"), settings)


def test_an_unknown_broker_is_none(tmp_path: Path) -> None:
    settings = Settings.model_validate({"file": tmp_path / "c.ini"})
    with pytest.raises(NotSent, match="no broker is called nobody"):
        order_url(BrokerCode("nobody"), settings)
