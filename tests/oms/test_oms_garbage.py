"""Garbage collection out of the way of orders; in a process of its own, for it is not undone."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref

import pytest

from firstbell.oms.garbage import keep_out_of_the_way

SCRIPT = """
import gc, sys
gc.set_threshold(*map(int, sys.argv[1:]))
from firstbell.oms.garbage import keep_out_of_the_way
keep_out_of_the_way()
print(gc.get_freeze_count() > 1_000, *gc.get_threshold())
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [("700 10 10", "10000 3 3"), ("50000 5 5", "50000 5 5"), ("0 10 10", "0 10 10")],
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
    ("before", "after"), [(1, 10_000), (9_999, 10_000), (10_000, 10_000), (10_001, 10_001), (0, 0)]
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
