"""The volley on real sockets: who fires, when, how often, and what becomes of every shot that does not."""

from __future__ import annotations

import gc
import signal
import socket
import sys
import time
from collections import Counter
from contextlib import contextmanager, suppress

import gevent
import pytest
from gevent.event import Event
from sniper_hosts import OK, Hosts

from firstbell.errors import NotSent
from firstbell.sniper.lane import Lane
from firstbell.sniper.lane_address import LaneAddress
from firstbell.sniper.volley import Fate, Shot, Volley
from firstbell.sniper.waiting import GreenWaiter, PlainWaiter

S = 1_000_000_000
MS = 1_000_000
FOREVER = 2**62


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


class Field:
    """Lanes to a listener that only takes down, when asked, what came on each connection."""

    def __init__(self, hosts):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.listener.settimeout(10)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.hosts = hosts
        self.stop = Stop()
        self.volley = Volley(self.stop)
        self.lanes = []
        self.peers = []

    def lane(self, kind=Lane, url=None):
        lane = kind(LaneAddress.of(url or self.url), self.hosts.client_context(), GreenWaiter())
        self.lanes.append(lane)
        lane.open(time.monotonic_ns() + 10 * S)
        if url is None:
            peer, _ = self.listener.accept()
            self.peers.append(peer)
            peer.settimeout(10)
        return lane

    def shot(self, text=b"x", at_ns=0, *, kind=Lane, not_after_ns=FOREVER, not_after_wall_ns=FOREVER):
        lane = self.lane(kind)
        lane.seal(text)
        return Shot(lane, at_ns, not_after_ns, not_after_wall_ns)

    def fire(self, *shots):
        """Fire them together, and wait for all their fates."""
        fired = [gevent.spawn(self.volley.fire, shot) for shot in shots]
        done = gevent.joinall(fired, timeout=20)
        assert len(done) == len(fired), [shot.fate for shot in shots]
        for shot, greenlet in zip(shots, fired, strict=True):
            assert greenlet.get() is shot
        return [shot.fate for shot in shots]

    def received(self):
        """What came on each connection, once all lanes are closed."""
        for lane in self.lanes:
            lane.close()
        came = []
        for peer in self.peers:
            data = b""
            with suppress(ConnectionError):
                while block := peer.recv(1 << 16):
                    data += block
            came.append(data)
        return came

    def close(self):
        for lane in self.lanes:
            lane.close()
        for peer in self.peers:
            peer.close()
        self.listener.close()


