"""One login's way to its broker: lanes that die, hosts that fail, faults of our own; each order leaves once or not."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from datetime import date
from decimal import Decimal
from itertools import count

import gevent
import pytest
from gevent.event import Event
from sniper_hosts import BODY, OK, Hosts, answering, http

from firstbell.brokers.base import PreparedCall, PreparedOrder
from firstbell.errors import NoAnswer, NotSent
from firstbell.model.order import Order
from firstbell.model.terms import Side
from firstbell.oms.carrier import Unfired
from firstbell.oms.decision import Budget
from firstbell.sniper import carrier as carrier_module
from firstbell.sniper.carrier import LaneCarrier
from firstbell.sniper.lane import Lane
from firstbell.sniper.lane_address import LaneAddress
from firstbell.sniper.volley import Shot, Volley
from firstbell.sniper.waiting import GreenWaiter

S = 1_000_000_000
MS = 1_000_000
FOREVER = 2**62
ORDER = Order("fb-1", "A", "gs", "IRO1MHRN0001", Side.BUY, Decimal(1), Decimal(1), date(2026, 11, 21))
REFUSED = http(first="HTTP/1.1 401 Unauthorized", body=b"{}")


class Stop:
    """Stops a volley, as the run's own does."""

    def __init__(self):
        self._event = Event()

    def is_set(self):
        return self._event.is_set()

    def set(self):
        self._event.set()

    def when_set(self, call):
        self._event.rawlink(lambda _: call())


@pytest.fixture(scope="module")
def all_hosts(tmp_path_factory):
    return Hosts(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def hosts(all_hosts):
    yield all_hosts
    all_hosts.close_all()


@pytest.fixture
def stop():
    return Stop()


@pytest.fixture
def volley(stop):
    return Volley(stop)


@pytest.fixture
def make(hosts, volley):
    """Make carriers; they end with the test."""
    made = []

    def make(deadline_ns=FOREVER, deadline_wall_ns=FOREVER, ca_file=hosts.ca_file):
        made.append(LaneCarrier(volley, ca_file, Budget(9, deadline_ns, deadline_wall_ns)))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def carrier(make):
    return make()


@pytest.fixture(params=[False, True], ids=["tcp", "tls"])
def tls(request):
    return request.param


def soon(milliseconds=0):
    return time.monotonic_ns() + milliseconds * MS


def order(host, text=b"order"):
    return PreparedOrder(ORDER, "POST", host.url, "/order", {"Authorization": "Bearer t"}, text)


def proof(host):
    return PreparedCall("GET", host.url, "/money", {"Authorization": "Bearer t"}, None)


def came(host):
    """What the host was asked, as connection and last word of path or body."""
    return [
        (number, "proof" if request.startswith(b"GET /money ") else last(request)) for number, request in host.requests
    ]


def last(request):
    return request.rpartition(b"\r\n\r\n")[2].decode()


def nothing_came(host):
    return host.requests == [] and all(rest == b"" for _, rest in host.left_over)


# --- the good way ----------------------------------------------------------------------------------------------------


def test_a_lane_is_proven_and_then_carries_one_order_after_the_other(hosts, carrier, tls):
    host = hosts.serve(tls=tls)
    assert (carrier.sent_ns, carrier.sent_monotonic_ns) == (0, 0)
    carrier.prove(proof(host), soon(5_000))
    assert came(host) == [(1, "proof")]
    at_ns = soon(20)
    for number in range(3):
        answer = carrier.carry(order(host, b"order %d" % number), at_ns)
        assert (answer.status, answer.body) == (200, BODY)
        assert answer.sent_monotonic_ns >= at_ns
        assert (carrier.sent_ns, carrier.sent_monotonic_ns) == (answer.sent_ns, answer.sent_monotonic_ns)
        at_ns = soon(5)
    assert came(host) == [(1, "proof"), (1, "order 0"), (1, "order 1"), (1, "order 2")]
    assert b"Authorization: Bearer t\r\n" in host.requests[1][1]


def test_without_a_proof_a_lane_is_opened_when_it_is_needed(hosts, carrier, tls):
    host = hosts.serve(tls=tls)
    assert carrier.carry(order(host), 0).status == 200
    assert came(host) == [(1, "order")]


@pytest.mark.parametrize("left_ms", [-100, 0, 200])
def test_where_there_is_no_time_for_a_proof_none_is_begun(hosts, carrier, left_ms):
    host = hosts.serve()
    carrier.prove(proof(host), soon(left_ms))
    assert host.connections == 0


def test_an_order_to_another_host_than_the_proof_goes_to_the_other_host(hosts, carrier, tls):
    here, there = hosts.serve(tls=tls), hosts.serve(tls=tls)
    carrier.prove(proof(here), soon(5_000))
    assert carrier.carry(order(there), 0).status == 200
    assert (came(here), came(there)) == ([(1, "proof")], [(1, "order")])
    assert here.ended.get(timeout=10) == 1


def test_a_carrier_that_is_closed_ends_its_connection(hosts, carrier, tls):
    host = hosts.serve(tls=tls)
    carrier.close()
    carrier.prove(proof(host), soon(5_000))
    carrier.close()
    assert host.ended.get(timeout=10) == 1
    assert carrier.carry(order(host), 0).status == 200


# --- proofs that fail ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "connection"),
    [
        ([http(first="HTTP/1.1 500 No")], 1),
        ([http(first="HTTP/1.1 401 No")], 1),
        ([http("Connection: close\r\n")], 2),
        ([b"garbage"], 2),
        ([OK + REFUSED], 2),
        ([http(first="HTTP/1.0 200 OK")], 2),
    ],
    ids=["500", "401", "close", "garbage", "two", "1.0"],
)
def test_an_order_leaves_once_whatever_the_proof_is_answered(hosts, carrier, tls, answers, connection, caplog):
    left = list(answers)

    def script(connection):
        while connection.request() is not None:
            connection.send(left.pop(0) if left else OK)

    host = hosts.serve(script, tls)
    carrier.prove(proof(host), soon(5_000))
    answer = carrier.carry(order(host), soon(20))
    assert (answer.status, answer.body) == (200, BODY)
    assert came(host) == [(1, "proof"), (connection, "order")]
    refused = [record for record in caplog.records if "HTTP 500" in record.message or "HTTP 401" in record.message]
    assert len(refused) == (connection == 1)
    assert ("could not be proven" in caplog.text) is (answers == [b"garbage"])


