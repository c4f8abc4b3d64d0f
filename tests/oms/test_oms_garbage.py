"""Garbage collection out of the way of orders; in a process of its own, for it is not undone."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import gc, sys
gc.set_threshold(*map(int, sys.argv[1:]))
from firstbell.oms.garbage import keep_out_of_the_way
keep_out_of_the_way()
print(gc.get_freeze_count() > 1_000, *gc.get_threshold())
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [("700 10 10", "10000 10 10"), ("50000 5 5", "50000 5 5"), ("0 10 10", "0 10 10")],
    ids=["the usual", "one who collects less already", "one who has turned it off"],
)
def test_what_is_there_is_exempt_and_the_rest_is_collected_less_often(before, after):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *before.split()], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == f"True {after}\n"
