"""Whoever follows a run gives way to its orders, also where they are late."""

from __future__ import annotations

import socket
import time
from datetime import UTC, datetime
from types import SimpleNamespace

import gevent
import pytest

from firstbell.clock import SystemClock
from firstbell.journal.base import RunRecord
from firstbell.journal.sqlite import SqliteJournal
from firstbell.sniper.follower import Follower
from firstbell.sniper.lane import Lane
from firstbell.sniper.lane_address import LaneAddress
from firstbell.sniper.users import GreenInterrupt
from firstbell.sniper.volley import Fate, Shot, Volley
from firstbell.sniper.waiting import GreenWaiter

S = 1_000_000_000


@pytest.fixture
def followed(tmp_path):
    """A volley, whoever follows it, and what stops both."""
    clock, interrupt = SystemClock(), GreenInterrupt()
    journal = SqliteJournal(tmp_path / "journal.db", clock)
    journal.begin_run(RunRecord("run", datetime.now(UTC), (), str(tmp_path)))
    office = SimpleNamespace(
        clock=clock,
        journal=journal,
        calendar=SimpleNamespace(tz=UTC),
        settings=SimpleNamespace(firstbell=SimpleNamespace(results_dir=tmp_path)),
    )
    context = SimpleNamespace(
        clock=clock,
        interrupt=interrupt,
        run_id="run",
        bell_ns=clock.wall_ns(),
        monotonic_of=lambda _: clock.monotonic_ns(),
        give_up_ns=30 * S,
    )
    volley = Volley(interrupt)
    yield volley, Follower(office, context, None, volley, None), interrupt
    journal.close()


@pytest.mark.timeout(10)
@pytest.mark.parametrize("late_ns", [S, S // 5 + 1])
def test_an_order_that_is_late_leaves_all_the_same(followed, late_ns):
    volley, follower, interrupt = followed
    with socket.create_server(("127.0.0.1", 0)) as listener:
        lane = Lane(LaneAddress.of(f"http://127.0.0.1:{listener.getsockname()[1]}"), None, GreenWaiter())
        lane.open(time.monotonic_ns() + 5 * S)
        lane.seal(b"late")
        shot = Shot(lane, time.monotonic_ns() - late_ns, 2**62, 2**62)
        # The follower has its turn before the volley has: that is what a stall of the machine comes to.
        firing, following = gevent.spawn(volley.fire, shot), gevent.spawn(follower.follow)
        firing.join(timeout=5)
        assert shot.fate is Fate.FIRED
        # One that gives no way is ended by the time limit, here in the middle of its work.
        assert not following.dead
        interrupt.stop()
        following.join(timeout=5)
        assert following.dead
        lane.close()
