"""What masters and workers tell each other, and the master's book of who has what."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from pydantic import SecretStr

from firstbell.brokers.base import Capabilities, PreparedCall, PreparedOrder
from firstbell.config.models import AccountSettings, BrokerSettings, RiskSettings, RunSettings, Settings
from firstbell.errors import RunError
from firstbell.journal.address import Address
from firstbell.journal.base import Intent, Owner
from firstbell.journal.owner import this_process
from firstbell.journal.sqlite import SqliteJournal
from firstbell.model.instrument import Instrument
from firstbell.model.order import Order
from firstbell.model.order_status import OrderStatus
from firstbell.model.price_band import PriceBand
from firstbell.model.terms import Side
from firstbell.oms.logins import logins_of
from firstbell.oms.recovery import recover
from firstbell.risk.checks import Limits, Surroundings
from firstbell.sniper.dealing import roster
from firstbell.sniper.dealing.crew import ASK_AGAIN_NS, Crew
from firstbell.sniper.dealing.dealt import DealtBroker
from firstbell.sniper.dealing.documents import (
    around_document,
    call_document,
    order_document,
    owner_document,
    read_around,
    read_call,
    read_order,
    read_owner,
)
from firstbell.sniper.dealing.presence import MasterWatch
from firstbell.sniper.dealing.sealing import KEY, NotOurs, Seal, new_key, refuse_master_by_hand

ONE, TWO, THREE = (Owner("here#1", pid, float(pid)) for pid in (1, 2, 3))


def test_what_is_sealed_opens_with_the_same_key_and_as_the_same_kind_alone():
    key = new_key()
    sealed = Seal(key).close("want", {"login": "شهر"})
    assert Seal(key).open("want", sealed) == {"login": "شهر"}
    assert "login" not in sealed
    for other, kind, text in (
        (Seal.fresh(), "want", sealed),
        (Seal(key), "dealt", sealed),
        (Seal(key), "want", sealed[:-4]),
        (Seal(key), "want", None),
        (Seal(key), "want", Seal(key).close("want", {})[::-1]),
    ):
        with pytest.raises(NotOurs):
            other.open(kind, text)


@pytest.mark.parametrize("environ", [{}, {KEY: ""}, {KEY: "no key at all"}, {KEY: "x" * 44}])
def test_no_key_says_how_to_make_one_and_never_what_was_found(environ):
    with pytest.raises(RunError, match="`firstbell key` makes one") as caught:
        Seal.from_environment(environ)
    assert "no key at all" not in str(caught.value)


def test_a_master_by_hand_needs_a_shared_journal_and_a_key():
    with pytest.raises(RunError, match="journal = postgresql://"):
        refuse_master_by_hand(True, {KEY: new_key()})
    with pytest.raises(RunError, match="is not set"):
        refuse_master_by_hand(False, {})
    refuse_master_by_hand(False, {KEY: new_key()})


@given(
    price=st.decimals("0.001", "1e12", allow_nan=False),
    body=st.binary(max_size=40),
    headers=st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=3),
    started=st.floats(0, 1e12, allow_nan=False),
)
def test_orders_calls_and_owners_come_back_as_they_went(price, body, headers, started):
    order = Order("fb-1", "Order_A", "gs", "IRO1MHRN0001", Side.SELL, price, Decimal(7), date(2026, 11, 21))
    prepared = PreparedOrder(order, "POST", "https://a", "/b?c", headers, body)
    seal = Seal.fresh()
    there_and_back = partial(seal.open, "k")
    assert read_order(there_and_back(seal.close("k", order_document(prepared)))) == prepared
    call = PreparedCall("GET", "https://a", "/", headers, body or None)
    assert read_call(there_and_back(seal.close("k", call_document(call)))) == call
    owner = Owner("machine#boot", 12, started)
    assert read_owner(there_and_back(seal.close("k", owner_document(owner)))) == owner


def made_settings(tmp_path):
    authority = tmp_path / "ca.pem"
    authority.write_text("-----BEGIN CERTIFICATE-----\n")
    account = AccountSettings(
        name="Order_A", username="me@broker", password=SecretStr("s3cret"), broker_code="gs", isin="IRO1MHRN0001"
    )
    other = account.model_copy(update={"name": "Order_B", "isin": "IRO1BORS0001", "side": Side.SELL})
    third = account.model_copy(update={"name": "Order_C", "username": "other", "broker_code": "shahr"})
    return Settings(
        file=tmp_path / "config.ini",
        firstbell=RunSettings(give_up_after=timedelta(seconds=17)),
        brokers={"gs": BrokerSettings(api_url="https://a.example", lead_ms=Decimal("4.5"), ca_file=authority)},
        risk=RiskSettings(max_attempts_per_order=7),
        accounts=(account, other, third),
    )


def test_a_roster_tells_what_a_worker_needs_and_neither_names_nor_passwords(tmp_path):
    settings = made_settings(tmp_path)
    logins = logins_of(settings.enabled)
    address = Address.of(f"postgresql://u:pw@db/j?sslmode=verify-full&sslrootcert={tmp_path / 'ca.pem'}")
    bell = datetime(2026, 11, 21, 5, 15, tzinfo=UTC)
    context = SimpleNamespace(settings=settings, run_id="run", bell=bell, started_ns=5, dry=True)
    able = dict.fromkeys(("gs", "shahr"), Capabilities(300, client_order_ids=False, replace=True))
    document = roster.roster_document(context, logins, ["Order_A", "Order_C"], able, address, ONE)
    assert "s3cret" not in str(document)
    assert "me@broker" not in str(document)
    told = roster.read_roster(Seal(key := new_key()).open("r", Seal(key).close("r", document)), tmp_path / "put")
    assert (told.run_id, told.bell, told.started_ns, told.dry, told.master) == ("run", bell, 5, True, ONE)
    assert told.chosen == {"Order_A", "Order_C"}
    assert [(login.key, [a.name for a in login.accounts]) for login in told.logins] == [
        (logins[0].key, ["Order_A", "Order_B"]),
        (logins[1].key, ["Order_C"]),
    ]
    assert told.settings.accounts[1].side is Side.SELL
    broker = told.settings.broker("gs")
    assert (broker.api_url, broker.lead_ms) == ("https://a.example", Decimal("4.5"))
    assert broker.ca_file.read_text() == (tmp_path / "ca.pem").read_text()
    assert told.settings.firstbell.give_up_after == timedelta(seconds=17)
    assert told.settings.risk.max_attempts_per_order == 7
    assert told.capabilities == able
    assert replace(told.journal, ca_file=None) == replace(address, ca_file=None)
    assert Path(told.journal.ca_file).read_text() == (tmp_path / "ca.pem").read_text()


def test_another_version_is_refused(tmp_path):
    with pytest.raises(RunError, match=r"use one version"):
        roster.read_roster({"version": "0.0"}, tmp_path)


def crew_of(*owners):
    crew = Crew()
    for number, owner in enumerate(owners):
        crew.join(owner, f"node{number}")
    return crew


def test_a_login_has_one_worker_until_he_is_gone():
    crew = crew_of(ONE, TWO)
    assert crew.begin("a", ONE)
    assert crew.begin("a", ONE)
    assert not crew.begin("a", TWO)
    assert crew.idle(["a", "b"], 0) == ["b"]
    crew.bury(ONE, 7)
    assert crew.gone == {ONE: 7}
    assert crew.idle(["a"], 0) == ["a"]
    assert crew.least_busy().owner == TWO
    assert crew.begin("a", TWO)
    assert crew.idle(["a"], 0) == []


def test_who_does_not_say_that_he_took_it_is_told_again():
    crew = crew_of(ONE)
    crew.give("a", ONE, 100)
    assert crew.idle(["a"], 100 + ASK_AGAIN_NS - 1) == []
    assert crew.idle(["a"], 100 + ASK_AGAIN_NS) == ["a"]
    assert crew.begin("a", ONE)
    assert crew.idle(["a"], 100 + ASK_AGAIN_NS) == []


def test_whoever_speaks_lives():
    crew = crew_of(ONE)
    crew.bury(ONE, 1)
    assert crew.least_busy() is None
    crew.join(ONE, "again")
    assert crew.least_busy().client_id == "again"


class CrewMachine(RuleBasedStateMachine):
    """However they come, begin, die and are told: a living worker's login is nobody else's."""

    def __init__(self):
        super().__init__()
        self.crew = Crew()
        self.has = {}

    @rule(owner=st.sampled_from([ONE, TWO, THREE]))
    def join(self, owner):
        self.crew.join(owner, "node")

    @rule(owner=st.sampled_from([ONE, TWO, THREE]), login=st.sampled_from("abc"))
    def begin(self, owner, login):
        self.crew.join(owner, "node")
        before = self.has.get(login)
        if self.crew.begin(login, owner):
            assert before in {None, owner} or before in self.crew.gone
            self.has[login] = owner
        else:
            assert before not in {None, owner}
            assert before not in self.crew.gone

    @rule(owner=st.sampled_from([ONE, TWO, THREE]))
    def die(self, owner):
        self.crew.bury(owner, 1)

    @rule(login=st.sampled_from("abc"))
    def hand_over(self, login):
        member = self.crew.least_busy()
        if member is not None and login in self.crew.idle([login], 0):
            self.crew.give(login, member.owner, 0)
            self.has[login] = member.owner

    @invariant()
    def nobody_dead_is_chosen(self):
        member = self.crew.least_busy()
        assert member is None or member.owner not in self.crew.gone


TestCrew = CrewMachine.TestCase


def test_fire_nothing_without_the_master_and_look_more_than_once(stepped_clock, monkeypatch):
    monkeypatch.setattr("gevent.sleep", stepped_clock.sleep)
    sights = [False, True]
    seen = []

    def alive(owner):
        seen.append(owner)
        return sights.pop(0)

    watch = MasterWatch(ONE, alive, stepped_clock)
    assert watch.why_not() is None
    assert watch.why_not() is None
    assert seen == [ONE, ONE]
    sights += [False] * 3
    stepped_clock.sleep(5)
    assert "its master, process 1 on here, had ended" in watch.why_not()


S = 1_000_000_000


@pytest.mark.parametrize(
    ("far", "died_s", "now_s", "status"),
    [
        (False, -30, -30, OrderStatus.DENIED),
        (False, -1, 5, OrderStatus.DENIED),
        (False, 1, 5, OrderStatus.SUBMITTED),
        (True, -30, -30, OrderStatus.DENIED),
        (True, -12, -9, OrderStatus.INITIALIZED),
        (True, -30, -9, OrderStatus.INITIALIZED),
        (True, -30, 1, OrderStatus.SUBMITTED),
    ],
)
def test_what_the_dead_left_is_judged_by_how_well_their_death_was_seen(
    tmp_path, stepped_clock, far, died_s, now_s, status
):
    bell_ns = stepped_clock.wall_ns() + 100 * S
    owner = replace(this_process(), pid=1, host="far#1" if far else this_process().host)

    class Shared(SqliteJournal):
        is_local = False

    journal = Shared(tmp_path / "journal.db", stepped_clock)
    try:
        order = Order("fb-1", "Order_A", "gs", "IRO1MHRN0001", Side.BUY, Decimal(1), Decimal(7), date(2026, 11, 21))
        journal.claim(Intent(order, "login", "fb-1", bell_ns, frozenset()), "run", owner)
        stepped_clock.sleep(100 + now_s)
        recover(journal, stepped_clock, "run", gone={owner: bell_ns + died_s * S}, more=", and so on")
        state = journal.entry("fb-1").state
        assert state.status is status
        assert state.unresolved is (status is OrderStatus.SUBMITTED)
        if status is OrderStatus.DENIED:
            assert state.reason.endswith("nothing had left, and so on")
    finally:
        journal.close()


JUNK = st.sampled_from(
    [
        None,
        True,
        1,
        1.5,
        -1,
        10**30,
        "",
        "x",
        "NaN",
        "1E999999999",
        "../../x",
        "9999-12-31T23:59:59-05:00",
        [],
        [[]],
        {},
    ]
)


def places(document):
    """Every place in a document, and the document with it gone or another value in it."""
    for name in document if isinstance(document, dict) else range(len(document)):
        yield (name,)
        if isinstance(document[name], dict | list):
            yield from ((name, *rest) for rest in places(document[name]))


def spoiled(document, place, value):
    name, *rest = place
    copy = document.copy()
    if rest:
        copy[name] = spoiled(document[name], rest, value)
    elif value is ...:
        del copy[name]
    else:
        copy[name] = value
    return copy


PREPARED = PreparedOrder(
    Order("fb-1", "Order_A", "gs", "IRO1MHRN0001", Side.SELL, Decimal(5860), Decimal(7), date(2026, 11, 21)),
    "POST",
    "https://a",
    "/b",
    {"Authorization": "Bearer t0ken"},
    b"{}",
)
AROUND = Surroundings(
    Instrument("IRO1MHRN0001", "", "", PriceBand(Decimal(5520), Decimal(5860)), Decimal(1), Decimal(9), Decimal(1)),
    Decimal(10),
    Limits(max_order_value=Decimal(10**9), max_orders_per_account=3),
    Decimal(7),
    2,
)
DEALT = {**order_document(PREPARED), "around": around_document(AROUND)}
WRITTEN = [
    (read_around, DEALT),
    (read_order, order_document(PREPARED)),
    (read_call, call_document(PreparedCall("GET", "https://a", "/", {"A": "b"}, None))),
    (read_owner, owner_document(ONE)),
]


def test_what_an_order_was_judged_against_comes_back_and_a_missing_limit_is_not_none():
    assert read_around(DEALT) == AROUND
    for name in DEALT["around"]["limits"]:
        with pytest.raises(RunError):
            read_around(spoiled(DEALT, ("around", "limits", name), ...))


@given(st.sampled_from(WRITTEN), st.data(), JUNK | st.just(...))
def test_a_message_that_is_none_is_said_and_nothing_of_it_quoted(written, data, junk):
    read, document = written
    place = data.draw(st.sampled_from(list(places(document))))
    said = ""
    try:
        read(spoiled(document, place, junk))
    except RunError as error:
        said = str(error)
    assert "t0ken" not in said


def test_a_run_that_is_told_wrongly_is_said(tmp_path):
    settings = made_settings(tmp_path)
    logins = logins_of(settings.enabled)
    address = Address.of("postgresql://u:pw@127.0.0.1/j")
    bell = datetime(2026, 11, 21, 5, 15, tzinfo=UTC)
    context = SimpleNamespace(settings=settings, run_id="run", bell=bell, started_ns=5, dry=True)
    able = dict.fromkeys(("gs", "shahr"), Capabilities(300, client_order_ids=False, replace=True))
    document = roster.roster_document(context, logins, ["Order_A"], able, address, ONE)
    refused = 0
    for place in places(document):
        for junk in (..., None, True, 1.5, -1, 10**30, "", "../../x", [], [[]], {}):
            try:
                roster.read_roster(spoiled(document, place, junk), tmp_path / "in" / "put")
            except RunError:
                refused += 1
    assert refused > 300
    renamed = {**document, "brokers": {"../../planted": document["brokers"]["gs"]}}
    with pytest.raises(RunError, match="cannot be read"):
        roster.read_roster(renamed, tmp_path / "in" / "put")
    assert {path.name for path in tmp_path.rglob("*.pem")} <= {"ca.pem", "gs.pem", "shahr.pem", "journal.pem"}


@pytest.mark.parametrize("said", [["k"], ["k", []], ["k", {}, 1], {}, "k", 7, None, ["k", {"a": 10**60}]])
def test_what_the_key_opens_may_be_no_message_all_the_same(said):
    seal = Seal.fresh()
    sealed = seal._fernet.encrypt(json.dumps(said).encode()).decode()
    with pytest.raises(NotOurs):
        seal.open("k", sealed)
    with pytest.raises(NotOurs):
        seal.open("k", "\ud800")


def test_orders_of_another_login_are_not_taken():
    login = SimpleNamespace(broker_code="gs", accounts=[SimpleNamespace(name="Order_B")], key="k")
    answers = [
        {"orders": [DEALT], "proof": None, "elsewhere": []},
        {"orders": {}},
        {"elsewhere": [1]},
    ]
    link = SimpleNamespace(ask=lambda *_, **__: answers.pop(0))
    broker = DealtBroker(None, login, Capabilities(300, client_order_ids=False, replace=True), link, {})
    for words in ("another login", "cannot be read", "cannot be read"):
        with pytest.raises(RunError, match=words):
            broker.fetch()
