"""A paper market that lives in a file: it outlives its process, and several processes share it."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from brokers_paper import FOLD, D, HandClock, Paper, asked, paper
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firstbell.brokers.paper import opening
from firstbell.brokers.paper.broker import PaperBroker
from firstbell.brokers.paper.file import PaperFile
from firstbell.brokers.paper.market import PaperMarket
from firstbell.config import Settings
from firstbell.errors import NotSent
from firstbell.model.identifiers import InstrumentId
from firstbell.model.instrument import Instrument
from firstbell.model.price_band import PriceBand
from firstbell.model.terms import AttemptOutcome, Side, TimeInForce

ACCEPTED = AttemptOutcome.ACCEPTED


def opened(path: Path, clock: HandClock, **given: object) -> Paper:
    """The market of a file, as another process would open it."""
    return paper(clock, file=PaperFile(path), **given)


def told(house: Paper, broker: PaperBroker) -> tuple[object, ...]:
    """All that an account can see."""
    return (
        broker.buying_power(),
        broker.positions(),
        broker.orders(house.day),
        broker.open_orders(),
        broker.fills(house.day),
        broker.quote(FOLD),
    )


def test_what_one_process_has_placed_the_next_one_sees_and_cancels(tmp_path: Path) -> None:
    clock = HandClock()
    first = opened(tmp_path / "paper.db", clock)
    wanted = asked(price=4870, quantity=1000)
    name = first.ali.submit(wanted).venue_order_id
    first.market.trade(FOLD, D(4870), D(300))
    before = told(first, first.ali)

    second = opened(tmp_path / "paper.db", clock)
    assert told(second, second.ali) == before
    assert second.ali.submit(wanted).outcome is AttemptOutcome.UNRESOLVED
    assert name is not None
    second.ali.cancel(name)
    # The first one, which has it in memory, sees that too.
    assert first.ali.open_orders() == ()
    (row,) = first.ali.orders(first.day)
    assert (row.filled_qty, row.status, row.client_order_id) == (300, "CANCELED", wanted.client_order_id)
    assert told(first, first.ali) == told(second, second.ali)


def test_it_is_one_file_for_its_owner_alone(tmp_path: Path) -> None:
    house = opened(tmp_path / "state" / "paper.db", HandClock())
    house.ali.submit(asked())
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["paper.db"]
    assert stat.S_IMODE((tmp_path / "state" / "paper.db").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_looking_alone_writes_nothing(tmp_path: Path) -> None:
    clock = HandClock()
    house = opened(tmp_path / "paper.db", clock)
    house.ali.submit(asked())
    written = (tmp_path / "paper.db").read_bytes()
    for _ in range(5):
        clock.sleep(1)
        told(house, house.ali)
    assert (tmp_path / "paper.db").read_bytes() == written


def test_places_in_the_queue_outlive_a_process(tmp_path: Path) -> None:
    clock = HandClock()
    path = tmp_path / "paper.db"
    names = {}
    for number in range(4):
        house = opened(path, clock)
        broker = house.ali if number % 2 else house.zahra
        wanted = asked(price=4870, quantity=100)
        names[number] = (broker, broker.submit(wanted).venue_order_id, wanted)
    # The first one loses its place.
    broker, name, wanted = names[0]
    assert name is not None
    broker.replace(name, asked(price=4870, quantity=200))
    opened(path, clock).market.trade(FOLD, D(4870), D(350))
    house = opened(path, clock)
    filled = {row.venue_order_id: row.filled_qty for each in (house.ali, house.zahra) for row in each.orders(house.day)}
    assert [filled[names[number][1]] for number in range(4)] == [50, 100, 100, 100]


def test_the_crowd_and_what_was_moved_by_hand_go_on(tmp_path: Path) -> None:
    clock = HandClock()
    path = tmp_path / "paper.db"
    option = Instrument(
        InstrumentId("OPT"), "OPT", "", PriceBand(D("0.05"), D(999)), D(25), D(900), D(25), D(100), tick_size=D("0.05")
    )
    first = opened(path, clock, liquidity=D(5000))
    first.market.list_instrument(option)
    first.market.set_quote(FOLD, bid=D(4900), ask=D(4910))
    first.market.trade(InstrumentId("IRO1MHRN0001"), D(5600), D(10))
    shown = first.ali.quote(FOLD)
    second = opened(path, clock, liquidity=D(5000))
    assert second.ali.quote(FOLD) == shown
    assert second.ali.instrument(option.id) == option
    clock.sleep(3)
    assert second.ali.quote(FOLD).bids == shown.bids
    bid = second.ali.quote(InstrumentId("IRO1MHRN0001")).bid
    assert bid is not None
    assert abs(bid - 5600) < 70
    assert first.ali.quote(FOLD) == second.ali.quote(FOLD)


def test_an_order_goes_on_filling_while_no_process_is_there(tmp_path: Path) -> None:
    clock = HandClock()
    path = tmp_path / "paper.db"
    first = opened(path, clock, liquidity=D(5000))
    bid = first.ali.quote(FOLD).bid
    assert bid is not None
    first.ali.submit(asked(price=bid, quantity=20_000))
    (row,) = first.ali.orders(first.day)
    clock.pass_by(timedelta(hours=2))
    second = opened(path, clock, liquidity=D(5000))
    (later,) = second.ali.orders(second.day)
    assert row.filled_qty < later.filled_qty


def test_a_new_day_begins_in_whichever_process_comes_first(tmp_path: Path) -> None:
    clock = HandClock()
    path = tmp_path / "paper.db"
    first = opened(path, clock)
    day = first.day
    first.ali.submit(asked(price=4860))
    lasting = first.ali.submit(asked(price=4861, time_in_force=TimeInForce.GTC)).venue_order_id
    clock.pass_by(timedelta(days=2))
    second = opened(path, clock)
    assert [row.venue_order_id for row in second.ali.open_orders()] == [lasting]
    assert [row.status for row in first.ali.orders(day)] == ["EXPIRED", "ACCEPTED"]
    clock.pass_by(timedelta(days=10))
    third = opened(path, clock)
    assert [row.venue_order_id for row in third.ali.orders(third.day)] == [lasting]
    assert [row.venue_order_id for row in third.ali.orders(day)] == [lasting]
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT count(*) FROM paper WHERE kind = 'order'").fetchone() == (1,)
    db.close()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("place"), st.sampled_from(list(Side)), st.integers(4865, 4875), st.integers(1, 900)),
        st.tuples(st.just("trade"), st.integers(4865, 4875), st.integers(1, 900)),
        st.tuples(st.just("cancel"), st.integers(0, 9)),
        st.tuples(st.just("pass"), st.integers(1, 10**10)),
    ),
    max_size=12,
)


@given(STEPS, st.sampled_from([0, 700]))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_market_opened_anew_at_each_step_is_the_same_market(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[object, ...]], liquidity: int
) -> None:
    """One market stays in memory, the other comes out of its file each time: they never differ."""
    path = tmp_path_factory.mktemp("paper") / "paper.db"
    clocks = HandClock(), HandClock()
    stays = paper(clocks[0], liquidity=D(liquidity))
    stays.ali.quote(FOLD)
    opened(path, clocks[1], liquidity=D(liquidity)).ali.quote(FOLD)
    for step in steps:
        comes = opened(path, clocks[1], liquidity=D(liquidity))
        # Each process has the crowd on what it has looked at.
        comes.ali.quote(FOLD)
        stays.ali.quote(FOLD)
        wanted = asked(*step[1:]) if step[0] == "place" else None  # type: ignore[arg-type]
        for house in (stays, comes):
            if wanted is not None:
                house.ali.submit(wanted)
            elif step[0] == "trade":
                house.market.trade(FOLD, D(step[1]), D(step[2]))  # type: ignore[arg-type]
            elif step[0] == "pass":
                house.clock.now_ns += step[1]  # type: ignore[operator]
            elif rows := house.ali.open_orders():
                house.ali.cancel(rows[step[1] % len(rows)].venue_order_id)  # type: ignore[operator]
        assert told(comes, comes.ali) == told(stays, stays.ali)


PLACE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from brokers_paper import asked
from firstbell.brokers.paper.broker import PaperBroker
from firstbell.brokers.paper.file import PaperFile
from firstbell.brokers.paper.market import PaperMarket
broker = PaperBroker(PaperMarket(file=PaperFile(Path(sys.argv[1]))), "ali")
for number in range(int(sys.argv[4])):
    name = f"{sys.argv[3]}-{number}"
    outcome = broker.submit(asked(price=4800, quantity=1, client_order_id=name)).outcome
    print(name if outcome == "ACCEPTED" else outcome, flush=True)
"""
"""Places orders for one share, and says the name of each that was taken."""


