"""Marks: a set that only grows, in little room."""

from __future__ import annotations

import sys

from hypothesis import given
from hypothesis import strategies as st

from firstbell.oms.orders import marks
from firstbell.oms.orders.marks import Marks

NUMBERS = st.integers(-(2**63), 2**63 - 1)


@given(kept=st.sets(NUMBERS, max_size=200), asked=st.lists(NUMBERS, max_size=20))
def test_what_was_put_in_is_in_and_nothing_else(kept, asked):
    before, marks._NEW = marks._NEW, 4
    try:
        made = Marks()
        for number in kept:
            made.add(number)
        near = [each + step for each in kept for step in (-1, 1)]
        for number in (*kept, *asked, *near):
            assert (number in made) == (number in kept)
    finally:
        marks._NEW = before


def test_taken_out_none_is_in_and_it_begins_anew():
    made = Marks()
    for number in range(1000):
        made.add(number)
    made.clear()
    assert not any(number in made for number in range(1000))
    made.add(7)
    assert 7 in made
    assert 8 not in made


def test_a_hundred_thousand_take_little_more_than_eight_bytes_each():
    made = Marks()
    numbers = {hash(f"order {number}") for number in range(100_000)}
    for number in numbers:
        made.add(number)
    assert all(number in made for number in numbers)
    assert sum(map(sys.getsizeof, made._runs)) < 9 * len(numbers)
    assert len(made._new) < 512
    assert len(made._runs) < 10
