import contextlib
import gzip
import logging
import os
import select
import signal
import socket
import ssl
import struct
import subprocess
import sys
import textwrap
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from brokers_wire import Request, WireServer, http

from firstbell.brokers.stamped import FIRST_BYTE
from firstbell.brokers.transport import USER_AGENT, Transport, shared_transport
from firstbell.errors import BrokerError, NoAnswer, NotSent, Unreadable

Serve = Callable[..., WireServer]

SECRET = "S3CRET-token"
HEADERS = {"Authorization": f"Bearer {SECRET}"}
PATH = f"/order?key={SECRET}"


@pytest.fixture
def transport() -> Transport:
    return Transport()


@pytest.fixture(autouse=True)
def hostile_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of this may be obeyed."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login planted password planted\ndefault login a password b\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "netrc"))
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))


def send(transport: Transport, base_url: str, **options: float) -> object:
    return transport.send("POST", base_url, PATH, HEADERS, b'{"a":1}', **options)  # type: ignore[arg-type] # numbers


def test_whoever_asked_is_called_once_right_before_the_first_byte_and_can_keep_it(
    serve: Serve, transport: Transport
) -> None:
    server = serve(lambda request, _: http(200, {}))  # noqa: ARG005
    called, refuses = list[int](), False

    def call() -> None:
        called.append(len(server.requests))
        if refuses:
            raise NotSent("not now")

    before = FIRST_BYTE.set(call)
    try:
        send(transport, server.url)
        assert called == [0]
        refuses = True
        with pytest.raises(NotSent, match="not now"):
            send(transport, server.url)
        refuses = False
        send(transport, server.url)
    finally:
        FIRST_BYTE.reset(before)
    assert (called, len(server.requests)) == ([0, 1, 1], 2)


def test_whoever_had_to_wait_so_long_that_no_answer_could_be_waited_for_sends_nothing(
    serve: Serve, transport: Transport
) -> None:
    server = serve(lambda request, _: http(200, {}))  # noqa: ARG005
    before = FIRST_BYTE.set(lambda: time.sleep(0.3))
    try:
        send(transport, server.url, timeout=2.0)
        with pytest.raises(NotSent, match="no time left to wait for the answer"):
            send(transport, server.url, timeout=1.2)
    finally:
        FIRST_BYTE.reset(before)
    assert len(server.requests) == 1


def test_a_request_arrives_as_it_was_written(serve: Serve, transport: Transport) -> None:
    server = serve(lambda request, _: http(201, {"ok": True}, X_Seen="yes", Set_Cookie="a=b"))  # noqa: ARG005
    before = time.time_ns()
    answer = transport.send("POST", server.url, "/x/Y?z=1", HEADERS, b'{"a":1}')
    after = time.time_ns()
    (request,) = server.requests
    assert (request.method, request.path, request.body) == ("POST", "/x/Y?z=1", b'{"a":1}')
    assert request.headers["authorization"] == f"Bearer {SECRET}"
    assert request.headers["user-agent"] == USER_AGENT
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["content-length"] == "7"
    assert "cookie" not in request.headers
    assert (answer.status, answer.body, answer.headers["x-seen"]) == (201, b'{"ok": true}', "yes")
    assert "set-cookie" not in answer.headers
    assert before <= answer.sent_ns <= answer.answered_ns <= after
    assert 0 < answer.round_trip_ns <= after - before


def test_the_stamp_comes_after_the_handshake(serve: Serve, tls_server: ssl.SSLContext, ca_file: Path) -> None:
    """The server begins its part of the handshake when it has accepted; no request can leave before."""
    server = serve(lambda *_: http(), tls_server)
    answer = Transport(ca_file).send("GET", server.url, "/", {}, None)
    assert server.accepted_ns[0] <= answer.sent_ns <= answer.answered_ns


def test_a_document_is_sent_as_json(serve: Serve, transport: Transport) -> None:
    server = serve(lambda *_: http())
    transport.send_json("POST", server.url, "/", {}, {"نام": "مهرگان", "n": 1})
    assert server.requests[0].json == {"نام": "مهرگان", "n": 1}
    assert server.requests[0].headers["content-type"] == "application/json"


