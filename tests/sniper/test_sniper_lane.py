"""Lanes on real sockets, TCP and TLS: opened, proven, sealed, fired and read, and every way in which that fails."""

from __future__ import annotations

import contextlib
import os
import queue
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from datetime import UTC, datetime

import gevent
import pytest
from sniper_hosts import BODY, OK, Hosts, answering, http

from firstbell.errors import NoAnswer, NotSent, Unreadable
from firstbell.sniper import lane as lane_module
from firstbell.sniper.lane import Lane
from firstbell.sniper.lane_address import LaneAddress, looked_up
from firstbell.sniper.waiting import GreenWaiter, PlainWaiter

S = 1_000_000_000
REQUEST = b"POST /order HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nfirst"
SECOND = b"POST /order HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nsecond"
KINDS = ["tcp", "tls 1.2", "tls 1.3"]


@pytest.fixture(scope="module")
def all_hosts(tmp_path_factory):
    return Hosts(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def hosts(all_hosts):
    yield all_hosts
    all_hosts.close_all()


@pytest.fixture(params=[GreenWaiter, PlainWaiter], ids=["green", "plain"])
def waiter(request):
    return request.param()


@pytest.fixture(params=KINDS)
def tls(request, hosts):
    """A server's TLS context of each kind; None for TCP."""
    return server_tls(hosts, request.param)


def server_tls(hosts, kind):
    if kind == "tcp":
        return None
    context = hosts.server_context()
    version = ssl.TLSVersion.TLSv1_2 if kind == "tls 1.2" else ssl.TLSVersion.TLSv1_3
    context.minimum_version = context.maximum_version = version
    return context


def soon(seconds=10.0):
    return time.monotonic_ns() + int(seconds * S)


class Lanes:
    """Opens lanes that end with the test."""

    def __init__(self, hosts):
        self.hosts = hosts
        self.context = hosts.client_context()
        self.lanes = []

    def to(self, url, waiter=None, *, is_open=True):
        lane = Lane(LaneAddress.of(url), self.context, waiter or GreenWaiter())
        self.lanes.append(lane)
        if is_open:
            lane.open(soon())
        return lane


@pytest.fixture
def lanes(hosts):
    lanes = Lanes(hosts)
    yield lanes
    for lane in lanes.lanes:
        lane.close()


def wait_for_news(lane):
    """Wait until something has come on a lane."""
    assert PlainWaiter().readable(lane._socket.fileno(), 10)


def nobody_speaks(connection):
    while connection.receive():
        pass


# --- addresses -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://broker.example", LaneAddress("broker.example", 443, True, "broker.example")),
        ("https://broker.example:8443", LaneAddress("broker.example", 8443, True, "broker.example:8443")),
        ("http://127.0.0.1", LaneAddress("127.0.0.1", 80, False, "127.0.0.1")),
        ("http://[::1]:8080", LaneAddress("::1", 8080, False, "[::1]:8080")),
        ("https://[::1]", LaneAddress("::1", 443, True, "[::1]")),
    ],
)
def test_an_address_is_read_from_its_url(url, expected):
    assert LaneAddress.of(url) == expected


@pytest.mark.parametrize("url", ["http://broker.example", "https://u:p@broker.example", "ftp://127.0.0.1", ""])
def test_an_address_that_nothing_may_be_sent_to_is_refused(url):
    with pytest.raises(NotSent):
        LaneAddress.of(url)


# --- the good ways ---------------------------------------------------------------------------------------------------


