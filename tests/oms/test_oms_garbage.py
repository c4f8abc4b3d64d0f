"""Garbage collection out of the way of orders; in a process of its own, for it is not undone."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref

import pytest

from firstbell.oms.garbage import between_orders, keep_out_of_the_way

SCRIPT = """
import gc, sys
gc.set_threshold(*map(int, sys.argv[1:]))
from firstbell.oms.garbage import keep_out_of_the_way
keep_out_of_the_way()
print(gc.get_freeze_count() > 1_000, *gc.get_threshold())
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [("700 10 10", "50000 3 3"), ("60000 5 5", "60000 5 5"), ("0 10 10", "0 10 10")],
    ids=["the usual", "one who collects less already", "one who has turned it off"],
)
def test_what_is_there_is_exempt_and_the_rest_is_collected_less_often(before, after):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *before.split()], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == f"True {after}\n"


class Knot:
    """Refers to itself: only a collection takes it away."""

    def __init__(self):
        self.itself = self


@pytest.fixture
def _undone():
    before, was_on = gc.get_threshold(), gc.isenabled()
    gc.disable()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)
    if was_on:
        gc.enable()


@pytest.mark.usefixtures("_undone")
@pytest.mark.parametrize(
    ("before", "after"), [(1, 50_000), (49_999, 50_000), (50_000, 50_000), (50_001, 50_001), (0, 0)]
)
def test_it_is_collected_no_more_often_than_before(before, after):
    gc.set_threshold(before, 5, 7)
    keep_out_of_the_way()
    assert gc.get_threshold()[0] == after
    assert gc.get_threshold()[1] == (5 if after == before else 3)


@pytest.mark.usefixtures("_undone")
def test_garbage_is_collected_before_what_is_left_becomes_exempt():
    gone, kept = Knot(), Knot()
    watched = weakref.ref(gone)
    del gone
    assert watched() is not None
    frozen = gc.get_freeze_count()
    keep_out_of_the_way()
    assert watched() is None
    assert gc.get_freeze_count() > frozen
    assert all(each is not kept for each in gc.get_objects())


def made(count):
    """So many new objects of which a collection takes note."""
    return [[] for _ in range(count)]


@pytest.mark.usefixtures("_undone")
def test_between_orders_what_has_come_since_is_collected_and_exempt():
    gc.set_threshold(700, 10, 10)
    keep_out_of_the_way()
    gc.enable()
    few, gone = made(1_000), Knot()
    watched = weakref.ref(gone)
    del gone
    between_orders()
    assert watched() is not None, "so little is not worth while"
    frozen, more = gc.get_freeze_count(), made(1_500)
    between_orders()
    assert watched() is None
    assert gc.get_freeze_count() > frozen + len(few) + len(more) - 100


@pytest.mark.usefixtures("_undone")
@pytest.mark.parametrize("asked", [False, True], ids=["not asked for", "turned off"])
def test_between_orders_nothing_is_done_where_nobody_has_asked_for_it_or_it_is_turned_off(asked):
    gc.set_threshold(50_000, 10, 10)
    if asked:
        keep_out_of_the_way()
    else:
        gc.enable()
    frozen, kept = gc.get_freeze_count(), made(3_000)
    between_orders()
    assert (gc.get_freeze_count(), len(kept)) == (frozen, 3_000)


@pytest.mark.usefixtures("_undone")
def test_a_round_collects_unless_an_order_is_in_hand(desk, monkeypatch):
    collected = []
    monkeypatch.setattr("firstbell.oms.orders.manager.between_orders", lambda: collected.append(1))
    with desk.manager._context.in_hand:
        desk.manager.poll()
    assert not collected
    desk.manager.poll()
    assert collected == [1]