def test_connections_are_kept_and_no_cookies(serve: Serve, transport: Transport) -> None:
    server = serve(lambda *_: http(Set_Cookie="session=1; Path=/"))
    for _ in range(3):
        transport.send("GET", server.url, "/", {}, None)
    assert {request.connection for request in server.requests} == {1}
    assert all("cookie" not in request.headers for request in server.requests)
    transport.close()
    transport.send("GET", server.url, "/", {}, None)
    assert server.connections == 2


def test_a_connection_is_kept_after_empty_and_chunked_answers(serve: Serve, transport: Transport) -> None:
    answers = [
        http(200, b""),
        b"HTTP/1.1 204 Nothing\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        http(500, {"Message": "x"}),
        http(),
    ]
    server = serve(lambda *_: answers.pop(0))
    bodies = [transport.send("DELETE", server.url, "/", {}, None).body for _ in range(5)]
    assert bodies == [b"", b"", b"{}", b'{"Message": "x"}', b"{}"]
    assert server.connections == 1


def test_an_idle_connection_that_the_server_closed_is_replaced(serve: Serve, transport: Transport) -> None:
    server = serve(lambda *_: http(Connection="keep-alive"))
    transport.send("GET", server.url, "/", {}, None)
    server._open[0].shutdown(socket.SHUT_RDWR)
    assert transport._adapter is not None
    (pool,) = transport._adapter.poolmanager.pools._container.values()
    kept = pool.pool.queue[-1]
    select.select([kept.sock], [], [], 10)
    assert transport.send("GET", server.url, "/", {}, None).status == 200
    assert [request.connection for request in server.requests] == [1, 2]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_is_never_followed(serve: Serve, transport: Transport, status: int) -> None:
    elsewhere = serve(lambda *_: http())
    server = serve(lambda *_: http(status, b"moved", Location=f"{elsewhere.url}/order"))
    answer = transport.send("POST", server.url, "/order", HEADERS, b"{}")
    assert (answer.status, answer.body) == (status, b"moved")
    assert elsewhere.requests == []
    assert len(server.requests) == 1


def endless(head: bytes) -> Callable[[Request, socket.socket], None]:
    """Answers without end; the number of bytes that were taken is bounded by what the kernel buffers."""

    def script(request: Request, connection: socket.socket) -> None:
        del request
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 14)
        connection.sendall(head)
        with contextlib.suppress(OSError):
            for _ in range(20 * 64):
                connection.sendall(b"x" * (1 << 14))
            pytest.fail("all 20 MiB were read")

    return script


def test_20_mib_are_not_read(serve: Serve, transport: Transport) -> None:
    server = serve(lambda *_: http(200, b"", Content_Length=str(20 << 20)) + b"x" * 100)
    with pytest.raises(Unreadable, match="20,971,520 bytes"):
        send(transport, server.url)
    for head in (
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 307 Moved\r\nLocation: /other\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999999\r\n\r\n",
    ):
        with pytest.raises((Unreadable, NoAnswer)):
            send(transport, serve(endless(head)).url)


def test_the_bound_is_the_callers(serve: Serve, transport: Transport) -> None:
    server = serve(lambda *_: http(200, b"x" * 11))
    assert transport.send("GET", server.url, "/", {}, None, max_bytes=11).body == b"x" * 11
    with pytest.raises(Unreadable):
        transport.send("GET", server.url, "/", {}, None, max_bytes=10)


def test_packed_answers_are_unpacked_within_the_bound(serve: Serve, transport: Transport) -> None:
    bomb = gzip.compress(bytes(30 << 20))
    bodies = [(gzip.compress(b"{}"), "gzip"), (bomb, "gzip"), (b"junk", "gzip"), (b"{}", "br"), (bomb[:2000], "gzip")]
    answers = [http(200, body, Content_Encoding=encoding) for body, encoding in bodies]
    server = serve(lambda *_: answers.pop(0))
    assert transport.send("GET", server.url, "/", {}, None).body == b"{}"
    for _ in range(4):
        with pytest.raises(Unreadable):
            transport.send("GET", server.url, "/", {}, None)


def close_with_reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


