"""Firing one login: what is looked at before the bell, what is asked after it, and what is said of each order."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import pytest
from sniper_house import CONFIG, PLAIN, REFUSED_FOR_GOOD, SECOND, D, S

from firstbell.brokers.base import Capabilities, Outcome
from firstbell.errors import BrokerError, JournalError, NoAnswer, RunError
from firstbell.journal.base import Intent, Owner
from firstbell.model.identifiers import client_order_id
from firstbell.model.instant import instant
from firstbell.model.order import Order
from firstbell.model.order_status import OrderStatus, ReportKind
from firstbell.model.report import Attempt, ExecutionReport
from firstbell.model.terms import AttemptOutcome, Side
from firstbell.oms.inquiry import Inquiry
from firstbell.oms.logins import login_key
from firstbell.oms.pace_file import PaceFile
from firstbell.sniper.firing import LOOK_AGAIN_S, OPEN_BEFORE_S

CLOSED = Outcome(AttemptOutcome.REJECTED, 1017, "closed", again=True)
ALL = CONFIG.format(a="orders = all", risk="")
FEW = CONFIG.format(a="quantity = 10", risk="")


def test_a_run_that_was_stopped_before_it_began_does_nothing(house):
    house.interrupt.stop_at_ns = 0
    (row,) = house.run()
    assert (row["outcome"], row["reason"]) == ("not_sent", "stopped before the bell")
    assert house.broker.calls == []


def test_a_broker_without_http_is_said(house):
    class Other:
        code = "ib"

    house.broker = Other()
    (row,) = house.run()
    assert row["reason"] == "orders at ib do not go over HTTP: the run cannot fire them"


def test_a_fault_of_our_own_is_said_by_its_kind_alone(house):
    def broken():
        raise ZeroDivisionError("s3cret")

    house.broker.positions = broken
    (row,) = house.run(CONFIG.format(a="side = sell", risk=""))
    assert row["outcome"] == "not_sent"
    assert row["reason"] == "a fault of firstbell's own (ZeroDivisionError); the run log has it"


def test_each_account_is_finished_once(house):
    house.run(FEW + SECOND)
    assert sorted(account for account, _ in house.notes("finished")) == ["Order_A", "Order_B"]


@pytest.mark.parametrize(("replaceable", "finished"), [(True, []), (False, [("Order_A", None)])])
def test_one_that_others_replace_has_not_finished_when_it_is_stopped(house, replaceable, finished):
    house.gear["replaceable"] = replaceable
    context = house.context()
    house.interrupt.stop_at_ns = house.clock.now_ns + 100 * S
    house.carry_out(context)
    assert house.notes("finished") == finished
    assert house.broker.times("send") == []


def test_one_that_others_replace_has_finished_when_it_was_not_stopped(house):
    house.gear["replaceable"] = True
    (row,) = house.run()
    assert row["outcome"] == "accepted"


def test_the_connection_is_proven_three_seconds_before_after_the_claims_were_looked_at(house):
    looked = []
    house.gear["why_not"] = lambda: looked.append(house.clock.now_ns / S)
    house.run()
    assert looked == [pytest.approx(house.bell_s - LOOK_AGAIN_S)]
    assert house.broker.times("warm") == [pytest.approx(house.bell_s - OPEN_BEFORE_S - 0.01)]
    assert house.broker.times("close") == [pytest.approx(house.clock.now_ns / S)]


def test_many_lanes_are_opened_sooner_each_and_before_the_look(house):
    house.gear["lanes"] = 199
    looked = []
    house.gear["why_not"] = lambda: looked.append(house.clock.now_ns / S)
    house.run()
    assert house.broker.times("warm") == [pytest.approx(house.bell_s - 5)]
    assert looked == [pytest.approx(house.bell_s - LOOK_AGAIN_S)]


def test_up_to_a_hundred_lanes_are_opened_after_the_look(house):
    house.gear["lanes"] = 99
    house.run()
    assert house.broker.times("warm") == [pytest.approx(house.bell_s - 4)]


def test_a_proof_that_cannot_be_written_costs_nothing_but_itself(house):
    def broken():
        raise BrokerError("no proof")

    house.broker.prepare_proof = broken
    (row,) = house.run()
    assert row["outcome"] == "accepted"
    assert house.broker.times("warm") == []


def test_fired_at_once_nothing_is_proven(house):
    (row,) = house.run(bell_in_s=-1)
    assert row["outcome"] == "accepted"
    assert house.broker.times("warm") == []


def test_what_stands_against_firing_is_heard_before_the_bell(house):
    house.gear["why_not"] = lambda: "the master is gone"
    (row,) = house.run()
    assert (row["outcome"], row["reason"]) == ("not_sent", "the master is gone")
    assert house.broker.times("send") == house.broker.times("warm") == []
    assert house.journal.entry(row["client_order_id"]).state.status is OrderStatus.DENIED


def test_a_claim_that_was_taken_while_we_waited_is_left_alone(house):
    def taken():
        (entry,) = house.journal.entries(run_id="run")
        reason = "its owner seemed dead"
        name, at = entry.intent.order.client_order_id, instant(house.clock.wall_ns())
        house.journal.append([ExecutionReport(name, "other", ReportKind.DENIED, at, reason=reason)])

    house.gear["why_not"] = taken
    (row,) = house.run()
    assert house.broker.times("send") == []
    assert (row["status"], row["reason"]) == ("DENIED", "its owner seemed dead")


class Ledger:
    """A journal whose reading and writing may fail for a time."""

    def __init__(self, journal):
        self.journal = journal
        self.unreadable = 0
        self.unwritable = 0
        self.tries = []

    def __getattr__(self, name):
        return getattr(self.journal, name)

    def entries(self, **which):
        if self.unreadable:
            self.unreadable -= 1
            raise JournalError("the disk is away")
        return self.journal.entries(**which)

    def append(self, reports):
        if self.unwritable:
            self.unwritable -= 1
            self.tries.append(reports[0].reason)
            raise JournalError("the disk is full")
        self.journal.append(reports)


def test_where_the_claims_cannot_be_seen_nothing_leaves_and_that_is_written_as_soon_as_it_can_be(house):
    ledger = house.journal = house.gear["scribe"] = Ledger(house.journal)

    def why_not():
        ledger.unreadable, ledger.unwritable = 1, 3

    house.gear["why_not"] = why_not
    (row,) = house.run()
    words = "it could not be seen before the bell whether the order is still ours: the disk is away"
    assert (row["outcome"], row["reason"]) == ("not_sent", words)
    assert ledger.tries == [words] * 3
    # Tried again each two seconds.
    assert house.clock.now_ns / S == pytest.approx(house.bell_s - LOOK_AGAIN_S + 3 * 2)
    assert house.broker.times("send") == []


def test_that_it_cannot_be_written_ends_with_the_run(house):
    ledger = house.journal = house.gear["scribe"] = Ledger(house.journal)

    def why_not():
        ledger.unwritable = 1000
        return "stop"

    house.gear["why_not"] = why_not
    context = house.context()
    house.interrupt.stop_at_ns = house.clock.now_ns + 310 * S
    house.carry_out(context)
    assert 3 <= len(ledger.tries) <= 10
    assert house.rows()[0]["outcome"] == "unresolved"


def test_the_orders_behind_a_blocked_one_say_which(house):
    house.broker.answers = [NoAnswer("cut")]
    house.broker.hide = True
    first, second = house.run(FEW + SECOND)
    assert second["reason"] == (
        f"this login's order {first['client_order_id']} is unresolved; nothing new until it is known"
    )


def test_what_the_lists_answer_in_time_lets_the_next_order_go(house):
    house.broker.answers = [NoAnswer("cut")]
    first, second = house.run(FEW + SECOND)
    assert (first["outcome"], second["outcome"]) == ("accepted", "accepted")


def test_what_was_not_unresolved_is_not_asked_for(house):
    house.broker.answers = [REFUSED_FOR_GOOD]
    before = []
    house.gear["why_not"] = lambda: before.extend(house.broker.times("orders"))
    (row,) = house.run(FEW)
    assert row["outcome"] == "rejected"
    assert house.broker.times("orders") == before


def test_asking_begins_at_once_goes_on_each_two_seconds_and_ends_with_the_run(house):
    house.broker.answers = [NoAnswer("cut")]
    house.broker.hide = True
    house.run(FEW)
    asked = [at for at in house.broker.times("orders") if at > house.bell_s]
    assert asked[0] - house.bell_s < 0.1
    assert {round(later - earlier, 6) for earlier, later in pairwise(asked)} == {2.0}
    # The 30 s of `give_up_after`, and not a look later.
    assert house.bell_s + 28 <= asked[-1] < house.bell_s + 30


def test_asking_ends_when_it_is_stopped(house):
    house.broker.answers = [NoAnswer("cut")]
    house.broker.hide = True
    context = house.context(FEW)
    house.interrupt.stop_at_ns = house.clock.now_ns + 305 * S
    house.carry_out(context)
    asked = [at for at in house.broker.times("orders") if at > house.bell_s]
    assert [round(at - house.bell_s) for at in asked] == [0, 2, 4]


def test_what_was_accepted_is_looked_for_until_the_list_shows_it(house):
    house.broker.hide = True
    (row,) = house.run(FEW)
    assert row["outcome"] == "accepted"
    asked = [round(at - house.bell_s - 0.005, 3) for at in house.broker.times("orders") if at > house.bell_s]
    assert asked == [0.2, 1.2, 3.2]


def test_what_the_list_shows_is_looked_for_once(house):
    house.run(FEW)
    asked = [round(at - house.bell_s - 0.005, 3) for at in house.broker.times("orders") if at > house.bell_s]
    assert asked == [0.2]


def test_looking_for_it_ends_when_it_is_stopped(house):
    house.broker.hide = True
    context = house.context(FEW)
    house.interrupt.stop_at_ns = house.clock.now_ns + 300 * S + S
    house.carry_out(context)
    assert len([at for at in house.broker.times("orders") if at > house.bell_s]) == 1


def test_what_a_login_sent_in_an_earlier_run_keeps_its_interval(house):
    house.broker.answers = [CLOSED, CLOSED, REFUSED_FOR_GOOD]
    house.run(FEW, bell_in_s=-1)
    last = house.broker.times("send")[-1]
    house.run(FEW, bell_in_s=-1, name="again")
    assert house.broker.times("send")[-1] - last >= 0.35


def test_what_another_process_has_just_sent_of_the_login_keeps_its_interval(house):
    house.pace_of = partial(PaceFile.of, house.folder)
    left_ns = house.clock.now_ns + 5 * S
    PaceFile.of(house.folder, login_key("shahr", "u")).sent(left_ns)
    house.run(FEW, bell_in_s=5.1)
    assert house.broker.times("send") == [pytest.approx(left_ns / S + 0.35)]


def test_shortly_before_its_bell_no_other_process_sends_of_a_login(house):
    house.pace_of = partial(PaceFile.of, house.folder)
    other, told, send = PaceFile.of(house.folder, login_key("shahr", "u")), [], house.broker.send

    def look(prepared, **options):
        told.append(other.take(house.clock.now_ns - S // 10, 350_000_000) / S)
        return send(prepared, **options)

    house.broker.send = look
    house.run(FEW)
    assert house.broker.times("send") == [pytest.approx(house.bell_s)]
    assert told == [pytest.approx(house.bell_s + 0.35)]


def test_a_pace_that_cannot_be_known_delays_no_bell(house, caplog):
    (house.folder / "pace").write_text("a file in the folder's place")
    house.pace_of = partial(PaceFile.of, house.folder)
    house.run(FEW)
    assert house.broker.times("send") == [pytest.approx(house.bell_s)]
    assert "cannot be used" in caplog.text


def test_bytes_of_the_second_order_are_written_anew_after_a_log_in(house):
    house.broker.largest = D(60_000)
    prepared = []
    prepare = house.broker.prepare
    house.broker.prepare = lambda order: prepared.append(house.clock.now_ns / S) or prepare(order)
    house.run(ALL)
    # Three before the bell; the first leaves as it was written, the others are written when their turn comes.
    assert [at >= house.bell_s for at in prepared] == [False, False, False, True, True]


def test_how_far_an_order_may_go(house):
    house.run("[risk]\nmax_attempts_per_order = 7\n" + PLAIN.replace("[risk]\n\n", ""))
    bell_ns = round(house.bell_s * S)
    assert house.budget.max_attempts == 7
    assert house.budget.deadline_ns == bell_ns + 30 * S
    # A second of grace by the clock that may be set.
    assert house.budget.deadline_wall_ns == house.clock.wall_ns() - house.clock.now_ns + bell_ns + 31 * S


def test_the_brokers_own_interval_is_kept_where_the_config_asks_for_less(house):
    house.broker.capabilities = Capabilities(900, client_order_ids=False, replace=True)
    house.broker.largest = D(60_000)
    house.run(ALL)
    sent = house.broker.times("send")
    assert all(round(later - earlier, 6) >= 0.9 for earlier, later in pairwise(sent))


def test_a_halt_before_the_bell_denies_by_the_final_check(house):
    house.interrupt.is_halt = True
    (row,) = house.run()
    assert house.broker.times("send") == []
    assert row["reason"].startswith("trading state: HALTED")


def test_a_spent_budget_halts_and_says_so(house):
    house.attempts_per_run = 2
    house.broker.answers = [CLOSED] * 9
    (row,) = house.run(FEW)
    assert len(house.broker.times("send")) == 2
    assert house.halts == [f"Order_A: {row['reason']}"]


def test_an_error_of_ours_is_told_with_its_words(house):
    def broken(*_args, **_more):
        raise RunError("the limits could not be checked")

    house.broker.buying_power = broken
    (row,) = house.run()
    assert row["reason"] == "the limits could not be checked"


def test_a_login_that_another_process_of_this_run_has_is_finished_there(house):
    other = Owner("another-machine", 4711, 0.0)
    context = house.context(FEW + SECOND)
    # A login is one process's: who has its first order has the others too.
    name = client_order_id(context.day, "shahr", "u", "IRO1MHRN0001", Side.BUY, 0)
    order = Order(name, "Order_A", "shahr", "IRO1MHRN0001", Side.BUY, D(5860), D(10), context.day)
    house.journal.claim(Intent(order, login_key("shahr", "u"), name, 2**62, frozenset()), "run", other)
    house.carry_out(context)
    assert house.notes("finished") == []
    assert house.broker.times("send") == []


def test_who_is_asked_what_became_of_an_order_is_the_gears_choice(house):
    asked = []

    class Listening(Inquiry):
        def look(self, names):
            asked.append(tuple(names))
            return super().look(names)

    house.gear["inquire"] = lambda context, broker: Listening(broker, context.journal, context.clock, context.run_id)
    (row,) = house.run(FEW)
    assert asked == [(row["client_order_id"],)]


def test_what_was_taken_and_denied_is_not_denied_again(house):
    def taken():
        (entry,) = house.journal.entries(run_id="run")
        name, at = entry.intent.order.client_order_id, instant(house.clock.wall_ns())
        house.journal.append([ExecutionReport(name, "other", ReportKind.DENIED, at, reason="its owner seemed dead")])
        return "the master is gone"

    house.gear["why_not"] = taken
    (row,) = house.run()
    assert (row["status"], row["reason"]) == ("DENIED", "its owner seemed dead")
    assert house.notes("not_sent") == []


def test_what_another_login_has_just_sent_delays_nobody(house):
    now_ns = house.clock.wall_ns()
    context = house.context(FEW, bell_in_s=-1, name="first")
    order = Order("x", "Order_X", "gs", "IRO1MHRN0001", Side.BUY, D(5860), D(1), context.day)
    house.journal.claim(Intent(order, "another", "x", 0, frozenset()), "other", Owner("another-machine", 1, 0.0))
    sent = Attempt(1, instant(now_ns), 0, None, None, None, None, None, AttemptOutcome.REJECTED, sent_ns=now_ns)
    for kind, attempt in ((ReportKind.SUBMITTED, None), (ReportKind.REFUSED, sent)):
        house.journal.append([ExecutionReport("x", "other", kind, instant(now_ns), attempt=attempt)])
    house.carry_out(context)
    assert house.broker.times("send") == [0]