def test_one_lane_carries_one_request_after_the_other(hosts, lanes, tls, waiter):
    host = hosts.serve(tls=tls)
    lane = lanes.to(host.url, waiter)
    assert lane.address == LaneAddress.of(host.url)
    assert lane.host == f"127.0.0.1:{host.port}"
    for request in (REQUEST, SECOND, REQUEST):
        before_ns, before_wall_ns = time.monotonic_ns(), time.time_ns()
        answer = lane.exchange(request, soon())
        after_ns, after_wall_ns = time.monotonic_ns(), time.time_ns()
        assert (answer.status, answer.body, answer.headers["content-length"]) == (200, BODY, str(len(BODY)))
        assert before_ns <= answer.sent_monotonic_ns <= answer.sent_monotonic_ns + answer.round_trip_ns <= after_ns
        assert before_wall_ns <= answer.sent_ns <= answer.answered_ns <= after_wall_ns
        assert (lane.sent_ns, lane.sent_monotonic_ns) == (answer.sent_ns, answer.sent_monotonic_ns)
        assert answer.round_trip_ns > 0
        assert lane.is_open
        assert lane.alive()
    assert host.requests == [(1, REQUEST), (1, SECOND), (1, REQUEST)]


def test_the_socket_neither_waits_nor_collects(hosts, lanes, tls):
    plain = lanes.to(hosts.serve(tls=tls).url)._socket
    assert type(plain) is socket.socket
    assert plain.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert plain.gettimeout() == 0


def test_nothing_leaves_before_it_is_fired(hosts, lanes, tls):
    host = hosts.serve(tls=tls)
    lane = lanes.to(host.url)
    assert not lane.is_sealed
    lane.seal(REQUEST)
    assert lane.is_sealed
    assert lane.alive()
    lane.close()
    assert not lane.is_sealed
    assert host.ended.get(timeout=10) == 1
    assert host.requests == []
    assert all(rest == b"" for _, rest in host.left_over)


def test_over_tls_what_is_sealed_is_encrypted_already(hosts, lanes, tls):
    lane = lanes.to(hosts.serve(tls=tls).url)
    lane.seal(REQUEST)
    sealed = lane.shot()[1]
    assert (sealed == REQUEST) is (tls is None)
    assert (REQUEST[:4] in sealed) is (tls is None)
    lane.fire()
    assert not lane.is_sealed
    assert lane.read(soon()).status == 200


def test_a_large_request_is_sealed_whole(hosts, lanes, tls):
    body = os.urandom(50_000)
    request = b"POST / HTTP/1.1\r\nContent-Length: 50000\r\n\r\n" + body
    host = hosts.serve(tls=tls)
    lanes.to(host.url).exchange(request, soon())
    assert host.requests == [(1, request)]


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n1;x=y\r\n \r\n0\r\nX: y\r\n\r\n"


def test_an_answer_may_come_byte_by_byte(hosts, lanes, tls, waiter):
    def script(connection):
        while connection.request() is not None:
            for byte in b"HTTP/1.1 100 Continue\r\n\r\n" + CHUNKED:
                connection.send(bytes([byte]))

    lane = lanes.to(hosts.serve(script, tls).url, waiter)
    for _ in range(2):
        answer = lane.exchange(REQUEST, soon())
        assert (answer.status, answer.body) == (200, b"{} ")
        assert lane.is_open


@pytest.mark.parametrize(
    "answer",
    [
        http("Connection: close\r\n"),
        http(first="HTTP/1.0 200 OK"),
        OK + OK,
        OK + b"H",
        OK + b"garbage",
        OK + http(first="HTTP/1.1 401 Unauthorized"),
    ],
    ids=["close", "1.0", "two", "one byte of another", "garbage behind", "another one"],
)
def test_a_lane_that_may_not_carry_another_request_is_closed(hosts, lanes, tls, answer):
    lane = lanes.to(hosts.serve(answering(answer), tls).url)
    read = lane.exchange(REQUEST, soon())
    assert (read.status, read.body) == (200, BODY)
    assert not lane.is_open
    assert not lane.alive()
    with pytest.raises(NotSent):
        lane.seal(SECOND)


