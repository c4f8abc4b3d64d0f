"""The port between masters and workers: strangers neither come in, nor read, nor disturb."""

from __future__ import annotations

import contextlib
import os
import socket
from functools import partial
from ipaddress import ip_address
from types import SimpleNamespace

import gevent
import pytest
import zmq
import zmq.green
from gevent.pool import Group
from gevent.socket import create_connection
from sniper_locust import Message, RPCError, zmqrpc

from firstbell.errors import RunError
from firstbell.sniper.dealing.joining import OTHER_KEY, ask_for_roster
from firstbell.sniper.dealing.locked_port import Handshakes, KeyPair, LockedClient, LockedServer, lock
from firstbell.sniper.dealing.sealing import Seal, new_key
from firstbell.sniper.here import is_this_machine

SECRET = "unmistakable-4711-words"


@pytest.fixture
def seal(monkeypatch):
    """A key, and Locust's sockets locked with it for the length of a test."""
    monkeypatch.setattr(zmqrpc, "Server", zmqrpc.Server)
    monkeypatch.setattr(zmqrpc, "Client", zmqrpc.Client)
    seal = Seal(new_key())
    lock(seal, alone=True)
    return seal


@pytest.fixture
def server(seal):  # noqa: ARG001 - the sockets are locked
    server = zmqrpc.Server("127.0.0.1", 0)
    server.heard = []

    def listen():
        while not server.socket.closed:
            with contextlib.suppress(RPCError):
                server.heard.append(server.recv_from_client())

    listening = gevent.spawn(listen)
    yield server
    listening.kill()
    server.close(linger=0)
    server.socket.context.destroy(linger=0)


@contextlib.contextmanager
def connected(make, port, name="node"):
    client = make("127.0.0.1", port, name)
    try:
        yield client
    finally:
        client.close(linger=0)
        client.socket.context.destroy(linger=0)


def until(condition, seconds=20):
    with gevent.Timeout(seconds):
        while not condition():
            gevent.sleep(0.01)


def locked_with(key):
    """A client of somebody who has another key."""
    pairs = {"master": KeyPair.of(Seal(key), "master"), "worker": KeyPair.of(Seal(key), "worker")}
    return lambda host, port, name: LockedClient(host, port, name, **pairs)


def test_both_sides_of_one_key_hear_each_other(server):
    with connected(zmqrpc.Client, server.port) as client:
        client.send(Message("client_ready", "é", "node"))
        until(lambda: server.heard)
        name, message = server.heard[0]
        assert (name, message.type, message.data) == ("node", "client_ready", "é")
        server.send_to_client(Message("ack", {"index": 1}, "node"))
        assert client.recv().data == {"index": 1}


def plain(host, port, name):
    """ZeroMQ as it comes, which is what an unpatched Locust speaks."""
    sock = zmq.green.Context().socket(zmq.DEALER)
    sock.setsockopt(zmq.IDENTITY, name.encode())

    def send(message):
        # Once it has been refused there is nobody to send to, and it would be waited for without end.
        with contextlib.suppress(zmq.Again):
            sock.send(message.serialize(), zmq.NOBLOCK)

    # It is refused once and for all, so whoever wants to see that looks before it connects.
    connect = partial(sock.connect, f"tcp://{host}:{port}")
    return SimpleNamespace(socket=sock, connect=connect, send=send, close=sock.close)


def half_known(seal):
    """Who has learnt the master's public key, and has a key pair of his own."""
    stolen = KeyPair(KeyPair.of(seal, "master").public, b"")
    return lambda host, port, name: LockedClient(
        host, port, name, master=stolen, worker=KeyPair.of(Seal.fresh(), "worker")
    )


@pytest.mark.parametrize("who", ["plain", "another key", "the master's public key"])
def test_a_stranger_is_neither_heard_nor_told_anything(seal, server, who):
    make = {"plain": plain, "another key": locked_with(new_key()), "the master's public key": half_known(seal)}[who]
    with connected(make, server.port, "stranger") as stranger, contextlib.ExitStack() as watched:
        handshakes = watched.enter_context(contextlib.closing(Handshakes(stranger)))
        if who == "plain":
            stranger.connect()
        for kind in ("quit", "client_ready", "stats", "exception"):
            stranger.send(Message(kind, {}, "stranger"))
        until(handshakes.refused)
        # The master says something to everybody there is; a stranger is not among them.
        server.send_to_client(Message("spawn", {"secret": SECRET}, "stranger"))
        with connected(zmqrpc.Client, server.port) as client:
            client.send(Message("client_ready", 1, "node"))
            until(lambda: server.heard)
            server.send_to_client(Message("ack", None, "node"))
            assert client.recv().type == "ack"
        assert [message.type for _, message in server.heard] == ["client_ready"]
        assert stranger.socket.poll(0) == 0
        assert server.socket.poll(0) == 0


