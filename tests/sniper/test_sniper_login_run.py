"""One login's part of a run, on a clock that only moves when somebody waits: arming, firing, asking, confirming."""

from __future__ import annotations

from itertools import pairwise

import pytest
from sniper_house import BELL_IN_S, CONFIG, REFUSED_FOR_GOOD, SECOND, D, S

from firstbell.brokers.base import VenueOrder
from firstbell.errors import NoAnswer, WrongPassword
from firstbell.journal.base import Intent, Owner
from firstbell.journal.owner import this_process
from firstbell.model.identifiers import client_order_id
from firstbell.model.instant import instant
from firstbell.model.order import Order
from firstbell.model.terms import Side
from firstbell.oms.logins import login_key


def test_everything_is_read_again_in_the_last_minute_and_the_order_leaves_at_the_bell(house):
    (row,) = house.run()
    assert (row["outcome"], row["price"], row["quantity"]) == ("accepted", 5860, 170_018)
    assert row["venue_order_id"] == "1000"
    bell = house.bell_s
    assert house.broker.times("login")[0] == 0
    for name in ("money", "instrument", "orders"):
        assert bell - 60 <= house.broker.times(name)[0] <= bell - 10
    assert house.broker.times("warm") == [pytest.approx(bell - 3, abs=0.1)]
    assert house.broker.times("send") == [bell]
    (attempt,) = row["attempts"]
    assert attempt["lateness_us"] == 0


def test_a_token_that_will_not_last_is_renewed_once(house):
    house.broker.token_life_s = 250
    (row,) = house.run()
    assert row["outcome"] == "accepted"
    assert len(house.broker.times("new token")) == 2


def test_a_read_that_fails_is_repeated_while_there_is_time(house):
    house.broker.trouble = [NoAnswer("down")] * 30
    (row,) = house.run()
    assert row["outcome"] == "accepted"


def test_a_read_that_goes_on_failing_leaves_the_account_out_with_the_reason(house):
    house.broker.trouble = [NoAnswer("the money is unreadable")] * 10_000
    (row,) = house.run()
    assert (row["outcome"], row["reason"]) == ("not_sent", "the money is unreadable")
    assert house.broker.times("send") == []
    assert house.broker.times("money")[-1] <= house.bell_s - 10


def test_a_wrong_password_is_not_tried_again(house):
    house.broker.login_error = WrongPassword("wrong password")
    (row,) = house.run()
    assert (row["outcome"], row["reason"]) == ("not_sent", "wrong password")
    assert len(house.broker.times("login")) == 1


def test_without_the_list_of_the_day_the_order_is_sent_all_the_same(house):
    house.broker.list_fails = True
    (row,) = house.run()
    assert row["outcome"] == "accepted"
    assert house.journal.entry(row["client_order_id"]).intent.known_ids is None
    assert any(note.kind == "warning" and "list of the day" in note.text for note in house.journal.notes("run"))


def test_what_was_there_before_the_bell_is_remembered(house):
    house.broker.book.append(
        VenueOrder("7", "IRO1MHRN0001", Side.BUY, D(5860), D(170_018), D(0), True, False, None, "2")
    )
    house.broker.answers = [NoAnswer("cut")]
    (row,) = house.run()
    assert (row["outcome"], row["venue_order_id"]) == ("accepted", "1001")


def test_slices_leave_one_after_another_paced(house):
    house.broker.largest = D(60_000)
    rows = house.run(CONFIG.format(a="orders = all", risk=""))
    assert [row["quantity"] for row in rows] == [60_000, 60_000, 50_018]
    assert {row["outcome"] for row in rows} == {"accepted"}
    sent = house.broker.times("send")
    assert sent[0] == house.bell_s
    assert all(round(later - earlier, 6) >= 0.35 for earlier, later in pairwise(sent))


def test_a_refused_slice_ends_its_account_and_not_its_login(house):
    house.broker.largest = D(60_000)
    house.broker.answers = [REFUSED_FOR_GOOD]
    rows = house.run(CONFIG.format(a="orders = all\nmax_value = 500000000", risk="") + SECOND)
    assert [row["outcome"] for row in rows] == ["rejected", "not_sent", "accepted"]
    assert "the order before it was rejected: 1011" in rows[1]["reason"]