@pytest.mark.parametrize("notify", [True, False], ids=["said", "unsaid"])
@pytest.mark.parametrize("first", ["HTTP/1.1 200 OK", "HTTP/1.0 200 OK"])
def test_an_answer_may_end_with_its_connection(hosts, lanes, tls, waiter, first, notify):
    def script(connection):
        connection.request()
        connection.send(f"{first}\r\nX: y\r\n\r\n".encode())
        connection.send(BODY)
        if notify and tls is not None:
            connection.notify_close()

    lane = lanes.to(hosts.serve(script, tls).url, waiter)
    answer = lane.exchange(REQUEST, soon())
    assert (answer.status, answer.body, answer.headers) == (200, BODY, {"x": "y"})
    assert not lane.is_open


def test_an_answer_and_the_end_of_the_connection_may_come_together(hosts, lanes, tls):
    def script(connection):
        connection.request()
        connection.send(OK)

    host = hosts.serve(script, tls)
    lane = lanes.to(host.url)
    lane.seal(REQUEST)
    lane.fire()
    assert host.ended.get(timeout=10) == 1
    assert lane.read(soon()).body == BODY


def test_a_closed_lane_can_be_opened_again(hosts, lanes, tls):
    host = hosts.serve(answering(http("Connection: close\r\n")), tls)
    lane = lanes.to(host.url)
    for _ in range(2):
        lane.exchange(REQUEST, soon())
        lane.open(soon())
    assert [number for number, _ in host.requests] == [1, 2]


def test_a_lane_whose_connection_ended_can_be_opened_again(hosts, lanes, tls):
    def script(connection):
        if connection.number == 1:
            connection.request()
            connection.send(b"HTTP/1.1 200 OK\r\n\r\n{}")
        else:
            answering()(connection)

    lane = lanes.to(hosts.serve(script, tls).url)
    assert lane.exchange(REQUEST, soon()).body == b"{}"
    lane.open(soon())
    assert lane.alive()
    assert lane.exchange(SECOND, soon()).body == BODY
    assert lane.is_open
    assert lane.alive()


def test_opening_again_ends_what_was_open_and_loaded(hosts, lanes, tls):
    host = hosts.serve(tls=tls)
    with lanes.to(host.url) as lane:
        lane.seal(REQUEST)
        lane.open(soon())
        assert host.ended.get(timeout=10) == 1
        assert not lane.is_sealed
        assert lane.exchange(SECOND, soon()).status == 200
    assert not lane.is_open
    assert host.requests == [(2, SECOND)]


# --- answers that are none -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["tcp", "tls 1.3"])
def test_an_answer_that_is_cut_off_is_no_answer(hosts, lanes, kind):
    whole = b'HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{"a": "bcd"}'
    hows = queue.Queue()

    def script(connection):
        cut, reset = hows.get()
        connection.request()
        connection.send(whole[:cut])
        if reset:
            connection.reset()

    host = hosts.serve(script, server_tls(hosts, kind))
    lane = lanes.to(host.url, is_open=False)
    for cut in range(len(whole)):
        hows.put((cut, cut % 5 == 4))
        lane.open(soon())
        with pytest.raises(NoAnswer, match=rf"^127.0.0.1:{host.port}: .*; the request had left$") as caught:
            lane.exchange(REQUEST, soon())
        assert caught.value.host == f"127.0.0.1:{host.port}"
        assert not isinstance(caught.value, Unreadable)
        assert not lane.is_open
    assert len(host.requests) == len(whole)


def test_a_reset_instead_of_an_answer_is_no_answer(hosts, lanes, tls):
    def script(connection):
        connection.request()
        connection.reset()

    lane = lanes.to(hosts.serve(script, tls).url)
    with pytest.raises(NoAnswer):
        lane.exchange(REQUEST, soon())
    assert not lane.is_open


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{}"], ids=["nothing", "half"])
def test_who_never_answers_is_not_waited_for_longer_than_the_deadline(hosts, lanes, tls, waiter, said):
    def script(connection):
        connection.request()
        connection.send(said)
        connection.request()

    lane = lanes.to(hosts.serve(script, tls).url, waiter)
    with pytest.raises(NoAnswer, match=r"nothing came within 0(\.\d)? s; the request had left"):
        lane.exchange(REQUEST, soon(0.05))
    assert not lane.is_open