@pytest.mark.parametrize(
    "noise",
    [
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff" * 100_000,
        b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x01CURVE" + bytes(48),
        b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x00NULL" + bytes(15 + 1 + 31) + os.urandom(4096),
        b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x00CURVE"
        + bytes(14 + 1 + 31)
        + b"\x04\xc8\x05HELLO"
        + bytes(194),
    ],
)
def test_noise_on_the_port_disturbs_nobody(server, noise):
    with connected(zmqrpc.Client, server.port) as client:
        with contextlib.suppress(OSError), contextlib.closing(create_connection(("127.0.0.1", server.port))) as raw:
            raw.sendall(noise)
            gevent.sleep(0.05)
        client.send(Message("client_ready", 1, "node"))
        until(lambda: server.heard)
    assert [message.type for _, message in server.heard] == ["client_ready"]


def relayed(port, seen):
    """Somebody on the way who writes down every byte."""
    door = gevent.socket.socket()
    door.bind(("127.0.0.1", 0))
    door.listen()
    pumping = Group()

    def pump(source, target):
        with contextlib.suppress(OSError), source, target:
            while block := source.recv(65536):
                seen.append(block)
                target.sendall(block)

    def accept():
        while True:
            near, _ = door.accept()
            far = create_connection(("127.0.0.1", port))
            pumping.spawn(pump, near, far)
            pumping.spawn(pump, far, near)

    return door, gevent.spawn(accept), pumping


def test_who_listens_on_the_way_reads_nothing(server):
    seen = []
    door, accepting, pumping = relayed(server.port, seen)
    with contextlib.closing(door), connected(zmqrpc.Client, door.getsockname()[1]) as client:
        client.send(Message("exception", {"msg": SECRET}, "node"))
        until(lambda: server.heard)
        server.send_to_client(Message("spawn", {"parsed_options": SECRET}, "node"))
        assert client.recv().data == {"parsed_options": SECRET}
        accepting.kill()
    until(lambda: not len(pumping))
    traffic = b"".join(seen)
    assert len(traffic) > 500
    assert server.heard[0][1].data == {"msg": SECRET}
    for word in (SECRET.encode(), b"exception", b"spawn", b"parsed_options"):
        assert word not in traffic


def test_a_worker_with_another_key_is_told_so(server, monkeypatch):
    stranger = Seal.fresh()
    monkeypatch.setattr(zmqrpc, "Client", locked_with(new_key()))
    with pytest.raises(RunError) as caught:
        ask_for_roster("127.0.0.1", server.port, stranger)
    assert str(caught.value) == OTHER_KEY
    assert server.heard == []


def test_the_port_opens_anew_after_a_reset(server):
    port = server.port
    with connected(zmqrpc.Client, port) as client:
        client.send(Message("client_ready", 1, "node"))
        until(lambda: server.heard)
    server.close(linger=0)
    server.socket.context.destroy(linger=0)
    again = zmqrpc.Server("127.0.0.1", port)
    try:
        with connected(zmqrpc.Client, port) as client:
            client.send(Message("client_ready", 2, "node"))
            assert again.recv_from_client()[1].data == 2
    finally:
        again.close(linger=0)
        again.socket.context.destroy(linger=0)


def test_a_taken_port_is_said_in_locusts_words(seal, server):  # noqa: ARG001 - the sockets are locked
    with pytest.raises(RPCError) as caught:
        zmqrpc.Server("127.0.0.1", server.port)
    assert caught.value.args == ("Socket bind failure: Address already in use",)


EVERYWHERE = str(ip_address(0))


@pytest.mark.parametrize("host", [EVERYWHERE, "*", "::", "192.0.2.1", "example.org", ""])
def test_beyond_this_machine_a_key_is_needed_that_others_can_have(seal, host, capsys):
    pairs = {"master": KeyPair.of(seal, "master"), "worker": KeyPair.of(seal, "worker")}
    with pytest.raises(SystemExit) as ended:
        LockedServer(host, 0, alone=True, **pairs)
    assert ended.value.code == 2
    assert "`firstbell key` makes one" in capsys.readouterr().err


def test_with_such_a_key_it_may_listen_anywhere(seal):
    pairs = {"master": KeyPair.of(seal, "master"), "worker": KeyPair.of(seal, "worker")}
    server = LockedServer(EVERYWHERE, 0, alone=False, **pairs)
    server.close(linger=0)
    server.socket.context.destroy(linger=0)


def test_what_this_machine_is():
    assert all(map(is_this_machine, ("127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost")))
    assert not any(
        map(is_this_machine, (EVERYWHERE, "::", "", "*", "localhost.example.org", socket.gethostname() + "."))
    )


def test_keys_are_not_shown_and_differ_by_side(seal):
    master, worker = KeyPair.of(seal, "master"), KeyPair.of(seal, "worker")
    assert master != worker
    assert master == KeyPair.of(seal, "master") != KeyPair.of(Seal.fresh(), "master")
    assert master.secret.decode() not in repr(master)
