"""Orders beyond the bell with the real command on a simulated exchange, killed and stopped; judged by its record."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter

import pytest
from e2e_market import (
    ALI,
    FOLD,
    Watcher,
    Zahra,
    are_over,
    filled,
    journal_of,
    most_too_many,
    of_ali,
    opened,
    orders_of_ali,
    trading,
    wait,
)

BRACKET = ("--quantity", "3000", "--price", "4865", "--take-profit", "4950", "--stop-loss", "4800", "--key", "b")


@pytest.fixture
def start(open_venue, tmp_path):
    """Start an exchange and everybody else at it."""
    others = []

    def begin(*options):
        venue = opened(open_venue, tmp_path, *options)
        others.append(Zahra(venue))
        return venue, others[-1]

    yield begin
    for each in others:
        each.office.close()


def place(venue, *options, status=0, side="buy", kind="limit"):
    """Place an order of Ali's; what the command printed."""
    common = ("--live", "--account", ALI, "--instrument", FOLD, "--side", side, "--type", kind, "--json")
    placed = venue.firstbell("orders", "place", *common, *options)
    assert placed.returncode == status, (placed.stdout, placed.stderr)
    return json.loads(placed.stdout)["orders"] if placed.stdout else placed.stderr


def listed(venue):
    """Every order as firstbell has it."""
    return json.loads(venue.firstbell("orders", "list", "--all", "--json").stdout)["orders"]


def resting(seen):
    """What Ali offers now: the quantities of his sells that work."""
    return [
        each["quantity"] for each in orders_of_ali(seen, "sell") if each["status"] in {"ACCEPTED", "PARTIALLY_FILLED"}
    ]


def judge(venue, *, bought):
    """What firstbell says is what the exchange has; nothing twice, nothing too much, nothing unknown."""
    seen, ours = venue.seen(), listed(venue)
    there = {str(each["serial"]): each for each in orders_of_ali(seen)}
    known = {each["venue_order_id"]: each for each in ours if each["venue_order_id"] is not None}
    assert known.keys() == there.keys()
    for name, each in there.items():
        said = known[name]
        assert (said["status"], said["filled_qty"], said["quantity"]) == (
            each["status"],
            each["filled_qty"],
            each["quantity"],
        ), (said, each)
    assert not [each for each in ours if each["outcome"] == "unresolved"], ours
    assert len([call for call in of_ali(seen) if call["side"] == "buy"]) == 1
    assert most_too_many(seen) == 0
    assert filled(seen, "buy") == bought
    return {each["role"]: each for each in ours}


# --- a bracket


class Deaths:
    """When the watching process dies: never, of each report, or while the exchange has heard it and not answered."""

    def __init__(self, how):
        self.how = how
        self.heard = 0
        self.told = Counter()

    def of(self, report):
        # Just before an exit is sent, and after SUBMITTED, it may not leave; a minute would pass until that is known.
        if self.how != "of each report" or report["report"] in {"REPLACED", "SUBMITTED"}:
            return False
        self.told[report["role"], report["report"]] += 1
        return self.told[report["role"], report["report"]] == 1

    def options(self):
        return ("--fault", "delay:ms=400,account=ali,on=order+edit+cancel") if self.how == "unanswered" else ()

    def strike(self, venue, watcher):
        """Called again and again."""
        if self.how == "unanswered":
            heard = len([call for call in venue.seen()["submissions"] if call["account"] == "ali"])
            if heard > self.heard:
                self.heard = heard
                watcher.kill()
        watcher.keep_alive()


@pytest.mark.timeout(400)
@pytest.mark.parametrize(("how", "market"), [("never", "rises"), ("of each report", "falls"), ("unanswered", "rises")])
def test_a_bracket_trades_once_and_no_more_than_it_bought_whenever_its_watcher_dies(start, how, market):
    deaths = Deaths(how)
    venue, zahra = start(*deaths.options())
    trading(venue)
    entry, profit, stop = place(venue, *BRACKET)
    assert (entry["status"], profit["held_back"], stop["held_back"]) == ("ACCEPTED", True, True)
    deaths.heard = 1
    watcher = Watcher(venue, deaths.of)

    def until(condition):
        # Where it died right before an exit's bytes left, 75 seconds pass until the list tells that they did not.
        wait(lambda: condition(venue.seen()), lambda: deaths.strike(venue, watcher), patience_s=180)

    zahra.sell(1000, 4865)
    until(lambda seen: resting(seen) == [1000])
    zahra.sell(2000, 4865)
    until(lambda seen: resting(seen) == [3000])
    zahra.buy(1200, 4950)
    if market == "falls":
        zahra.fall(4795)
    else:
        zahra.buy(5000, 4950)
    until(lambda seen: filled(seen, "sell") == 3000)
    with journal_of(venue) as journal:
        wait(lambda: are_over(journal), lambda: deaths.strike(venue, watcher), patience_s=180)
    # Asked for once more under the same key, it is the same order.
    again = place(venue, *BRACKET)
    assert again[0]["client_order_id"] == entry["client_order_id"]
    watcher.keep_alive()
    wait(lambda: watcher.process.poll() is not None or not resting(venue.seen()))
    roles = judge(venue, bought=3000)
    assert filled(venue.seen(), "sell") == 3000
    states = {role: (each["status"], each["filled_qty"]) for role, each in roles.items()}
    assert states == {
        "entry": ("FILLED", 3000),
        "take_profit": ("CANCELED", 1200) if market == "falls" else ("FILLED", 3000),
        "stop_loss": ("FILLED", 1800) if market == "falls" else ("DENIED", 0),
    }
    assert (watcher.deaths > 0) == (how != "never")
    positions = json.loads(venue.firstbell("positions", "--json").stdout)
    assert [each["quantity"] for each in positions["positions"]] in ([], [0])


