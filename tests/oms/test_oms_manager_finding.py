"""Which account an order is for, which order a name is of, and the rounds of several logins."""

from __future__ import annotations

import gc
import threading
from decimal import Decimal

import pytest
from oms_desk import MortalBroker

from firstbell.brokers.paper.market import PaperMarket
from firstbell.config import load
from firstbell.config.order_settings import OrdersSettings, TradingMode
from firstbell.errors import JournalError, NoAnswer, RunError
from firstbell.model.order_request import OrderRequest
from firstbell.model.order_status import OrderStatus
from firstbell.oms.logins import logins_of
from firstbell.oms.office import Office
from firstbell.oms.orders import manager as manager_module
from firstbell.oms.orders.assembling import order_context
from firstbell.oms.orders.manager import OrderManager
from firstbell.oms.orders.requests import BracketRequest, OcoRequest

D = Decimal
S = OrderStatus
FOLD, KHODRO = "IRO1FOLD0001", "IRO1IKCO0001"
ACCOUNT = "[Order_{name}]\nusername = {user}\npassword = x\nbroker_code = paper\nisin = {isin}\n"
TWO = (("A", "u", FOLD), ("B", "v", FOLD))


class House:
    """A config's order manager on paper markets, one for each login."""

    def __init__(self, folder, clock, accounts, every_s=0.0, more=""):
        path = folder / "config.ini"
        sections = [ACCOUNT.format(name=name, user=user, isin=isin) for name, user, isin in accounts]
        path.write_text(f"[firstbell]\nstate_dir = {folder / 'state'}\n" + "\n".join(sections) + more)
        path.chmod(0o600)
        self.office = Office(load(path), clock)
        self.clock = clock
        self.open(every_s)

    def open(self, every_s=0.0):
        """Begin to manage; what was managed before is in the journal."""
        self.brokers = {}
        for login in logins_of(self.office.settings.enabled):
            market = PaperMarket(clock=self.clock)
            market.set_quote(FOLD, bid=D(4860), ask=D(4870))
            self.brokers[login] = MortalBroker(market, login.leader.username)
        self.context = order_context(self.office, "r1")
        self.manager = OrderManager(self.context, self.brokers, mode=TradingMode.PAPER, every_s=every_s)

    def broker(self, name):
        """The broker of an account."""
        return next(
            broker for login, broker in self.brokers.items() if name in {account.name for account in login.accounts}
        )


@pytest.fixture
def make(tmp_path, stepped_clock):
    made = []

    def house(*accounts, **options):
        made.append(House(tmp_path, stepped_clock, accounts, **options))
        return made[-1]

    yield house
    for each in made:
        each.manager.close()
        each.office.close()


def request(account=None, **terms):
    usual = {"instrument": FOLD, "side": "buy", "order_type": "limit", "quantity": 1000, "price": 4860}
    return OrderRequest(**usual | terms, account=account)


def names(entries):
    return [entry.intent.order.client_order_id for entry in entries]


def test_with_several_accounts_it_has_to_be_said_which(make):
    house = make(*TWO)
    for ask in (
        lambda: house.manager.place(request()),
        lambda: house.manager.place_bracket(BracketRequest(entry=request(), take_profit=4950)),
        lambda: house.manager.place_oco(OcoRequest(orders=(request(), request()))),
    ):
        with pytest.raises(RunError, match="^say which account: Order_A, Order_B$"):
            ask()
    with pytest.raises(RunError, match="^there is no account Order_C; there are Order_A, Order_B$"):
        house.manager.place(request("Order_C"))
    assert house.office.journal.entries() == ()


def test_where_nobody_is_configured_nobody_can_be_meant(make):
    house = make(*TWO)
    manager = OrderManager(house.context, {}, mode=TradingMode.PAPER)
    with pytest.raises(RunError, match="^say which account: none is configured$"):
        manager.place(request())
    assert manager.health() == {}