def test_a_proof_that_nobody_answers_does_not_delay_the_order(hosts, carrier, caplog):
    def script(connection):
        while (request := connection.request()) is not None:
            if not request.startswith(b"GET"):
                connection.send(OK)

    host = hosts.serve(script, tls=True)
    at_ns = soon(600)
    carrier.prove(proof(host), at_ns)
    assert time.monotonic_ns() < at_ns
    assert "could not be proven" in caplog.text
    assert carrier.carry(order(host), at_ns).status == 200
    assert came(host) == [(1, "proof"), (2, "order")]


def test_a_late_second_answer_to_the_proof_is_not_taken_for_the_orders(hosts, carrier):
    more = threading.Event()

    def script(connection):
        while (request := connection.request()) is not None:
            connection.send(OK)
            if request.startswith(b"GET"):
                more.wait(10)
                connection.send(REFUSED)

    host = hosts.serve(script, tls=True)
    carrier.prove(proof(host), soon(5_000))
    waiting = gevent.spawn(carrier.carry, order(host), soon(400))
    gevent.sleep(0.01)
    more.set()
    assert waiting.get(timeout=10).status == 200
    assert came(host) == [(1, "proof"), (2, "order")]


@pytest.mark.parametrize("url", ["http://broker.example", "https://u:p@broker.example"])
def test_an_address_that_nothing_may_be_sent_to_is_only_said(carrier, url, caplog):
    carrier.prove(PreparedCall("GET", url, "/", {}, None), soon(5_000))
    assert "could not be proven" in caplog.text
    with pytest.raises(NotSent):
        carrier.carry(PreparedOrder(ORDER, "POST", url, "/", {}, b""), soon(60_000))


# --- hosts that fail before the instant ------------------------------------------------------------------------------