def ignores(connection):
    while connection.request() is not None:
        pass


def test_a_deadline_that_has_passed_does_not_make_a_request_unsent(hosts, lanes, tls):
    host = hosts.serve(ignores, tls)
    lane = lanes.to(host.url)
    with pytest.raises(NoAnswer, match="the request had left"):
        lane.exchange(REQUEST, time.monotonic_ns() - S)
    assert not lane.is_open
    assert host.ended.get(timeout=10) == 1
    assert host.requests == [(1, REQUEST)]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"220 smtp ready\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000, "head does not end"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1_100_000, "too large"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 1\r\n\r\nx", "encoding"),
        (b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", "another protocol"),
    ],
    ids=["garbage", "head", "body", "packed", "upgrade"],
)
def test_what_cannot_be_read_ends_the_lane(hosts, lanes, tls, said, words):
    lane = lanes.to(hosts.serve(answering(said), tls).url)
    with pytest.raises(Unreadable, match=words):
        lane.exchange(REQUEST, soon())
    assert not lane.is_open


def test_damaged_records_are_no_answer(hosts, lanes):
    def script(connection):
        connection.request()
        connection.plain.sendall(b"\x17\x03\x03\x00\x20" + b"x" * 32)

    lane = lanes.to(hosts.serve(script, tls=True).url)
    with pytest.raises(NoAnswer, match="TLS failed; the request had left"):
        lane.exchange(REQUEST, soon())
    assert not lane.is_open


# --- is it alive? ----------------------------------------------------------------------------------------------------


def after(go, script):
    """What plays a script once it is told to."""

    def waiting(connection):
        go.wait(10)
        script(connection)

    return waiting


def ends(connection):
    del connection


def says_goodbye(connection):
    if connection.socket is not connection.plain:
        connection.notify_close()
        connection.plain.settimeout(10)
        while connection.plain.recv(1 << 16):
            pass


def speaks(connection):
    connection.send(http(first="HTTP/1.1 408 Request Timeout"))
    connection.request()


def speaks_one_byte(connection):
    connection.send(b"\r")
    connection.request()


def speaks_and_ends(connection):
    connection.send(http("Connection: close\r\n", first="HTTP/1.1 408 Request Timeout"))


def resets(connection):
    connection.reset()


def talks_nonsense(connection):
    connection.plain.sendall(b"not a record at all")
    connection.request()


@pytest.mark.parametrize(
    "script", [ends, says_goodbye, speaks, speaks_one_byte, speaks_and_ends, resets, talks_nonsense]
)
def test_a_connection_that_has_ended_or_says_something_unasked_is_not_alive(hosts, lanes, tls, script):
    go = threading.Event()
    lane = lanes.to(hosts.serve(after(go, script), tls).url)
    go.set()
    until_ns = soon()
    # What TLS says by itself after a handshake is life; then comes what the script does.
    while lane.alive():
        assert time.monotonic_ns() < until_ns
        wait_for_news(lane)
    assert not lane.alive()


def test_what_comes_with_the_end_of_the_handshake_is_not_overlooked(hosts, lanes):
    """Over TLS 1.2 the host has the last word in the handshake, and may go on speaking in the same breath."""
    context = server_tls(hosts, "tls 1.2")

    def script(connection):
        came, goes = ssl.MemoryBIO(), ssl.MemoryBIO()
        server = context.wrap_bio(came, goes, server_side=True)
        while True:
            try:
                server.do_handshake()
            except ssl.SSLWantReadError:
                connection.send(goes.read())
                came.write(connection.receive())
            else:
                break
        server.write(http(first="HTTP/1.1 401 Unauthorized"))
        connection.send(goes.read())
        nobody_speaks(connection)

    lane = lanes.to(hosts.serve(script).url.replace("http", "https"))
    assert not lane.alive()