@pytest.mark.timeout(300)
def test_a_stop_whose_watcher_dies_right_before_its_bytes_leave_protects_all_the_same(start):
    venue, zahra = start()
    trading(venue)
    place(venue, *BRACKET)
    zahra.sell(3000, 4865)
    told, once = [], []

    def dies(report):
        told.append((report["role"], report["report"]))
        # The next that it does is to write down that the stop leaves, and to send it.
        now = told[-1] == ("stop_loss", "REPLACED") and told[-2] == ("take_profit", "CANCELED")
        once.append(now)
        return now and once.count(True) == 1

    watcher = Watcher(venue, dies)
    wait(lambda: resting(venue.seen()) == [3000])
    zahra.fall(4795)
    wait(lambda: watcher.deaths)
    wait(lambda: filled(venue.seen(), "sell") == 3000, watcher.keep_alive, patience_s=120)
    with journal_of(venue) as journal:
        wait(lambda: are_over(journal), watcher.keep_alive)
    judge(venue, bought=3000)
    # It may have died so late that nobody was needed any more.
    watcher.kill()


# --- two at once, and the end of a watcher


def test_one_key_placed_by_two_processes_at_the_same_time_is_one_order(start):
    venue, _ = start()
    trading(venue)
    arguments = (
        "orders",
        "place",
        "--live",
        "--account",
        ALI,
        "--instrument",
        FOLD,
        "--side",
        "buy",
        "--type",
        "limit",
    )
    order = ("--quantity", "2000", "--price", "4800", "--key", "once", "--json")
    venue.firstbell("warmup", "--json")
    both = [venue.start(*arguments, *order) for _ in range(2)]
    said = [(process.communicate(timeout=100)[0], process.returncode) for process in both]
    assert len(of_ali(venue.seen())) == 1
    ours = listed(venue)
    assert len(ours) == 1
    told = [json.loads(text)["orders"][0] for text, _ in said]
    # One of them placed it; the other one says that it is there already, or who has it.
    assert min(status for _, status in said) == 0, said
    for each, (_, status) in zip(told, said, strict=True):
        if status == 0:
            assert each["client_order_id"] == ours[0]["client_order_id"]
        else:
            assert each["status"] == "DENIED", each
    again = json.loads(venue.firstbell(*arguments, *order).stdout)["orders"][0]
    assert again["client_order_id"] == ours[0]["client_order_id"]
    assert len(venue.seen()["orders"]) == 1


def test_while_trading_is_halted_nothing_leaves_but_cancels(start):
    venue, zahra = start()
    trading(venue)
    (entry, *_) = place(venue, *BRACKET)
    zahra.sell(1000, 4865)
    watcher = Watcher(venue)
    wait(lambda: resting(venue.seen()) == [1000])
    assert venue.firstbell("halt", "--json").returncode == 0
    orders = len(of_ali(venue.seen()))
    edits = len(of_ali(venue.seen(), "edit"))
    # Its profit would grow, and its stop would leave.
    zahra.sell(500, 4865)
    said = place(venue, "--quantity", "2000", "--price", "4800", status=4)
    assert "halted" in json.dumps(said)
    assert venue.firstbell("orders", "replace", entry["client_order_id"], "--quantity", "2000").returncode != 0
    canceled = venue.firstbell("orders", "cancel", entry["client_order_id"], "--json")
    assert canceled.returncode == 0, canceled.stderr
    zahra.fall(4795)
    time.sleep(1.5)
    seen = venue.seen()
    assert (len(of_ali(seen)), len(of_ali(seen, "edit"))) == (orders, edits)
    assert filled(seen, "sell") == 0
    # Nor is it written down again and again that nothing leaves.
    assert len([each for each in watcher.told if each["report"] == "PENDING_REPLACE"]) <= 1
    assert watcher.end() == 4
    # Resumed, what was held back leaves: the stop's price has come.
    assert venue.firstbell("resume", "--json").returncode == 0
    watcher = Watcher(venue)
    wait(lambda: filled(venue.seen(), "sell") == 1500)
    with journal_of(venue) as journal:
        wait(lambda: are_over(journal))
    judge(venue, bought=1500)
    assert watcher.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_watcher_that_is_asked_to_end_ends_in_order_within_five_seconds(start, number):
    venue, _ = start("--fault", "slow_list:ms=1500,account=ali")
    trading(venue)
    place(venue, *BRACKET)
    watcher = Watcher(venue)
    wait((venue.folder / ".firstbell-practice" / "broker_health.json").exists)
    began = time.monotonic()
    assert watcher.end(number) == 0
    assert time.monotonic() - began < 5
    assert "Traceback" not in "".join(watcher.errors)
    states = {each["role"]: (each["status"], each["held_back"]) for each in listed(venue)}
    assert states == {
        "entry": ("ACCEPTED", False),
        "take_profit": ("INITIALIZED", True),
        "stop_loss": ("INITIALIZED", True),
    }


def test_a_stop_that_a_dead_process_held_is_taken_over_by_the_next_one(start):
    venue, zahra = start()
    trading(venue)
    (stop,) = place(venue, "--quantity", "700", "--trigger", "4800", side="sell", kind="stop")
    assert stop["held_back"]
    with journal_of(venue) as journal:
        first = Watcher(venue)
        wait(lambda: len(journal.entries()) == 2)
        first.kill()
        second = Watcher(venue)
        wait(lambda: len(journal.entries()) == 3)
        zahra.fall(4790)
        wait(lambda: filled(venue.seen(), "sell") == 700)
        wait(lambda: are_over(journal))
    assert [each["status"] for each in listed(venue)] == ["DENIED", "DENIED", "FILLED"]
    assert len(of_ali(venue.seen())) == 1
    assert second.end() == 0