def test_where_idle_connections_are_ended_the_order_leaves_once_on_a_fresh_one(hosts, carrier, tls):
    """Until shortly before the bell each connection ends when it has been idle for some hundredths of a second."""
    at_ns = soon(600)

    def script(connection):
        if time.monotonic_ns() < at_ns - 150 * MS:
            connection.socket.settimeout(0.05)
        try:
            answering()(connection)
        except TimeoutError:
            return

    host = hosts.serve(script, tls)
    carrier.prove(proof(host), at_ns)
    answer = carrier.carry(order(host), at_ns)
    assert answer.status == 200
    assert carrier.sent_monotonic_ns >= at_ns
    assert [word for _, word in came(host)] == ["proof", "order"]
    assert host.connections >= 2


def ends(connection):
    del connection


def resets(connection):
    connection.reset()


@pytest.mark.parametrize("script", [ends, resets])
def test_nothing_is_called_unsent_before_the_instant(hosts, carrier, tls, script):
    """Whoever hears that nothing left sends again: before the bell, that is."""
    host = hosts.serve(script, tls)
    at_ns = soon(300)
    # What is sent on a connection that is being ended may have left.
    with pytest.raises((NotSent, NoAnswer)):
        carrier.carry(order(host), at_ns)
    assert time.monotonic_ns() >= at_ns
    assert 3 <= host.connections <= 16
    assert host.requests == []


def test_a_host_that_is_down_is_tried_until_the_instant(hosts, carrier, tls):
    host = hosts.serve(tls=tls, up=False)
    at_ns = soon(200)
    with pytest.raises(NotSent, match="connection refused; nothing was sent"):
        carrier.carry(order(host), at_ns)
    assert time.monotonic_ns() >= at_ns


def test_a_host_that_comes_up_before_the_instant_gets_the_order_at_the_instant(hosts, carrier, tls):
    host = hosts.serve(tls=tls, up=False)
    at_ns = soon(400)
    gevent.spawn_later(0.1, host.come_up)
    assert carrier.carry(order(host), at_ns).status == 200
    assert carrier.sent_monotonic_ns >= at_ns
    assert came(host) == [(1, "order")]


def test_a_host_that_is_down_at_the_instant_is_not_hammered(hosts, carrier, monkeypatch):
    host = hosts.serve(up=False)
    opened = []

    class Counted(Lane):
        def open(self, deadline_ns):
            opened.append(deadline_ns)
            super().open(deadline_ns)

    monkeypatch.setattr(carrier_module, "Lane", Counted)
    with pytest.raises(NotSent, match="connection refused"):
        carrier.carry(order(host), soon(-1))
    assert len(opened) == 1


@pytest.mark.parametrize(
    ("left_ms", "failures", "paused_s"),
    [
        (60_000, 1, []),
        (60_000, 2, [1]),
        (1_000, 2, [0.5]),
        (200, 3, [0.1]),
        (60, 3, [0.05]),
        (20, 9, [0.02]),
        (0, 9, []),
    ],
)
def test_the_pauses_between_connections_never_last_beyond_the_instant(monkeypatch, left_ms, failures, paused_s):
    paused = []
    with monkeypatch.context() as patch:
        patch.setattr(carrier_module.gevent, "sleep", paused.append)
        patch.setattr(carrier_module.time, "monotonic_ns", lambda: S)
        carrier_module._pause(S + left_ms * MS, failures)
    assert paused == paused_s


def test_an_authority_that_cannot_be_read_is_said(hosts, make, tmp_path):
    host = hosts.serve(tls=True)
    with pytest.raises(NotSent, match="the ca_file .*none.pem cannot be used: No such file or directory"):
        make(ca_file=tmp_path / "none.pem").carry(order(host), 0)
    assert host.connections == 0


def test_a_host_with_a_strangers_certificate_gets_nothing(hosts, carrier, tmp_path):
    host = hosts.serve(tls=Hosts(tmp_path).server_context())
    carrier.prove(proof(host), soon(5_000))
    with pytest.raises(NotSent, match="its certificate is not trusted"):
        carrier.carry(order(host), 0)
    assert nothing_came(host)


# --- lanes that fail at the instant ----------------------------------------------------------------------------------


class Dead(Lane):
    """Found dead whenever anybody looks."""

    def alive(self):
        return False


class Refused(Lane):
    """The system does not take its bytes."""

    def shot(self):
        def refuse(_):
            raise ConnectionResetError

        return refuse, super().shot()[1]