LEFT_UNANSWERED: dict[str, Callable[[Request, socket.socket], bytes | None]] = {
    "closed": lambda *_: None,
    "reset": lambda request, connection: close_with_reset(connection),  # noqa: ARG005
    "not HTTP": lambda request, connection: connection.sendall(b"SSH-2.0-hello\r\n\r\n"),  # noqa: ARG005
    "half a head": lambda request, connection: connection.sendall(b"HTTP/1.1 200 OK\r\nContent-"),  # noqa: ARG005
    "half a body": lambda request, connection: connection.sendall(http(200, b'{"a": 1}')[:-1]),  # noqa: ARG005
    "half a chunk": lambda request, connection: connection.sendall(  # noqa: ARG005
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}"
    ),
    "no last chunk": lambda request, connection: connection.sendall(  # noqa: ARG005
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"
    ),
    "a bad chunk": lambda request, connection: connection.sendall(  # noqa: ARG005
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}"
    ),
    "a long header": lambda request, connection: connection.sendall(  # noqa: ARG005
        b"HTTP/1.1 200 OK\r\nA: " + b"x" * 100_000 + b"\r\n\r\n"
    ),
    "many headers": lambda request, connection: connection.sendall(  # noqa: ARG005
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n"
    ),
}


@pytest.mark.parametrize("case", LEFT_UNANSWERED)
@pytest.mark.parametrize("warm", [False, True])
def test_what_left_and_was_not_answered_is_no_answer(serve: Serve, transport: Transport, case: str, warm: bool) -> None:
    """And it is sent exactly once, whether the connection is new or kept."""
    script = LEFT_UNANSWERED[case]
    server = serve(lambda request, connection: http() if request.path == "/warm" else script(request, connection))
    if warm:
        transport.send("GET", server.url, "/warm", {}, None)
    with pytest.raises(NoAnswer, match="the request had left") as caught:
        send(transport, server.url)
    assert not isinstance(caught.value, Unreadable)
    assert [request.path for request in server.requests].count(PATH) == 1
    assert_silent(caught)


def assert_silent(caught: pytest.ExceptionInfo[BrokerError]) -> None:
    """No secret in the error, and no error of another library beneath it."""
    shown = "".join(traceback.format_exception(caught.value))
    assert SECRET not in shown
    assert "/order" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert caught.value.host.startswith("127.0.0.1:")


def drip(piece: bytes) -> Callable[[Request, socket.socket], None]:
    def script(request: Request, connection: socket.socket) -> None:
        del request
        with contextlib.suppress(OSError):
            for _ in range(3000):
                connection.sendall(piece)
                time.sleep(0.01)

    return script


def silence(request: Request, connection: socket.socket) -> None:
    del request
    connection.recv(1)


@pytest.mark.parametrize(
    "script",
    [
        silence,
        drip(b"H"),
        drip(b"HTTP/1.1 100 Continue\r\n\r\n"),
        drip(http(200, b"", Content_Length="99999")),
        drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;\r\nHTTP/\r\n"),
    ],
)
def test_a_deadline_holds_for_silence_and_for_drips(
    serve: Serve, transport: Transport, script: Callable[[Request, socket.socket], None]
) -> None:
    """A byte every now and then resets a socket's own time-out, and not ours."""
    server = serve(script)
    with pytest.raises(NoAnswer, match=r"nothing came within 0\.2 s|not HTTP|half way") as caught:
        send(transport, server.url, timeout=0.2)
    assert_silent(caught)


def test_what_cannot_connect_is_not_sent(transport: Transport) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(NotSent, match="connection refused; nothing was sent") as caught:
        send(transport, f"http://127.0.0.1:{port}")
    assert_silent(caught)


def test_a_name_that_nobody_knows_is_not_sent(transport: Transport) -> None:
    with pytest.raises(NotSent, match="nothing was sent"):
        send(transport, "https://host.invalid", timeout=2)