@pytest.mark.parametrize("sealed", [False, True])
def test_session_tickets_are_life(hosts, lanes, sealed):
    context = server_tls(hosts, "tls 1.3")
    context.num_tickets = 7
    host = hosts.serve(tls=context)
    lane = lanes.to(host.url)
    if sealed:
        lane.seal(REQUEST)
    wait_for_news(lane)
    assert lane.alive()
    if not sealed:
        lane.seal(REQUEST)
    lane.fire()
    assert lane.read(soon()).body == BODY
    assert lane.exchange(SECOND, soon()).body == BODY
    assert host.requests == [(1, REQUEST), (1, SECOND)]


def test_tickets_may_come_with_the_answer(hosts, lanes):
    context = server_tls(hosts, "tls 1.3")
    context.num_tickets = 20
    lane = lanes.to(hosts.serve(tls=context).url)
    assert lane.exchange(REQUEST, soon()).body == BODY
    assert lane.exchange(REQUEST, soon()).body == BODY


def test_a_lane_that_was_never_opened_is_not_alive(hosts, lanes):
    lane = lanes.to(hosts.serve().url, is_open=False)
    assert not lane.alive()
    assert not lane.is_open


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command on this machine")
@pytest.mark.parametrize("sealed", [False, True], ids=["before it is sealed", "after"])
@pytest.mark.parametrize("command", ["k", "K"], ids=["its own keys", "ours as well"])
def test_new_keys_are_life(hosts, lanes, tmp_path, sealed, command):
    """The host changes its keys, and asks for new ones of ours, on a lane that waits for its bell."""
    leaf = hosts.authority.issue_cert("127.0.0.1")
    leaf.private_key_and_cert_chain_pem.write_to_path(tmp_path / "leaf.pem")
    told = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", str(tmp_path / "leaf.pem"), "-tls1_3", "-crlf"]
    told += ["-num_tickets", "0"]
    with subprocess.Popen(told, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as server:
        try:
            lane = lanes.to(f"https://127.0.0.1:{int(heard(server, rb'ACCEPT .*?([0-9]+)' + NEWLINE)[1])}")
            heard(server, rb"Renegotiation IS supported")
            if sealed:
                lane.seal(REQUEST)
            # A command where it stands at the beginning of what it reads.
            tell(server, f"{command}\n")
            wait_for_news(lane)
            assert lane.alive()
            if not sealed:
                lane.seal(REQUEST)
            for body in (b"first", b"second"):
                lane.fire()
                heard(server, body)
                tell(server, "HTTP/1.1 200 OK\nContent-Length: 4\n\n{}\n")
                assert lane.read(soon()).body == b"{}\r\n"
                assert lane.alive()
                lane.seal(SECOND)
        finally:
            server.kill()


NEWLINE = rb"\r?\n"


def tell(server, text):
    server.stdin.write(text.encode())
    server.stdin.flush()


def heard(server, pattern):
    said = b""
    while (found := re.search(pattern, said)) is None:
        data = os.read(server.stdout.fileno(), 4096)
        assert data, said
        said += data
    return found


# --- connections that cannot be had ----------------------------------------------------------------------------------


def refused_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def test_a_port_where_nobody_listens(lanes, waiter):
    port = refused_port()
    lane = lanes.to(f"http://127.0.0.1:{port}", waiter, is_open=False)
    with pytest.raises(NotSent, match=f"^127.0.0.1:{port}: connection refused; nothing was sent$") as caught:
        lane.open(soon())
    assert caught.value.host == f"127.0.0.1:{port}"
    assert not lane.is_open


def test_a_name_that_cannot_be_looked_up(lanes):
    lane = lanes.to(f"https://{'x' * 64}.example", is_open=False)
    with pytest.raises(NotSent, match="nothing was sent"):
        lane.open(soon())


def test_a_name_that_is_not_known(lanes, monkeypatch):
    def unknown(*_):
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(lane_module, "looked_up", unknown)
    with pytest.raises(NotSent, match="the host's name was not found; nothing was sent"):
        lanes.to("https://broker.example", is_open=False).open(soon())


def test_a_name_is_looked_up_once():
    looked_up.cache_clear()
    assert looked_up("localhost", 443) is looked_up("localhost", 443)


def test_a_host_that_accepts_and_never_speaks_tls(hosts, lanes, waiter):
    host = hosts.serve(nobody_speaks)
    lane = lanes.to(host.url.replace("http", "https"), waiter, is_open=False)
    with pytest.raises(NotSent, match="no connection in time; nothing was sent"):
        lane.open(soon(0.1))
    assert not lane.is_open
    assert host.ended.get(timeout=10) == 1


def test_a_host_that_does_not_answer_at_all(lanes, waiter):
    """Its queue of connections is full: to one more it says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, contextlib.ExitStack() as stack:
        for _ in range(8):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        lane = lanes.to(f"http://127.0.0.1:{listener.getsockname()[1]}", waiter, is_open=False)
        with pytest.raises(NotSent, match="no connection in time; nothing was sent"):
            lane.open(soon(0.1))
        assert not lane.is_open


@pytest.mark.parametrize("left_s", [0, -1])
def test_no_connection_is_had_without_time(hosts, lanes, tls, left_s):
    lane = lanes.to(hosts.serve(tls=tls).url, is_open=False)
    with pytest.raises(NotSent, match="no connection in time"):
        lane.open(soon(left_s))
    assert not lane.is_open


@pytest.mark.parametrize("script", [ends, resets, talks_nonsense])
def test_a_host_that_ends_or_spoils_the_handshake(hosts, lanes, script):
    lane = lanes.to(hosts.serve(script).url.replace("http", "https"), is_open=False)
    with pytest.raises(NotSent, match="nothing was sent"):
        lane.open(soon())
    assert not lane.is_open


@pytest.mark.parametrize("version", ["tls 1.2", "tls 1.3"])
@pytest.mark.parametrize("wrong", ["untrusted", "expired", "another name"])
def test_a_certificate_that_does_not_hold(hosts, lanes, tmp_path, wrong, version):
    if wrong == "untrusted":
        context = Hosts(tmp_path).server_context()
    elif wrong == "expired":
        context = hosts.server_context("127.0.0.1", not_after=datetime(2020, 1, 1, tzinfo=UTC))
    else:
        context = hosts.server_context("localhost", "broker.example")
    context.maximum_version = ssl.TLSVersion.TLSv1_2 if version == "tls 1.2" else ssl.TLSVersion.TLSv1_3
    host = hosts.serve(tls=context)
    lane = lanes.to(host.url, is_open=False)
    with pytest.raises(NotSent, match=r"its certificate is not trusted \(.*\).*; nothing was sent"):
        lane.open(soon())
    assert not lane.is_open
    assert host.ended.get(timeout=10) == 1
    assert host.requests == []
    # The host is told why.
    assert "ALERT" in str(host.failures[0])


def test_a_lane_over_tls_without_a_context_is_not_opened(hosts):
    lane = Lane(LaneAddress.of(hosts.serve(tls=True).url), None, PlainWaiter())
    with pytest.raises(NotSent):
        lane.open(soon())
    assert not lane.is_open


def test_a_lane_without_sockets_is_not_opened(hosts, lanes, monkeypatch):
    def none(*_):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(lane_module, "_PlainSocket", none)
    with pytest.raises(NotSent):
        lanes.to(hosts.serve().url, is_open=False).open(soon())


def test_ipv6(hosts, lanes, tls):
    try:
        host = hosts.serve(tls=tls, address="::1")
    except OSError:
        pytest.skip("no IPv6 on this machine")
    assert lanes.to(host.url).exchange(REQUEST, soon()).body == BODY


def place(host_or_port, family=socket.AF_INET):
    port = host_or_port if isinstance(host_or_port, int) else host_or_port.port
    return (family, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))


def test_of_several_addresses_the_first_that_works_is_taken(hosts, lanes, monkeypatch):
    """One refuses, one is of a kind that the system does not know, one never speaks, one has a wrong certificate."""
    silent, stranger = hosts.serve(nobody_speaks), hosts.serve(tls=hosts.server_context("broker.example"))
    right, spare = hosts.serve(tls=True), hosts.serve(tls=True)
    places = (place(refused_port()), place(1, 12345), place(silent), place(stranger), place(right), place(spare))
    monkeypatch.setattr(lane_module, "looked_up", lambda *_: places)
    lane = lanes.to("https://localhost:1", is_open=False)
    lane.open(soon(1))
    assert lane.exchange(REQUEST, soon()).body == BODY
    assert right.requests == [(1, REQUEST)]
    assert (silent.connections, stranger.connections, spare.connections) == (1, 1, 0)
    assert (silent.ended.get(timeout=10), stranger.ended.get(timeout=10)) == (1, 1)


def test_of_several_addresses_none_may_work(lanes, monkeypatch):
    monkeypatch.setattr(lane_module, "looked_up", lambda *_: (place(refused_port()), place(refused_port())))
    with pytest.raises(NotSent, match="connection refused"):
        lanes.to("https://localhost:1", is_open=False).open(soon())


def test_who_is_killed_while_it_connects_leaves_no_connection(hosts, lanes):
    host = hosts.serve(nobody_speaks)
    lane = lanes.to(host.url.replace("http", "https"), is_open=False)
    opening = gevent.spawn(lane.open, soon())
    while not host.connections:
        gevent.sleep(0.001)
    opening.kill()
    assert not lane.is_open
    assert host.ended.get(timeout=10) == 1


# --- misuse and refusals -----------------------------------------------------------------------------------------


def test_a_lane_that_is_not_open_cannot_be_loaded(hosts, lanes):
    host = hosts.serve()
    with pytest.raises(NotSent, match=f"127.0.0.1:{host.port}: the connection is not open; nothing was sent"):
        lanes.to(host.url, is_open=False).seal(REQUEST)


def test_a_lane_is_loaded_once(hosts, lanes, tls):
    lane = lanes.to(hosts.serve(tls=tls).url)
    lane.seal(REQUEST)
    with pytest.raises(ValueError, match="cannot be loaded again"):
        lane.seal(SECOND)
    lane.fire()
    # The answer that comes next is the first request's.
    with pytest.raises(ValueError, match="before its answer has been read"):
        lane.seal(SECOND)
    lane.read(soon())
    lane.seal(SECOND)


def test_a_lane_that_the_host_has_given_up_cannot_be_loaded(hosts, lanes):
    def script(connection):
        # A fatal alert, as a host sends it whose keys are lost.
        connection.plain.sendall(b"\x15\x03\x03\x00\x13" + b"x" * 19)
        connection.request()

    host = hosts.serve(script, server_tls(hosts, "tls 1.3"))
    lane = lanes.to(host.url)
    until_ns = soon()
    while lane.alive():
        assert time.monotonic_ns() < until_ns
        wait_for_news(lane)
    with pytest.raises(NotSent, match="nothing was sent"):
        lane.seal(REQUEST)
    assert not lane.is_open
    assert host.requests == []


def test_what_cannot_be_encrypted_any_more_is_not_sent(hosts, lanes):
    host = hosts.serve(tls=True)
    lane = lanes.to(host.url)
    with contextlib.suppress(ssl.SSLWantReadError):
        # We have said that nothing more comes from us.
        lane._tls.unwrap()
    with pytest.raises(NotSent, match="nothing was sent"):
        lane.seal(REQUEST)
    assert not lane.is_open
    assert host.ended.get(timeout=10) == 1
    assert host.requests == []


def test_what_the_system_refuses_has_not_left(hosts, lanes, tls):
    go = threading.Event()
    host = hosts.serve(after(go, resets), tls)
    lane = lanes.to(host.url)
    lane.seal(REQUEST)
    go.set()
    host.ended.get(timeout=10)
    with pytest.raises(NotSent, match=rf"^127.0.0.1:{host.port}: the connection broke; nothing was sent$"):
        lane.fire()
    assert not lane.is_open
    assert not lane.is_sealed
    assert host.requests == []


# --- a full socket ---------------------------------------------------------------------------------------------------

LARGE = b"POST / HTTP/1.1\r\nContent-Length: 12000000\r\n\r\n" + bytes(range(256)) * 46_875


def test_what_the_socket_does_not_take_at_once_is_sent_when_the_answer_is_read(hosts, lanes, tls, waiter):
    go = threading.Event()

    def script(connection):
        go.wait(10)
        answering()(connection)

    host = hosts.serve(script, tls)
    lane = lanes.to(host.url, waiter)
    lane.seal(LARGE)
    lane.fire()
    assert lane._unsent
    go.set()
    assert lane.read(soon(20)).body == BODY
    assert lane.exchange(SECOND, soon()).body == BODY
    assert host.requests == [(1, LARGE), (1, SECOND)]


def fill(lane):
    """Fill a lane's socket to the brim, past the lane; how many bytes that took."""
    filled = 0
    while True:
        try:
            filled += lane._socket.send(b"x" * (1 << 20))
        except BlockingIOError:
            return filled


def test_a_socket_that_takes_nothing_at_all_is_sent_on_when_the_answer_is_read(hosts, lanes, waiter):
    go, came = threading.Event(), []

    def script(connection):
        go.wait(10)
        while not came or not came[-1].endswith(b"second"):
            came.append(connection.receive())
        connection.send(OK)

    lane = lanes.to(hosts.serve(script).url, waiter)
    filled = fill(lane)
    lane.seal(SECOND)
    lane.fire()
    assert lane._unsent == SECOND
    go.set()
    assert lane.read(soon()).body == BODY
    assert b"".join(came) == b"x" * filled + SECOND


@pytest.mark.parametrize("how", ["never reads", "resets"])
def test_what_cannot_be_sent_to_its_end_may_have_left(hosts, lanes, tls, how):
    go = threading.Event()

    def script(connection):
        go.wait(10)
        if how == "resets":
            connection.reset()

    lane = lanes.to(hosts.serve(script, tls).url)
    lane.seal(LARGE)
    lane.fire()
    if how == "resets":
        go.set()
    with pytest.raises(NoAnswer, match="the request had left"):
        lane.read(soon(0.05 if how == "never reads" else 10))
    go.set()
    assert not lane.is_open


# --- waiting ---------------------------------------------------------------------------------------------------------


def test_a_wait_ends_with_what_it_waits_for_or_in_time(waiter):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        assert not waiter.readable(ours.fileno(), 0)
        assert not waiter.readable(ours.fileno(), -1)
        assert not waiter.readable(ours.fileno(), 0.01)
        assert waiter.writable(ours.fileno(), 0)
        assert waiter.writable(ours.fileno(), 10)
        theirs.send(b"x")
        assert waiter.readable(ours.fileno(), 0)
        assert waiter.readable(ours.fileno(), 10)
        while True:
            try:
                ours.send(b"x" * 65536)
            except BlockingIOError:
                break
        assert not waiter.writable(ours.fileno(), 0)
        assert not waiter.writable(ours.fileno(), 0.01)
        theirs.close()
        assert waiter.readable(ours.fileno(), 10)


def test_others_work_while_a_greenlet_waits():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        gevent.spawn(theirs.send, b"x")
        assert GreenWaiter().readable(ours.fileno(), 10)


def test_a_wait_that_is_broken_off_is_not_taken_for_its_end():
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(gevent.Timeout), gevent.Timeout(0.01):
        GreenWaiter().readable(ours.fileno(), 10)
