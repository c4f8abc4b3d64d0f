"""Whether any order is in hand: as long as anybody has one."""

from __future__ import annotations

import threading

import pytest

from firstbell.oms.in_hand import InHand


def test_an_order_is_in_hand_as_long_as_anybody_has_one():
    in_hand = InHand()
    assert not in_hand.any()
    with in_hand:
        assert in_hand.any()
        with in_hand:
            assert in_hand.any()
        assert in_hand.any()
    assert not in_hand.any()
    with in_hand:
        assert in_hand.any()
    assert not in_hand.any()


def test_one_that_fails_is_in_hand_no_more_and_fails_for_its_caller():
    in_hand = InHand()
    with pytest.raises(ZeroDivisionError), in_hand:
        raise ZeroDivisionError
    assert not in_hand.any()


def test_orders_of_several_threads_are_counted_together():
    in_hand = InHand()
    begun, go_on = threading.Barrier(3), threading.Event()

    def work():
        with in_hand:
            begun.wait(30)
            go_on.wait(30)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    begun.wait(30)
    assert in_hand.any()
    go_on.set()
    for thread in threads:
        thread.join()
    assert not in_hand.any()


def test_who_waits_for_it_is_told_when_the_last_one_is_in_hand_no_more():
    in_hand, told = InHand(), []
    in_hand.when_free(lambda: told.append(in_hand.any()))
    with in_hand:
        with in_hand:
            pass
        assert told == []
    assert told == [False]
    with pytest.raises(ZeroDivisionError), in_hand:
        raise ZeroDivisionError
    assert told == [False, False]