def placing(path: Path, who: str, count: int) -> subprocess.Popen[str]:
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", PLACE, str(path), here, who, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_threads_and_processes_that_place_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "paper.db"
    broker = PaperBroker(PaperMarket(file=PaperFile(path)), "ali")
    processes = [placing(path, f"p{number}", 20) for number in range(3)]

    def place(who: int) -> None:
        for number in range(20):
            broker.submit(asked(price=4800, quantity=1, client_order_id=f"t{who}-{number}"))

    threads = [threading.Thread(target=place, args=(who,)) for who in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told_of = [process.communicate(timeout=60)[0].split() for process in processes]
    rows = broker.open_orders()
    names = {row.client_order_id for row in rows}
    assert len({row.venue_order_id for row in rows}) == len(names) == len(rows) == 120
    assert names > {name for names in told_of for name in names}
    assert broker.buying_power() == 10**9 - 120 * 4800 * D("1.003712")


def test_a_process_killed_at_any_moment_leaves_a_market_that_can_be_used(tmp_path: Path) -> None:
    """What it was told of is there, and at most one order more."""
    path = tmp_path / "paper.db"
    told_of: set[str | None] = set()
    for number in range(4):
        with placing(path, f"k{number}", 10**6) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(3 + number)]
            os.kill(process.pid, signal.SIGKILL)
            told_of |= {line.strip() for line in (*lines, *process.stdout.readlines())}
    names = {row.client_order_id for row in PaperBroker(PaperMarket(file=PaperFile(path)), "ali").open_orders()}
    assert told_of <= names
    assert len(names) <= len(told_of) + 4