@pytest.mark.parametrize(
    ("kind", "words"), [(Dead, "its connections end before anything"), (Refused, "the connection broke")]
)
def test_from_the_instant_on_a_few_lanes_are_tried(hosts, carrier, monkeypatch, kind, words):
    host = hosts.serve()
    monkeypatch.setattr(carrier_module, "Lane", kind)
    with pytest.raises(NotSent, match=f"{words}.*; nothing was sent") as caught:
        carrier.carry(order(host), 0)
    assert caught.value.host == f"127.0.0.1:{host.port}"
    for _ in range(4):
        host.ended.get(timeout=10)
    assert host.connections == 4
    assert nothing_came(host)


@pytest.mark.parametrize("kind", [Dead, Refused])
@pytest.mark.parametrize("failures", [1, 3])
def test_the_order_leaves_on_the_first_lane_that_takes_it(hosts, carrier, monkeypatch, tls, kind, failures):
    host = hosts.serve(tls=tls)
    numbers = count()

    def lane(*of):
        return kind(*of) if next(numbers) < failures else Lane(*of)

    monkeypatch.setattr(carrier_module, "Lane", lane)
    assert carrier.carry(order(host), 0).status == 200
    assert came(host) == [(failures + 1, "order")]


# --- answers that do not come ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", [b"", OK[:-1], b"garbage"])
def test_an_order_without_a_whole_answer_may_have_left_and_is_not_sent_again(hosts, carrier, tls, said):
    def script(connection):
        connection.request()
        connection.send(said)

    host = hosts.serve(script, tls)
    before_ns, before_wall_ns = time.monotonic_ns(), time.time_ns()
    with pytest.raises(NoAnswer):
        carrier.carry(order(host), 0)
    assert before_ns <= carrier.sent_monotonic_ns <= time.monotonic_ns()
    assert before_wall_ns <= carrier.sent_ns <= time.time_ns()
    assert came(host) == [(1, "order")]
    with pytest.raises(NoAnswer):
        carrier.carry(order(host, b"next"), 0)
    assert came(host) == [(1, "order"), (2, "next")]


def test_who_never_answers_is_waited_for_a_while(hosts, carrier, monkeypatch):
    monkeypatch.setattr(carrier_module, "ANSWER_WITHIN_S", 0.05)

    def script(connection):
        connection.request()
        connection.request()

    host = hosts.serve(script)
    with pytest.raises(NoAnswer, match="nothing came within"):
        carrier.carry(order(host), 0)
    assert host.ended.get(timeout=10) == 1
    assert came(host) == [(1, "order")]


# --- stopped, killed, too late ---------------------------------------------------------------------------------------


def test_what_is_stopped_before_its_instant_never_leaves(hosts, carrier, volley, stop, tls):
    host = hosts.serve(tls=tls)
    carrier.prove(proof(host), soon(5_000))
    gevent.spawn_later(0.05, stop.set)
    assert carrier.carry(order(host), soon(60_000)) is Unfired.STOPPED
    assert carrier.carry(order(host), 0) is Unfired.STOPPED
    assert volley.flying == 0
    assert host.ended.get(timeout=10) == 1
    assert came(host) == [(1, "proof")]
    assert host.connections == 1


def test_a_stop_ends_the_trying_of_a_host_that_is_down(hosts, carrier, stop):
    host = hosts.serve(up=False)
    gevent.spawn_later(0.1, stop.set)
    with gevent.Timeout(10):
        assert carrier.carry(order(host), soon(700)) is Unfired.STOPPED


def test_who_is_killed_while_it_waits_sends_nothing_later(hosts, carrier, volley, tls):
    host = hosts.serve(tls=tls)
    carrier.prove(proof(host), soon(5_000))
    at_ns = soon(300)
    waiting = gevent.spawn(carrier.carry, order(host), at_ns)
    while not volley.flying:
        gevent.sleep(0.001)
    waiting.kill()
    assert volley.flying == 0
    assert volley.next_ns() is None
    assert host.ended.get(timeout=10) == 1
    assert came(host) == [(1, "proof")]
    assert all(rest == b"" for _, rest in host.left_over)


def test_who_is_killed_while_it_awaits_its_answer_leaves_no_lane_behind(hosts, carrier):
    go = threading.Event()

    def script(connection):
        connection.request()
        go.set()
        connection.request()

    host = hosts.serve(script)
    waiting = gevent.spawn(carrier.carry, order(host), 0)
    while not go.is_set():
        gevent.sleep(0.001)
    waiting.kill()
    assert host.ended.get(timeout=10) == 1
    assert came(host) == [(1, "order")]