def test_an_order_goes_to_its_accounts_broker_and_to_no_other(make):
    house = make(*TWO)
    assert house.manager.place(request("Order_B")).is_success
    assert len(house.broker("Order_B").open_orders()) == 1
    assert house.broker("Order_A").open_orders() == ()
    (entry,) = house.manager.orders()
    assert (entry.intent.order.account, house.manager.orders(account="Order_A")) == ("Order_B", ())
    assert house.manager.orders(account="Order_B") == (entry,)


def test_what_is_asked_of_a_section_is_of_all_its_instruments(make):
    house = make(("A", "u", f"{FOLD}, {KHODRO}"), ("B", "v", FOLD))
    for broker in house.brokers.values():
        broker.market.set_quote(KHODRO, bid=D(3000), ask=D(3010))
    asked = [{"instrument": FOLD}, {"instrument": KHODRO, "price": 3000}]
    placed = [house.manager.place(request("Order_A", **each)) for each in asked]
    other = house.manager.place(request("Order_B"))
    accounts = [house.manager.entry(each.order_id).intent.order.account for each in placed]
    assert accounts == [f"Order_A.{FOLD}", f"Order_A.{KHODRO}"]
    assert names(house.manager.orders(account="Order_A")) == [each.order_id for each in placed]
    assert names(house.manager.orders(account=f"Order_A.{KHODRO}")) == [placed[1].order_id]
    canceled = house.manager.cancel_all("Order_A")
    assert [(each.order_id, each.status) for each in canceled] == [(each.order_id, S.CANCELED) for each in placed]
    assert names(house.manager.orders()) == [other.order_id]


def test_the_only_section_need_not_be_named_though_it_has_several_instruments(make):
    house = make(("A", "u", f"{FOLD}, {KHODRO}"))
    assert set(house.manager.health()) == {f"Order_A.{FOLD}", f"Order_A.{KHODRO}"}
    accounts = []
    for account in (None, "Order_A", f"Order_A.{FOLD}", f"Order_A.{KHODRO}"):
        name = house.manager.place(request(account)).order_id
        accounts.append(house.manager.entry(name).intent.order.account)
    # By its own name it is the first of them.
    assert accounts == [f"Order_A.{FOLD}"] * 3 + [f"Order_A.{KHODRO}"]


def test_an_order_is_found_by_our_name_and_by_its_brokers(make):
    house = make(*TWO)
    first = house.manager.place(request("Order_A"))
    house.manager.place(request("Order_B"))
    second = house.manager.place(request("Order_B"))
    assert house.manager.entry(second.venue_order_id).intent.order.client_order_id == second.order_id
    assert house.manager.track(second.venue_order_id).order_id == second.order_id
    # Two brokers count from the same number.
    with pytest.raises(RunError, match=f"^several brokers call an order {first.venue_order_id}: name ours$"):
        house.manager.cancel(first.venue_order_id)
    assert house.manager.track(first.order_id).status is OrderStatus.ACCEPTED
    with pytest.raises(RunError, match="^there is no order 4711$"):
        house.manager.track("4711")
    house.manager.cancel(second.venue_order_id)
    assert house.manager.track(second.order_id).status is OrderStatus.CANCELED
    # Once it is done, only our name for it is sure to be its.
    with pytest.raises(RunError, match="there is no order"):
        house.manager.track(second.venue_order_id)


def test_what_is_remembered_is_told_without_a_look_at_the_journal(make, monkeypatch):
    house = make(*TWO)
    name = house.manager.place(request("Order_B")).order_id

    def gone(_):
        raise JournalError("the disk is gone")

    monkeypatch.setattr(house.office.journal, "entry", gone)
    assert house.manager.track(name).status is OrderStatus.ACCEPTED
    with pytest.raises(JournalError):
        house.manager.track("another")


def test_orders_of_earlier_days_are_found_in_the_journal_and_those_of_other_logins_are_not(make):
    house = make(*TWO)
    old = house.manager.place(request("Order_A")).order_id
    theirs = house.manager.place(request("Order_B")).order_id
    house.manager.cancel_all()
    house.clock.sleep(3 * 86_400)
    house.brokers.popitem()
    manager = OrderManager(house.context, house.brokers, mode=TradingMode.PAPER)
    assert manager.orders() == ()
    assert manager.track(old).status is OrderStatus.CANCELED
    for name in (theirs, "nobody's"):
        with pytest.raises(RunError, match=f"^there is no order {name}$"):
            manager.track(name)