def test_what_stands_behind_a_fault_is_known_not_to_have_left(house):
    house.broker.largest = D(60_000)

    def read_answer(*_):
        raise RuntimeError("a fault of our own")

    house.broker.read_answer = read_answer
    rows = house.run(CONFIG.format(a="orders = all", risk=""))
    assert [row["outcome"] for row in rows] == ["unresolved", "not_sent", "not_sent"]
    assert "the order before it ended in a fault" in rows[1]["reason"]
    assert len(house.broker.times("send")) == 1


def test_an_unresolved_order_blocks_its_login_until_it_is_known(house):
    house.broker.answers = [NoAnswer("cut")]
    house.broker.hide = True
    rows = house.run(CONFIG.format(a="quantity = 10", risk="") + SECOND)
    assert [row["outcome"] for row in rows] == ["unresolved", "not_sent"]
    assert "is unresolved" in rows[1]["reason"]
    assert len(house.broker.times("send")) == 1
    asked = [at for at in house.broker.times("orders") if at > house.bell_s]
    assert asked[0] - house.bell_s < 5
    assert all(later - earlier <= 2.5 for earlier, later in pairwise(asked))
    assert asked[-1] <= house.bell_s + 30


def test_what_an_earlier_run_left_unresolved_is_asked_first(house):
    house.broker.answers = [NoAnswer("cut")]
    house.broker.hide = True
    house.run(CONFIG.format(a="quantity = 10", risk=""))
    house.broker.hide = False
    sent = len(house.broker.times("send"))
    (row,) = house.run(CONFIG.format(a="quantity = 10", risk=""), bell_in_s=5, name="again")
    assert row["outcome"] == "unresolved"
    assert len(house.broker.times("send")) == sent
    house.clock.sleep(100)
    (row,) = house.run(CONFIG.format(a="quantity = 10", risk=""), bell_in_s=200, name="third")
    assert row["outcome"] == "accepted"
    assert row["client_order_id"].endswith("-r2")


def plan_name(house):
    day = instant(house.clock.wall_ns() + BELL_IN_S * S).date()
    return client_order_id(day, "shahr", "u", "IRO1MHRN0001", Side.BUY, 0)


def claim(house, owner, bell_ns):
    name = plan_name(house)
    day = instant(house.clock.wall_ns() + BELL_IN_S * S).date()
    order = Order(name, "Order_A", "shahr", "IRO1MHRN0001", Side.BUY, D(5860), D(170_018), day)
    key = login_key("shahr", "u")
    house.journal.claim(Intent(order, key, name, bell_ns, frozenset()), "other", owner)
    return name


def test_a_second_run_sends_nothing_and_reports_the_first_ones_order(house):
    (first,) = house.run()
    (second,) = house.run(bell_in_s=5, name="again")
    assert second["outcome"] == "accepted"
    assert second["client_order_id"] == first["client_order_id"]
    assert second["attempts"] == []
    assert len(house.broker.times("send")) == 1


def test_another_living_owner_is_named(house):
    owner = Owner("another-machine", 4711, 0.0)
    claim(house, owner, 2**62)
    (row,) = house.run()
    assert row["outcome"] == "not_sent"
    assert "process 4711 on another-machine has claimed this order, in run other" in row["reason"]


def test_a_dead_owner_before_its_bell_is_taken_over(house):
    claim(house, Owner(this_process().host, 2**22 + 1, 0.0), 2**62)
    (row,) = house.run()
    assert row["outcome"] == "accepted"


def test_a_dead_owner_after_its_bell_leaves_it_unresolved(house):
    name = claim(house, Owner(this_process().host, 2**22 + 1, 0.0), 1)
    (row,) = house.run()
    assert (row["outcome"], row["client_order_id"]) == ("unresolved", name)
    assert house.broker.times("send") == []


def test_the_total_over_all_logins_counts_what_others_have_claimed_meanwhile(house):
    day = instant(house.clock.wall_ns() + BELL_IN_S * S).date()
    other = Order("other", "Order_X", "gs", "IRO1MHRN0001", Side.BUY, D(5860), D(170_000), day)

    def estimate(*_):
        # Between this login's plan and its claim, another login claims.
        house.journal.claim(Intent(other, "elsewhere", "other", 2**62, frozenset()), "run", this_process())

    house.broker.estimate = estimate
    (row,) = house.run(CONFIG.format(a="", risk="max_total_value = 1500000000"))
    assert row["outcome"] == "not_sent"
    assert "max_total_value: 1,992,505,480, allowed at most 1,500,000,000" in row["reason"]
    assert house.broker.times("send") == []