@pytest.mark.parametrize("clock", ["ours", "the wall's"])
def test_after_the_time_to_give_up_nothing_leaves(hosts, make, tls, clock):
    host = hosts.serve(tls=tls)
    late = make(soon(-1)) if clock == "ours" else make(deadline_wall_ns=time.time_ns() - MS)
    assert late.carry(order(host), 0) is Unfired.TOO_LATE
    assert host.ended.get(timeout=10) == 1
    assert nothing_came(host)


# --- faults of our own -----------------------------------------------------------------------------------------------


def fault(*_):
    raise ZeroDivisionError


def test_a_fault_while_it_fires_leaves_the_order_unresolved(hosts, carrier, capfd):
    host = hosts.serve()
    assert carrier.carry(order(host, b"first"), 0).status == 200
    first_ns = carrier.sent_monotonic_ns
    carrier._lane.shot = fault
    with pytest.raises(NoAnswer, match="a fault of firstbell's own .*; the order may have left") as caught:
        carrier.carry(order(host, b"second"), 0)
    assert "ZeroDivisionError" in capfd.readouterr().err
    assert caught.value.host == f"127.0.0.1:{host.port}"
    # It may have left until now, not when the one before it did.
    assert first_ns < carrier.sent_monotonic_ns <= time.monotonic_ns()
    assert carrier.sent_ns <= time.time_ns()
    assert host.ended.get(timeout=10) == 1
    assert came(host) == [(1, "first")]


def test_a_fault_while_the_answer_is_read_leaves_the_order_unresolved(hosts, carrier, monkeypatch):
    host = hosts.serve()
    monkeypatch.setattr(Lane, "read", fault)
    with pytest.raises(NoAnswer, match=r"a fault of firstbell's own \(ZeroDivisionError\); the order may have left"):
        carrier.carry(order(host), 0)
    assert (carrier.sent_ns, carrier.sent_monotonic_ns) == (carrier._lane.sent_ns, carrier._lane.sent_monotonic_ns)
    assert carrier.sent_monotonic_ns > 0
    assert host.ended.get(timeout=10) == 1
    assert came(host) == [(1, "order")]


def test_a_header_that_cannot_be_written_is_refused_before_anything_is_opened(hosts, carrier):
    host = hosts.serve()
    spoiled = PreparedOrder(ORDER, "POST", host.url, "/", {"Authorization": "Bearer \r\nX: secret"}, b"{}")
    with pytest.raises(ValueError, match="Authorization") as caught:
        carrier.carry(spoiled, 0)
    assert "secret" not in str(caught.value)
    assert host.connections == 0


# --- others' instants ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["prove", "carry"])
def test_no_connection_is_begun_just_before_something_leaves(hosts, carrier, volley, how):
    host, other = hosts.serve(), hosts.serve()
    lane = Lane(LaneAddress.of(other.url), None, GreenWaiter())
    with lane:
        lane.open(soon(10_000))
        lane.seal(b"x")
        leaving = gevent.spawn(volley.fire, Shot(lane, soon(35), FOREVER, FOREVER))
        gevent.sleep(0)
        if how == "prove":
            carrier.prove(proof(host), soon(5_000))
        else:
            assert carrier.carry(order(host), 0).status == 200
        leaving.join(10)
        assert host.accepted_ns[0] > lane.sent_monotonic_ns


def test_a_slow_login_does_not_delay_the_others(hosts, make, tls):
    """One has a host that never speaks, one a host that is down: the third is fired at its instant."""

    def silent(connection):
        while connection.receive():
            pass

    mute, down, good = hosts.serve(silent), hosts.serve(up=False), hosts.serve(tls=tls)
    at_ns = soon(300)
    stuck = [gevent.spawn(make().carry, order(host), at_ns) for host in (mute, down)]
    third = make()
    assert third.carry(order(good), at_ns).status == 200
    assert third.sent_monotonic_ns >= at_ns
    assert came(good) == [(1, "order")]
    gevent.killall(stuck)


# --- in a program that gevent has patched ----------------------------------------------------------------------------