def test_a_file_that_is_damaged_is_said_to_be_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "paper.db"
    clock = HandClock()
    opened(path, clock).ali.submit(asked())
    for statement in (
        "UPDATE paper SET body = replace(body, '4870', 'NaN') WHERE kind = 'order'",
        "UPDATE paper SET body = '{}' WHERE kind = 'account'",
        "UPDATE paper SET body = replace(body, '\"layout\":1', '\"layout\":2') WHERE kind = 'meta'",
    ):
        db = sqlite3.connect(path)
        before = path.read_bytes()
        db.execute(statement)
        db.commit()
        db.close()
        damaged = path.read_bytes()
        assert damaged != before
        with pytest.raises(NotSent, match="move it away"):
            opened(path, clock).ali.submit(asked())
        assert path.read_bytes() == damaged
        path.write_bytes(before)
    path.write_bytes(b"something else altogether, and long enough to be a header of some file or other" * 9)
    with pytest.raises(NotSent, match="cannot be used"):
        opened(path, clock).ali.submit(asked())


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "paper.db").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NotSent):
        opened(tmp_path / "paper.db", HandClock()).ali.submit(asked())
    assert not (tmp_path / "elsewhere").exists()


def test_an_order_that_cannot_be_kept_is_not_placed(tmp_path: Path) -> None:
    """Neither in the file nor in the memory of whoever could not keep it."""
    clock = HandClock()
    path = tmp_path / "paper.db"
    house = opened(path, clock)
    house.ali.submit(asked())
    db = sqlite3.connect(path)
    db.execute("CREATE TRIGGER full BEFORE INSERT ON paper BEGIN SELECT RAISE(ABORT, 'the disk is full'); END")
    db.commit()
    with pytest.raises(NotSent, match="the disk is full"):
        house.ali.submit(asked())
    db.execute("DROP TRIGGER full")
    db.commit()
    db.close()
    assert len(house.ali.orders(house.day)) == 1
    assert house.ali.submit(asked()).outcome is ACCEPTED