@pytest.fixture(scope="module")
def all_hosts(tmp_path_factory):
    return Hosts(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def hosts(all_hosts):
    yield all_hosts
    all_hosts.close_all()


@pytest.fixture
def field(hosts):
    field = Field(hosts)
    yield field
    field.close()


def soon(milliseconds=0):
    return time.monotonic_ns() + milliseconds * MS


@contextmanager
def faults(capfd):
    """Faults that gevent is to print: the tests that cause them look at what follows from them."""
    yield
    assert "Traceback" in capfd.readouterr().err


# --- firing ----------------------------------------------------------------------------------------------------------


def test_a_shot_is_fired_at_its_instant_and_not_before(field):
    at_ns = soon(40)
    shot = field.shot(b"order", at_ns)
    assert shot.fate is Fate.WAITING
    before_wall_ns = time.time_ns()
    assert field.fire(shot) == [Fate.FIRED]
    assert at_ns <= shot.lane.sent_monotonic_ns <= time.monotonic_ns()
    assert before_wall_ns <= shot.lane.sent_ns <= time.time_ns()
    assert shot.failure is None
    assert field.received() == [b"order"]


@pytest.mark.parametrize("late_ms", [0, 1, 5_000])
def test_a_shot_whose_instant_has_passed_is_fired_at_once(field, late_ms):
    assert field.fire(field.shot(b"order", soon(-late_ms))) == [Fate.FIRED]
    assert field.received() == [b"order"]


def test_three_hundred_lanes_fire_once_each(field):
    at_ns = soon(600)
    shots = [field.shot(b"order %d" % number, at_ns) for number in range(300)]
    assert Counter(field.fire(*shots)) == {Fate.FIRED: 300}
    assert all(shot.lane.sent_monotonic_ns >= at_ns for shot in shots)
    assert field.received() == [b"order %d" % number for number in range(300)]


def test_lanes_with_different_instants_each_keep_their_own(field):
    begins_ns = soon(30)
    after_ms = [0, 40, 3, 90, 12, 0, 40, 9, 25, 0]
    shots = [field.shot(b"order %d" % n, begins_ns + ms * MS) for n, ms in enumerate(after_ms)]
    assert set(field.fire(*shots)) == {Fate.FIRED}
    # What is due within 20 µs is fired together.
    assert all(shot.lane.sent_monotonic_ns >= shot.at_ns - 20_000 for shot in shots)
    sent = sorted(shots, key=lambda shot: shot.lane.sent_monotonic_ns)
    assert [shot.at_ns for shot in sent] == sorted(shot.at_ns for shot in shots)
    assert field.received() == [b"order %d" % n for n in range(len(after_ms))]


def test_a_shot_may_join_while_others_wait_and_be_first(field):
    late = field.shot(b"late", soon(60_000))
    waiting = gevent.spawn(field.volley.fire, late)
    gevent.sleep(0.01)
    assert field.volley.next_ns() == late.at_ns
    early = field.shot(b"early", soon(20))
    woken = []
    field.volley._news.rawlink(woken.append)
    joining = gevent.spawn(field.volley.fire, early)
    gevent.sleep(0)
    assert field.volley.next_ns() == early.at_ns
    assert joining.get(timeout=10).fate is Fate.FIRED
    assert woken
    assert late.fate is Fate.WAITING
    assert field.volley.next_ns() == late.at_ns
    waiting.kill()
    assert field.volley.next_ns() is None
    assert field.received() == [b"", b"early"]


def test_one_volley_fires_again_and_again(field):
    for number in range(30):
        shot = field.shot(b"%d" % number, soon(number % 3))
        assert field.fire(shot) == [Fate.FIRED]
        assert field.volley.next_ns() is None
    assert field.received() == [b"%d" % number for number in range(30)]


def test_it_counts_what_flies(field):
    assert field.volley.flying == 0
    with suppress(KeyError), field.volley.in_flight(), field.volley.in_flight():
        assert field.volley.flying == 2
        raise KeyError
    assert field.volley.flying == 0


def test_over_tls_an_answer_follows(field, hosts):
    host = hosts.serve(tls=True)
    at_ns = soon(100)
    lanes = [field.lane(url=host.url) for _ in range(10)]
    for number, lane in enumerate(lanes):
        lane.seal(b"POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\n%d" % number)
    shots = [Shot(lane, at_ns, FOREVER, FOREVER) for lane in lanes]
    assert set(field.fire(*shots)) == {Fate.FIRED}
    assert all(lane.read(soon(10_000)).status == 200 for lane in lanes)
    assert sorted(request[-1:] for _, request in host.requests) == [b"%d" % number for number in range(10)]
    assert sorted(number for number, _ in host.requests) == list(range(1, 11))


# --- stopping --------------------------------------------------------------------------------------------------------


def test_a_stop_before_the_instant_keeps_everything_back(field):
    shots = [field.shot(b"order", soon(ms)) for ms in (60_000, 60_000, 70_000, 500)]
    gevent.spawn_later(0.01, field.stop.set)
    assert not field.volley.stopped
    assert set(field.fire(*shots)) == {Fate.STOPPED}
    assert field.volley.stopped
    assert field.volley.next_ns() is None
    assert field.received() == [b""] * 4


@pytest.mark.parametrize("ms", [0, 5, 40, 700])
def test_while_trading_only_reduces_sells_leave_and_buys_do_not(field, ms):
    field.volley = Volley(field.stop, lambda: True)
    shots = [field.shot(text, soon(ms)) for text in (b"buy", b"sell", b"buy too")]
    shots[0].buys = shots[2].buys = True
    assert field.fire(*shots) == [Fate.REDUCING, Fate.FIRED, Fate.REDUCING]
    assert field.received() == [b"", b"sell", b""]


def test_it_is_seen_in_the_last_moment_that_trading_only_reduces(field):
    """What waits is looked at seldom at first, and once more right before it leaves."""
    at_ns = soon(400)
    field.volley = Volley(field.stop, lambda: time.monotonic_ns() > at_ns - 15 * MS)
    buy, sell = field.shot(b"buy", at_ns), field.shot(b"sell", at_ns)
    buy.buys = True
    assert field.fire(buy, sell) == [Fate.REDUCING, Fate.FIRED]


def test_where_nothing_buys_nobody_is_asked(field):
    def asked():
        pytest.fail("it was asked")

    field.volley = Volley(field.stop, asked)
    assert field.fire(field.shot(b"sell", soon(20))) == [Fate.FIRED]


def test_a_stop_wakes_whoever_sleeps(field):
    field.volley._news.clear()
    field.stop.set()
    assert field.volley._news.wait(10)


@pytest.mark.parametrize("ms", [-5, 0, 5, 20, 60_000])
def test_after_a_stop_nothing_leaves(field, ms):
    field.stop.set()
    assert field.fire(field.shot(b"order", soon(ms))) == [Fate.STOPPED]
    assert field.received() == [b""]


def test_a_stop_in_the_last_milliseconds_keeps_everything_back(field):
    """A signal comes while it spins, when no greenlet runs."""

    class Signaled(Stop):
        come = False

        def is_set(self):
            return self.come

    stop = Signaled()
    field.volley = Volley(stop)
    before = signal.signal(signal.SIGALRM, lambda *_: setattr(stop, "come", True))
    try:
        assert set(field.fire(*(field.shot(b"order", kind=kind) for kind in (Lane, Alarmed, Lane)))) == {Fate.STOPPED}
    finally:
        signal.signal(signal.SIGALRM, before)
    assert stop.come
    assert field.received() == [b""] * 3


class Alarmed(Lane):
    """A signal comes while it is being fired."""

    def shot(self):
        shot = super().shot()
        signal.raise_signal(signal.SIGALRM)
        return shot


# --- too late --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("clocks", [["ours"], ["the wall's"], ["ours", "the wall's"]])
@pytest.mark.parametrize("late_first", [True, False])
def test_after_the_time_to_give_up_nothing_leaves_on_either_clock(field, clocks, late_first):
    ends = {"ours": {"not_after_ns": soon(-1)}, "the wall's": {"not_after_wall_ns": time.time_ns() - MS}}
    late = [field.shot(b"late", **ends[clock]) for clock in clocks]
    in_time = [field.shot(b"in time")]
    # All are due, so they are fired together; one that is too late takes no other with it.
    field.fire(*(late + in_time if late_first else in_time + late))
    assert [shot.fate for shot in late + in_time] == [Fate.TOO_LATE] * len(late) + [Fate.FIRED]
    assert field.received() == [b""] * len(late) + [b"in time"]


@pytest.mark.parametrize("clock", ["ours", "the wall's"])
def test_the_time_to_give_up_counts_at_the_instant_itself(field, clock):
    at_ns, wall_ns = soon(8), time.time_ns()
    ends = {"not_after_ns": at_ns - MS} if clock == "ours" else {"not_after_wall_ns": wall_ns + 4 * MS}
    shots = [
        field.shot(b"late", at_ns, **ends),
        field.shot(b"in time", at_ns, not_after_ns=at_ns + 60 * S, not_after_wall_ns=wall_ns + 60 * S),
    ]
    assert field.fire(*shots) == [Fate.TOO_LATE, Fate.FIRED]
    assert field.received() == [b"", b"in time"]


# --- killed ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["killed", "timed out"])
def test_who_is_killed_while_it_waits_takes_its_shot_out(field, how):
    at_ns = soon(3_000)
    lost, kept = field.shot(b"lost", at_ns), field.shot(b"kept", at_ns)
    loses = gevent.spawn(field.volley.fire, lost)
    keeps = gevent.spawn(field.volley.fire, kept)
    gevent.sleep(0.01)
    loses.kill(gevent.GreenletExit if how == "killed" else gevent.Timeout(1), block=True)
    keeps.join(10)
    assert (lost.fate, kept.fate) == (Fate.WAITING, Fate.FIRED)
    assert field.received() == [b"", b"kept"]


def test_whoever_takes_a_shot_out_leaves_the_others_in_their_order(field):
    begins_ns = soon(60_000)
    shots = [field.shot(b"x", begins_ns + ms * MS) for ms in (0, 5, 2, 9, 6, 3, 4)]
    waiting = {shot.at_ns: gevent.spawn(field.volley.fire, shot) for shot in shots}
    gevent.sleep(0.01)
    for at_ns in sorted(waiting):
        assert field.volley.next_ns() == at_ns
        waiting[at_ns].kill()
    assert field.volley.next_ns() is None


# --- lanes that die --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["ended", "reset", "spoke"])
def test_a_lane_that_dies_while_it_waits_is_given_back_at_once(field, how):
    # As long before as lanes are watched.
    begins_ns = soon(2_900)
    doomed, kept = field.shot(b"doomed", begins_ns + MS), field.shot(b"kept", begins_ns)
    firing = [gevent.spawn(field.volley.fire, shot) for shot in (doomed, kept)]
    gevent.sleep(0.01)
    end(field.peers.pop(0), how)
    firing[0].join(10)
    assert doomed.fate is Fate.LANE_DIED
    assert (kept.fate, field.volley.next_ns()) == (Fate.WAITING, begins_ns)
    firing[1].kill()
    assert field.received() == [b""]


def end(peer, how="reset"):
    """End a connection from its host's side, or say something unasked on it."""
    if how == "spoke":
        peer.send(OK)
    elif how == "reset":
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.close()


def test_lanes_that_are_dead_when_they_are_due_are_given_back_and_the_others_fire(field):
    shots = [field.shot(b"%d" % number) for number in range(6)]
    for number in (0, 3, 5):
        field.peers[number].shutdown(socket.SHUT_WR)
        assert PlainWaiter().readable(shots[number].lane._socket.fileno(), 10)
    died, fired = Fate.LANE_DIED, Fate.FIRED
    assert field.fire(*shots) == [died, fired, fired, died, fired, died]
    assert field.received() == [b"", b"1", b"2", b"", b"4", b""]


class Blind(Lane):
    """A lane that looks alive: it dies between the last look and its instant."""

    def alive(self):
        return True


def test_what_the_system_refuses_is_not_sent_and_the_others_fire(field):
    shots = [field.shot(b"%d" % number, kind=Blind) for number in range(3)]
    end(field.peers.pop(1))
    assert PlainWaiter().readable(shots[1].lane._socket.fileno(), 10)
    assert field.fire(*shots) == [Fate.FIRED, Fate.NOT_SENT, Fate.FIRED]
    assert isinstance(shots[1].failure, NotSent)
    assert "nothing was sent" in str(shots[1].failure)
    assert not shots[1].lane.is_open
    assert field.received() == [b"0", b"2"]


def test_a_full_socket_counts_as_fired_and_the_rest_follows_once(field):
    lane = field.lane()
    filled = 0
    with suppress(BlockingIOError):
        while True:
            filled += lane._socket.send(b"x" * (1 << 20))
    lane.seal(b"order")
    shots = [Shot(lane, 0, FOREVER, FOREVER), field.shot(b"other")]
    assert field.fire(*shots) == [Fate.FIRED, Fate.FIRED]
    reading = gevent.spawn(lane.read, soon(10_000))
    came = b""
    while len(came) < filled + 5:
        came += field.peers[0].recv(1 << 20)
        gevent.sleep(0)
    field.peers[0].sendall(OK)
    assert reading.get().status == 200
    assert came == b"x" * filled + b"order"
    assert field.received() == [b"", b"other"]


# --- faults of our own -----------------------------------------------------------------------------------------------


class Unloadable(Lane):
    def shot(self):
        raise ZeroDivisionError


class Forgetful(Lane):
    def fired(self, *_):
        raise ZeroDivisionError


class Blunt(Lane):
    def alive(self):
        raise ZeroDivisionError


@pytest.mark.parametrize("kind", [Unloadable, Forgetful])
def test_after_a_fault_in_the_burst_it_is_not_known_what_left_and_nobody_waits_for_ever(field, kind, capfd):
    due = [field.shot(b"0"), field.shot(b"1", kind=kind), field.shot(b"2")]
    later = [field.shot(b"3", soon(60_000)), field.shot(b"4", soon(60_001))]
    with faults(capfd):
        fates = field.fire(*due, *later)
    # What was to leave together may have left. What was to leave later certainly has not.
    assert fates[1:3] == [Fate.WAITING] * 2
    assert fates[0] in {Fate.WAITING, Fate.FIRED}
    assert (fates[0] is Fate.FIRED) is (kind is Forgetful)
    assert fates[3:] == [Fate.LANE_DIED] * 2
    assert all(shot.done.is_set() for shot in due + later)
    assert field.volley.next_ns() is None
    assert field.fire(field.shot(b"5")) == [Fate.FIRED]
    left = b"0 1 2".split() if kind is Forgetful else [b""] * 3
    assert field.received() == [*left, b"", b"", b"5"]


@pytest.mark.parametrize("ms", [0, 500])
def test_after_a_fault_before_the_burst_nothing_has_left_and_nobody_waits_for_ever(field, ms, capfd):
    shots = [field.shot(b"0", soon(ms)), field.shot(b"1", soon(ms), kind=Blunt), field.shot(b"2", soon(60_000))]
    with faults(capfd):
        assert field.fire(*shots) == [Fate.LANE_DIED] * 3
    assert field.received() == [b""] * 3


def test_an_interrupt_in_the_burst_is_a_fault_like_any_other(field):
    """Ctrl-C while it spins: Python raises it right there, and gevent hands it on to the main greenlet."""
    shot, later = field.shot(b"order", kind=Alarmed), field.shot(b"later", soon(60_000))
    hub = gevent.get_hub()
    before, errors = signal.signal(signal.SIGALRM, signal.default_int_handler), hub.NOT_ERROR
    hub.NOT_ERROR = (*errors, KeyboardInterrupt)
    waiting = [gevent.spawn(field.volley.fire, each) for each in (shot, later)]
    try:
        with pytest.raises(KeyboardInterrupt):
            gevent.joinall(waiting, timeout=10)
        gevent.joinall(waiting, timeout=10)
    finally:
        signal.signal(signal.SIGALRM, before)
        hub.NOT_ERROR = errors
    assert (shot.fate, later.fate) == (Fate.WAITING, Fate.LANE_DIED)
    assert all(greenlet.dead for greenlet in waiting)
    assert field.received() == [b"", b""]


# --- calm ------------------------------------------------------------------------------------------------------------


class Witness(Lane):
    """Takes down what the interpreter is told to do while it is loaded."""

    saw = None

    def shot(self):
        self.saw = (gc.isenabled(), sys.getswitchinterval())
        return super().shot()


@pytest.fixture
def interpreter():
    """Puts the collector and the interpreter's switching back as they were."""
    interval_s = sys.getswitchinterval()
    yield
    gc.enable()
    gc.unfreeze()
    sys.setswitchinterval(interval_s)


@pytest.mark.usefixtures("interpreter")
@pytest.mark.parametrize("collecting", [True, False])
def test_while_it_fires_no_garbage_is_collected_and_no_thread_keeps_the_interpreter(field, collecting):
    if not collecting:
        gc.disable()
    sys.setswitchinterval(0.0625)
    shot = field.shot(kind=Witness)
    assert field.fire(shot) == [Fate.FIRED]
    off, interval_s = shot.lane.saw
    assert not off
    # Every `send` lets other threads in: who then computes gives back soon.
    assert interval_s <= 0.0001
    assert (gc.isenabled(), sys.getswitchinterval()) == (collecting, 0.0625)


@pytest.mark.usefixtures("interpreter")
def test_after_a_fault_the_interpreter_is_as_before(field, capfd):
    sys.setswitchinterval(0.0625)
    with faults(capfd):
        field.fire(field.shot(kind=Unloadable))
    assert (gc.isenabled(), sys.getswitchinterval()) == (True, 0.0625)


@pytest.mark.usefixtures("interpreter")
def test_garbage_is_collected_once_where_there_is_time_before_the_instant(field):
    gc.unfreeze()
    field.fire(field.shot(b"soon", soon(100)))
    assert gc.get_freeze_count() == 0
    waiting = gevent.spawn(field.volley.fire, field.shot(b"in time", soon(2_900)))
    with gevent.Timeout(2.5):
        while gc.get_freeze_count() == 0:
            gevent.sleep(0.01)
    waiting.kill()
    gc.unfreeze()
    waiting = gevent.spawn(field.volley.fire, field.shot(b"again", soon(2_900)))
    gevent.sleep(0.1)
    assert gc.get_freeze_count() == 0
    waiting.kill()