def test_everything_is_taken_back_of_one_account_or_of_all_and_what_cannot_be_is_told(make):
    house = make(*TWO)
    kept = house.manager.place(request("Order_A")).order_id
    gone = [house.manager.place(request("Order_B")).order_id for _ in range(2)]
    assert [each.order_id for each in house.manager.cancel_all("Order_B")] == gone
    assert names(house.manager.orders()) == [kept]

    def lost(*_):
        raise NoAnswer("the connection was cut")

    house.broker("Order_A").cancel = lost
    (response,) = house.manager.cancel_all()
    assert (response.order_id, response.is_done) == (kept, False)
    assert names(house.manager.orders()) == [kept]


def test_what_a_cancel_says_is_told_with_how_the_order_stands(make, monkeypatch):
    house = make(*TWO)
    name = house.manager.place(request("Order_A")).order_id

    def full(_, **_where):
        raise JournalError("the disk is full")

    monkeypatch.setattr(house.office.journal, "append", full)
    (response,) = house.manager.cancel_all()
    assert (response.order_id, response.status) == (name, OrderStatus.ACCEPTED)
    assert response.message == "the disk is full"


def test_open_orders_are_counted_by_status(make):
    house = make(*TWO)
    assert house.manager.statuses() == {}
    for account in ("Order_A", "Order_B", "Order_B"):
        house.manager.place(request(account))
    stop = {"order_type": "stop", "side": "sell", "price": None, "trigger_price": 4800}
    house.manager.place(request("Order_A", **stop))
    assert house.manager.statuses() == {"ACCEPTED": 3, "INITIALIZED": 1}


def test_what_ends_a_position_has_a_key_and_a_role(make):
    house = make(*TWO)
    for terms in ({"key": "k"}, {"role": "exit"}, {}):
        with pytest.raises(RunError, match="^an order that ends a position needs a key and a role$"):
            house.manager.close_position("Order_A", request(side="sell", **terms))
    assert house.office.journal.entries() == ()


def test_however_often_a_position_is_ended_it_is_one_order_of_its_account(make):
    house = make(*TWO)
    house.manager.place(request("Order_B", price=4870))
    house.manager.poll()
    ending = request(side="sell", price=4860, key="k", role="exit")
    names_ = {house.manager.close_position("Order_B", ending).order_id for _ in range(3)}
    assert len(names_) == 1
    entry = house.manager.entry(names_.pop())
    assert (entry.intent.order.account, len(house.office.journal.entries())) == ("Order_B", 2)


def test_a_position_is_ended_though_the_market_is_not_what_one_would_enter(make):
    house = make(*TWO, more="\n[validation]\nmin_volume = 1000000\n")
    ending = request("Order_A", key="k", role="exit")
    assert house.manager.place(ending).status is OrderStatus.DENIED
    assert house.manager.close_position("Order_A", ending).is_success


@pytest.mark.parametrize("name", ["price", "quantity", "trigger_price"])
@pytest.mark.parametrize(
    ("value", "words"), [(0, "0 is not more than zero"), (-3, "-3 is not more than zero"), ("much", ".")]
)
def test_a_change_to_what_is_no_number_above_zero_is_refused_by_its_name(make, name, value, words):
    house = make(*TWO)
    order = house.manager.place(request("Order_A")).order_id
    with pytest.raises(ValueError, match=f"^{name}: {words}"):
        house.manager.replace(order, **{name: value})


def test_a_share_is_a_number_above_zero(make):
    house = make(*TWO)
    order = house.manager.place(request("Order_A", quantity=2)).order_id
    assert house.manager.replace(order, quantity=1).is_success
    assert house.manager.entry(order).state.quantity == 1