def test_a_market_that_another_process_holds_is_waited_for_and_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firstbell.brokers.paper.file.WAIT_S", 0.05)
    path = tmp_path / "paper.db"
    house = opened(path, HandClock())
    house.ali.submit(asked())
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    with pytest.raises(NotSent, match="locked"):
        house.ali.submit(asked())
    db.execute("COMMIT")
    db.close()
    assert house.ali.submit(asked()).outcome is ACCEPTED


@pytest.mark.parametrize("held", ["IMMEDIATE", "EXCLUSIVE"])
def test_one_that_is_let_go_meanwhile_takes_the_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: str
) -> None:
    path = tmp_path / "paper.db"
    house = opened(path, HandClock())
    house.ali.submit(asked())
    db = sqlite3.connect(path, isolation_level=None)
    db.execute(f"BEGIN {held}")
    waited = []

    def let_go(seconds: float) -> None:
        waited.append(seconds)
        if db.in_transaction:
            db.execute("COMMIT")

    monkeypatch.setattr("firstbell.brokers.paper.file.time.sleep", let_go)
    assert house.ali.submit(asked()).outcome is ACCEPTED
    assert waited
    db.close()


# By the config


def configured(folder: Path, **own: object) -> Settings:
    return Settings.model_validate({"file": folder / "c.ini", "firstbell": {"state_dir": folder}, "paper": own})


def test_the_accounts_of_a_state_folder_share_its_market(tmp_path: Path) -> None:
    settings = configured(tmp_path, money="7", holdings="IRO1FOLD0001: 5,000", liquidity="0", latency="0")
    first = opening.market_of(settings)
    assert opening.market_of(settings) is first
    assert opening.market_of(configured(tmp_path / "other")) is not first
    assert first.buying_power("ali") == 7
    assert [(each.instrument, each.quantity) for each in first.holdings("ali")] == [(FOLD, 5000)]


def test_more_instruments_come_from_a_table(tmp_path: Path) -> None:
    table = tmp_path / "more.csv"
    table.write_text(
        "isin,symbol,name,reference_price,band_low,band_high,min_order,max_order,lot_size,tick_size,expiry\n"
        "OPT,OPT,an option,100.05,0.05,900,25,900,25,0.05,2026-12-24\n"
        "ABC,ABC,a share,10,5,15,1,900,1,,\n"
    )
    market = opening.market_of(configured(tmp_path, instruments=str(table)))
    option = market.instrument(InstrumentId("OPT"))
    assert (option.tick_size, str(option.expiry), option.lot_size) == (D("0.05"), "2026-12-24", 25)
    assert market.instrument(InstrumentId("ABC")).expiry is None
    assert market.instrument(FOLD).id == FOLD
    for damaged in ("isin,symbol\nX,Y\n", table.read_text().replace("900,25,0.05", "900,25,x")):
        table.write_text(damaged)
        with pytest.raises(NotSent, match="more.csv cannot be read"):
            opening.market_of(configured(tmp_path / json.dumps(damaged)[:9].strip('"'), instruments=str(table)))


def test_at_the_hours_of_the_market_or_always(tmp_path: Path) -> None:
    always = opening.market_of(configured(tmp_path / "a"))
    market = opening.market_of(configured(tmp_path / "m", hours="market"))
    assert always.days.why_closed(market.days.next_trading_day(always.quote(FOLD).at.date())) is None
    assert (always.days.market, market.days.market) == ("PAPER", "XTEH")