def test_a_host_that_does_not_pick_up_is_not_sent(transport: Transport) -> None:
    """The kernel's queue for an unserved listener is full: connections hang."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(8):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        with pytest.raises(NotSent, match=r"nothing came within 0.2 s; nothing was sent"):
            send(transport, f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=0.2)


def test_tls_is_verified(serve: Serve, tls_server: ssl.SSLContext, ca_file: Path) -> None:
    server = serve(lambda *_: http(), tls_server)
    assert Transport(ca_file).send("GET", server.url, "/", {}, None).status == 200
    with pytest.raises(NotSent, match=r"certificate is not trusted .*ca_file") as caught:
        send(Transport(), server.url)
    assert_silent(caught)
    assert len(server.requests) == 1


def test_a_certificate_of_another_host_is_refused(serve: Serve, authority: trustme.CA, ca_file: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("other.example").configure_cert(context)
    server = serve(lambda *_: http(), context)
    with pytest.raises(NotSent, match="certificate is not trusted"):
        send(Transport(ca_file), server.url)
    assert server.requests == []


def test_a_private_authority_is_trusted_in_place_of_the_public_ones(ca_file: Path) -> None:
    transport = Transport(ca_file)
    context = transport._opened("x")._context
    assert context.cert_store_stats()["x509_ca"] == 1
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_tls_that_fails_before_the_request_is_not_sent(serve: Serve, ca_file: Path) -> None:
    """A server that speaks no TLS, and one that hangs up in the handshake."""
    plain = serve(lambda *_: http())
    with pytest.raises(NotSent) as caught:
        send(Transport(ca_file), plain.url.replace("http:", "https:"), timeout=5)
    assert_silent(caught)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            connection, _ = listener.accept()
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(NotSent):
            send(Transport(ca_file), f"https://127.0.0.1:{listener.getsockname()[1]}", timeout=5)
        thread.join()


def test_tls_answers_keep_the_deadline_and_the_stamp(serve: Serve, tls_server: ssl.SSLContext, ca_file: Path) -> None:
    server = serve(drip(b"H"), tls_server)
    with pytest.raises(NoAnswer, match="nothing came within"):
        send(Transport(ca_file), server.url, timeout=0.5)
    assert len(server.requests) == 1


def test_a_missing_ca_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotSent, match=r"none\.pem"):
        send(Transport(tmp_path / "none.pem"), "https://127.0.0.1:1")
    (tmp_path / "bad.pem").write_text("no certificate")
    with pytest.raises(NotSent, match=r"bad\.pem"):
        send(Transport(tmp_path / "bad.pem"), "https://127.0.0.1:1")


def test_session_keys_are_written_nowhere(
    serve: Serve, tls_server: ssl.SSLContext, ca_file: Path, tmp_path: Path
) -> None:
    server = serve(lambda *_: http(), tls_server)
    Transport(ca_file).send("GET", server.url, "/", {}, None)
    assert not (tmp_path / "keys").exists()


@pytest.mark.parametrize(
    "address",
    [
        "http://192.0.2.1",
        "http://example.com",
        "ftp://127.0.0.1",
        "127.0.0.1:80",
        "https://",
        "https://user:pw@127.0.0.1",
    ],
)
def test_addresses_that_nothing_is_sent_to(transport: Transport, address: str) -> None:
    with pytest.raises(NotSent):
        send(transport, address)


def test_a_header_that_would_be_two_is_not_sent(serve: Serve, transport: Transport) -> None:
    server = serve(lambda *_: http())
    with pytest.raises(NotSent) as caught:
        transport.send("GET", server.url, "/", {"Authorization": f"{SECRET}\r\nX: y"}, None)
    assert_silent(caught)
    assert server.requests == []


def test_addresses_are_not_logged(serve: Serve, transport: Transport, caplog: pytest.LogCaptureFixture) -> None:
    server = serve(lambda *_: http())
    with caplog.at_level(logging.DEBUG):
        send(transport, server.url)
    assert SECRET not in caplog.text


def test_the_shared_transport_is_one_for_each_authority(ca_file: Path) -> None:
    assert shared_transport() is shared_transport()
    assert shared_transport(ca_file) is shared_transport(ca_file)
    assert shared_transport(ca_file) is not shared_transport()


def test_many_threads_get_each_their_own_answer(serve: Serve, transport: Transport) -> None:
    server = serve(lambda request, _: http(200, request.body))
    answers: dict[int, bytes] = {}

    def one(number: int) -> None:
        for _ in range(5):
            answers[number] = transport.send("POST", server.url, "/", {}, str(number).encode()).body

    threads = [threading.Thread(target=one, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: str(number).encode() for number in range(16)}


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_opens_connections_of_its_own(serve: Serve, transport: Transport) -> None:
    server = serve(lambda request, _: http(200, request.body))
    transport.send("POST", server.url, "/", {}, b"1")
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        os._exit(0 if transport.send("POST", server.url, "/", {}, b"2").body == b"2" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert transport.send("POST", server.url, "/", {}, b"3").body == b"3"
    assert [request.connection for request in server.requests] == [1, 2, 1]


GREENLETS = """
    from gevent import monkey
    monkey.patch_all()
    import sys
    import gevent
    from firstbell.brokers.transport import Transport
    from firstbell.errors import NoAnswer, NotSent
    transport = Transport()
    def one(number):
        answer = transport.send("POST", sys.argv[1], "/", {}, str(number).encode())
        assert answer.body == str(number).encode()
        return answer.sent_ns, answer.answered_ns
    jobs = [gevent.spawn(one, number) for number in range(20)]
    gevent.joinall(jobs, raise_error=True)
    sent, answered = zip(*(job.value for job in jobs))
    assert max(sent) < min(answered), "all were under way together"
    assert len(set(sent)) == 20, "each has its own stamp"
    try:
        transport.send("POST", sys.argv[1], "/drop", {}, b"")
    except NoAnswer:
        pass
    try:
        transport.send("POST", "http://127.0.0.1:1", "/", {}, b"")
    except NotSent:
        print("done")