def test_a_round_is_one_of_all_logins_and_then_what_was_asked_for_is_done(make):
    house = make(*TWO)
    asked = []
    for name, broker in (("A", house.broker("Order_A")), ("B", house.broker("Order_B"))):
        orders = broker.orders
        broker.orders = lambda day, name=name, orders=orders: (asked.append(name), orders(day))[1]
        house.manager.place(request(f"Order_{name}"))
    asked.clear()
    house.manager.after_round(lambda: asked.append("first"))
    house.manager.after_round(lambda: asked.append("second"))
    house.clock.sleep(5)
    house.manager.poll()
    assert asked == ["A", "B", "first", "second"]


class Rounds:
    """Lets rounds be waited for, by their number."""

    def __init__(self, manager):
        self._changed = threading.Condition()
        self.threads = []
        manager.after_round(self._count)

    def _count(self):
        with self._changed:
            self.threads.append(threading.current_thread())
            self._changed.notify_all()

    def wait_for(self, count):
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.threads) >= count, timeout=30)


@pytest.fixture
def _garbage_as_it_is(monkeypatch):
    """Collecting less often is not undone; see `test_oms_garbage`."""
    monkeypatch.setattr(manager_module, "keep_out_of_the_way", gc.get_count)


@pytest.mark.usefixtures("_garbage_as_it_is")
def test_each_login_makes_its_rounds_in_a_thread_of_its_own_until_it_is_stopped(make):
    house = make(*TWO)
    rounds = Rounds(house.manager)
    house.manager.start()
    with pytest.raises(RunError, match="^the order manager is at work already$"):
        house.manager.start()
    rounds.wait_for(20)
    house.manager.stop()
    keys = {f"firstbell-{login.key}" for login in house.brokers}
    assert {thread.name for thread in rounds.threads} == keys
    assert all(thread.daemon and not thread.is_alive() for thread in rounds.threads)
    assert house.manager.rounds_made == len(rounds.threads)
    made = house.manager.rounds_made
    # And again, once it has been stopped.
    house.manager.start()
    rounds.wait_for(made + 10)
    house.manager.stop()
    assert len(set(rounds.threads)) == 4


@pytest.mark.usefixtures("_garbage_as_it_is")
def test_a_round_that_fails_is_logged_and_the_next_one_is_made(make, caplog):
    house = make(("A", "u", FOLD))
    (login,) = house.brokers
    failures = [JournalError("the disk is full"), JournalError("the disk is full")]

    def fail():
        if failures:
            raise failures.pop()

    house.manager.after_round(fail)
    rounds = Rounds(house.manager)
    house.manager.start()
    rounds.wait_for(1)
    house.manager.stop()
    told = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert told == [f"login {login.key}: the disk is full"] * 2


@pytest.mark.usefixtures("_garbage_as_it_is")
def test_stopped_it_waits_no_longer_for_its_next_round(make):
    house = make(*TWO, every_s=3600.0)
    rounds = Rounds(house.manager)
    house.manager.start()
    rounds.wait_for(2)
    house.manager.stop()
    assert house.manager.rounds_made == len(rounds.threads) == 2
    house.manager.stop()


def test_rounds_keep_garbage_out_of_their_way(make, monkeypatch):
    house = make(("A", "u", FOLD))
    kept = []
    monkeypatch.setattr(manager_module, "keep_out_of_the_way", lambda: kept.append(house.manager.rounds_made))
    house.manager.start()
    house.manager.stop()
    assert kept == [0]


def test_where_nobody_says_otherwise_quotes_grow_as_old_as_by_the_config():
    assert OrdersSettings().stale_after == manager_module.STALE_AFTER


def test_orders_are_looked_after_by_rounds_of_their_own_login(make):
    house = make(*TWO)
    name = house.manager.place(request("Order_B")).order_id
    house.broker("Order_B").market.trade(FOLD, D(4860), D(11_000))
    house.clock.sleep(2)
    house.manager.poll()
    told = house.manager.track(name)
    assert (told.status, told.filled_qty) == (OrderStatus.FILLED, 1000)
    assert house.manager.health()["Order_B"].is_well


def test_all_of_an_account_that_nobody_knows_are_not_canceled_in_silence(desk):
    with pytest.raises(RunError, match="Order_Typo"):
        desk.manager.cancel_all("Order_Typo")