PATCHED = """
import json, sys, time
from gevent import monkey
monkey.patch_all()
import gevent
from datetime import date
from decimal import Decimal
from pathlib import Path
from firstbell.brokers.base import PreparedCall, PreparedOrder
from firstbell.errors import BrokerError
from firstbell.model.order import Order
from firstbell.model.terms import Side
from firstbell.oms.decision import Budget
from firstbell.sniper import carrier
from firstbell.sniper.carrier import LaneCarrier
from firstbell.sniper.lane import _PlainSocket
from firstbell.sniper.users import GreenInterrupt
from firstbell.sniper.volley import Volley

carrier.ANSWER_WITHIN_S = 0.3
good, closing, mute, down = sys.argv[2:]
order = Order("fb-1", "A", "gs", "I", Side.BUY, Decimal(1), Decimal(1), date(2026, 11, 21))
stop = GreenInterrupt()
volley = Volley(stop)
at_ns = time.monotonic_ns() + 1_200_000_000

def run(name, url, waits_ns, again):
    carrier = LaneCarrier(volley, Path(sys.argv[1]), Budget(9, 2**62, 2**62))
    try:
        carrier.prove(PreparedCall("GET", url, "/money", {}, None), at_ns)
        said = []
        for text in [name] + [name + " again"] * again:
            answer = carrier.carry(PreparedOrder(order, "POST", url, "/", {}, text.encode()), at_ns + waits_ns)
            said.append(getattr(answer, "status", None) or answer.name)
        return said, carrier.sent_monotonic_ns >= at_ns
    except BrokerError as error:
        return [type(error).__name__], time.monotonic_ns() >= at_ns
    finally:
        carrier.close()

jobs = {f"good {n}": gevent.spawn(run, f"good {n}", good, n % 3 * 30_000_000, 1) for n in range(40)}
jobs |= {f"closing {n}": gevent.spawn(run, f"closing {n}", closing, 0, 0) for n in range(3)}
jobs["mute"] = gevent.spawn(run, "mute", mute, 0, 0)
jobs["down"] = gevent.spawn(run, "down", down, 0, 0)
jobs["killed"] = gevent.spawn(run, "killed", good, 300_000_000, 0)
jobs["stopped"] = gevent.spawn(run, "stopped", good, 60_000_000_000, 0)
gevent.spawn_later(1.0, jobs["killed"].kill)
gevent.joinall([job for name, job in jobs.items() if name != "stopped"])
stop.stop()
results = {name: job.get() for name, job in jobs.items() if name != "killed"}
import socket
print(json.dumps([results, _PlainSocket is not socket.socket]))
"""


def test_all_of_it_in_a_program_that_gevent_has_patched(hosts):
    def idle(connection):
        # Each login's proven lane, and the one after it.
        if connection.number <= 6:
            connection.socket.settimeout(0.2)
        try:
            answering()(connection)
        except TimeoutError:
            return

    def mute(connection):
        connection.request()
        connection.request()

    good, closing, silent = hosts.serve(tls=True), hosts.serve(idle, tls=True), hosts.serve(mute)
    down = hosts.serve(up=False)
    urls = [host.url for host in (good, closing, silent, down)]
    told = [sys.executable, "-c", PATCHED, str(hosts.ca_file), *urls]
    done = subprocess.run(told, check=True, capture_output=True, text=True, timeout=60)
    results, original = json.loads(done.stdout)
    assert original
    assert "Traceback" not in done.stderr
    for number in range(40):
        assert results[f"good {number}"] == [[200, 200], True]
        mine = [entry for entry in came(good) if entry[1] in {f"good {number}", f"good {number} again"}]
        assert [word for _, word in mine] == [f"good {number}", f"good {number} again"]
        assert mine[0][0] == mine[1][0]
    for number in range(3):
        assert results[f"closing {number}"] == [[200], True]
    assert sorted(word for _, word in came(closing) if word != "proof") == ["closing 0", "closing 1", "closing 2"]
    assert results["mute"] == [["NoAnswer"], True]
    assert [word for _, word in came(silent) if word != "proof"] == ["mute"]
    assert results["down"] == [["NotSent"], True]
    assert results["stopped"] == [["STOPPED"], False]
    assert not any("killed" in word or "stopped" in word for _, word in came(good))