"""


def test_greenlets_wait_together(serve: Serve) -> None:
    everybody = threading.Barrier(20)

    def script(request: Request, connection: socket.socket) -> bytes | None:
        del connection
        if request.path == "/drop":
            return None
        everybody.wait(20)
        return http(200, request.body)

    server = serve(script)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(GREENLETS), server.url],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


def test_a_request_of_which_a_part_left_is_no_answer(transport: Transport) -> None:
    """The kernel takes some of it, nobody reads, and the rest never leaves."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(NoAnswer, match="the request had left"):
            transport.send("POST", url, "/", {"X-Long": "x" * (32 << 20)}, b"", timeout=0.3)


@pytest.mark.parametrize("status", [100, 102, 103, 199])
def test_an_interim_answer_is_not_the_answer(serve: Serve, transport: Transport, status: int) -> None:
    """Taken for it, it would leave the real one behind for the next request on this connection."""
    interim = f"HTTP/1.1 {status} Wait\r\nLink: </a>\r\n\r\n".encode()

    def script(request: Request, connection: socket.socket) -> bytes | None:
        connection.sendall(interim)
        time.sleep(0.05)
        return interim + http(200, {"path": request.path})

    server = serve(script)
    for path in ("/1", "/2", "/3"):
        answer = transport.send("GET", server.url, path, {}, None)
        assert (answer.status, answer.body) == (200, f'{{"path": "{path}"}}'.encode())
    assert server.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 102 Wait\r\n\r\n" * 10_000,
        b"HTTP/1.1 103 Hints\r\n" + b"A: b\r\n" * 10_000,
        b"HTTP/1.1 103 Hints\r\nA: " + b"b" * 100_000,
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        *(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + size + b"\r\n" + b"x" * 100_000
            for size in (
                b"-1",
                b"-5",
                b"+5",
                b"0x5",
                b"1_0",
                b"",
                b"g",
                b"5" * 20,
                "\u0665".encode(),
                b"5;" + b"x" * 70_000,
            )
        ),
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    ],
)
def test_what_no_server_should_send_is_no_answer(serve: Serve, transport: Transport, answer: bytes) -> None:
    server = serve(lambda *_: answer)
    with pytest.raises(NoAnswer):
        send(transport, server.url, timeout=5)


def test_a_chunk_of_less_than_nothing_is_not_all_that_ever_comes(serve: Serve, transport: Transport) -> None:
    gave_up = threading.Event()

    def script(request: Request, connection: socket.socket) -> None:
        del request
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n")
        try:
            for _ in range(1000):
                connection.sendall(b"x" * 65_536)
        except OSError:
            gave_up.set()

    server = serve(script)
    with pytest.raises(NoAnswer):
        send(transport, server.url, timeout=10)
    transport.close()
    assert gave_up.wait(5)


def test_what_is_packed_in_two_pieces_is_not_read_as_the_first(serve: Serve, transport: Transport) -> None:
    packed = gzip.compress(b'{"isSuccess": true}') + gzip.compress(b'{"isSuccess": false}')
    server = serve(lambda *_: http(200, packed, Content_Encoding="gzip"))
    with pytest.raises(Unreadable, match="not whole"):
        send(transport, server.url)
