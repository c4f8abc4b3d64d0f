"""Requests as bytes, and answers read as they come: whole, split, cut off, doubled, oversized and not HTTP at all."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstbell.brokers import http1
from firstbell.brokers.base import PreparedOrder
from firstbell.brokers.http1 import AnswerReader, order_bytes, request_bytes
from firstbell.brokers.transport import USER_AGENT
from firstbell.errors import NoAnswer, NotSent, Unreadable
from firstbell.model.order import Order
from firstbell.model.terms import Side

URL = "https://broker.example"
BODY = b'{"isSuccess": true}'
SECRET = "eyJhbGciOi.SECRET"


@dataclass(frozen=True)
class Case:
    """An answer, and what is to be read from it."""

    name: str
    wire: bytes
    body: bytes = BODY
    status: int = 200
    reusable: bool = True
    until_close: bool = False


def http(head: str, body: bytes = b"", first: str = "HTTP/1.1 200 OK") -> bytes:
    return f"{first}\r\n{head}\r\n".encode("latin-1") + body


SIZED = http(f"Content-Length: {len(BODY)}\r\n", BODY)
CHUNKED = http("Transfer-Encoding: chunked\r\n", b'7\r\n{"isSuc\r\nc;x=1\r\ncess": true}\r\n0\r\n\r\n')
CASES = [
    Case("sized", SIZED),
    Case("sized, refused", SIZED.replace(b"200 OK", b"400 Bad Request"), status=400),
    Case("no reason", SIZED.replace(b"200 OK", b"200"), status=200),
    Case("bare line feeds", SIZED.replace(b"\r\n", b"\n")),
    Case("empty", http("Content-Length: 0\r\n"), b""),
    Case("no content", http("", first="HTTP/1.1 204 No Content"), b"", 204),
    Case("not modified", http("Content-Length: 9\r\n", first="HTTP/1.1 304 Not Modified"), b"", 304),
    Case("chunked", CHUNKED),
    Case("chunked with trailers", CHUNKED[:-2] + b"Content-Encoding: gzip\r\nX: y\r\n\r\n"),
    Case("to be closed", http(f"Connection: close\r\nContent-Length: {len(BODY)}\r\n", BODY), reusable=False),
    Case("chunked, to be closed", CHUNKED.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n"), reusable=False),
    Case("1.0, sized", SIZED.replace(b"HTTP/1.1", b"HTTP/1.0"), reusable=False),
    Case("1.0, kept", SIZED.replace(b"HTTP/1.1 200 OK", b"HTTP/1.0 200 OK\r\nConnection: keep-alive")),
    Case("100 first", b"HTTP/1.1 100 Continue\r\n\r\n" + SIZED),
    Case("103 twice", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nContent-Encoding: br\r\n\r\n" * 2 + CHUNKED),
    Case("it could speak another protocol", SIZED.replace(b"OK\r\n", b"OK\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n")),
    Case(
        "packed", http(f"Content-Encoding: gzip\r\nContent-Length: {len(gzip.compress(BODY))}\r\n", gzip.compress(BODY))
    ),
    Case(
        "deflated",
        http(f"Content-Encoding: deflate\r\nContent-Length: {len(zlib.compress(BODY))}\r\n", zlib.compress(BODY)),
    ),
    Case("until close", http("", BODY), reusable=False, until_close=True),
    Case("1.0, until close", http("", BODY, "HTTP/1.0 200 OK"), reusable=False, until_close=True),
    Case("until close, though kept", http("Connection: keep-alive\r\n", BODY), reusable=False, until_close=True),
]
EACH_CASE = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


def read(*parts: bytes, end: bool = False, max_bytes: int = 1 << 20) -> AnswerReader:
    reader = AnswerReader("broker.example", max_bytes)
    for part in parts:
        assert reader.feed(part) is reader.complete
    if end:
        reader.end()
    return reader


def check(reader: AnswerReader, case: Case) -> None:
    assert reader.complete
    assert (reader.status, reader.body(), reader.reusable) == (case.status, case.body, case.reusable)


@EACH_CASE
def test_an_answer_is_read_however_it_is_split(case):
    check(read(case.wire, end=case.until_close), case)
    check(read(*(bytes([byte]) for byte in case.wire), end=case.until_close), case)
    for cut in range(1, len(case.wire)):
        check(read(case.wire[:cut], case.wire[cut:], end=case.until_close), case)


@EACH_CASE
def test_an_answer_cut_off_anywhere_is_never_taken_for_a_whole_one(case):
    head = case.wire.rfind(b"\r\n\r\n", 0, case.wire.find(b"{") if case.until_close else None)
    for cut in range(len(case.wire)):
        reader = read(case.wire[:cut])
        assert not reader.complete
        assert not reader.reusable
        if case.until_close and cut >= head + 4:
            reader.end()
            assert reader.body() == case.wire[head + 4 : cut]
            assert not reader.reusable
        else:
            words = "ended half way" if cut else "closed without an answer"
            with pytest.raises(NoAnswer, match=f"broker.example: .*{words}; the request had left") as caught:
                reader.end()
            assert caught.value.host == "broker.example"


@st.composite
def answers(draw):
    """A delimited answer: its bytes, status and body."""
    status = draw(st.sampled_from([200, 201, 400, 401, 429, 500, 503]))
    body = draw(st.binary(max_size=60))
    lines = [
        f"X-{n}: {value}" for n, value in enumerate(draw(st.lists(st.text("abc {}\t:;=", max_size=8), max_size=3)))
    ]
    if draw(st.booleans()):
        lines.append(f"Content-Length: {len(body)}")
        tail = body
    else:
        lines.append("Transfer-Encoding: chunked")
        sizes = draw(st.lists(st.integers(1, 20), max_size=6))
        tail, rest = b"", body
        while rest:
            size = sizes.pop() if sizes else len(rest)
            part, rest = rest[:size], rest[size:]
            tail += f"{len(part):x}\r\n".encode() + part + b"\r\n"
        tail += b"0\r\n\r\n"
    lines = draw(st.permutations(lines))
    interim = b"HTTP/1.1 100 Continue\r\n\r\n" * draw(st.integers(0, 2))
    return interim + http("".join(f"{line}\r\n" for line in lines), tail, f"HTTP/1.1 {status} So"), status, body


@settings(max_examples=150, deadline=None)
@given(answer=answers(), cuts=st.lists(st.integers(0, 400), max_size=8), cut_off=st.integers(0, 400))
def test_any_answer_is_read_whole_or_not_at_all(answer, cuts, cut_off):
    wire, status, body = answer
    at = sorted({min(cut, len(wire)) for cut in cuts} | {0, len(wire)})
    reader = read(*(wire[a:b] for a, b in pairwise(at)))
    assert (reader.complete, reader.status, reader.body()) == (True, status, body)
    cut = cut_off % len(wire)
    reader = read(wire[:cut])
    with pytest.raises(NoAnswer):
        reader.end()
    assert not reader.complete


@pytest.mark.parametrize("first", [SIZED, CHUNKED], ids=["sized", "chunked"])
@pytest.mark.parametrize(
    "second",
    [
        http("Content-Length: 2\r\nX-Second: yes\r\n", b"[]", "HTTP/1.1 401 Unauthorized"),
        http("Content-Encoding: br\r\n", b"x" * 5000, "HTTP/1.1 500 No"),
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        b"H",
        b"garbage",
        b"\x00\xff",
    ],
    ids=["an answer", "a large one", "an upgrade", "one byte", "garbage", "bytes"],
)
def test_what_stands_behind_an_answer_is_not_part_of_it_and_ends_the_connection(first, second):
    both = first + second
    for cut in range(1, len(both)):
        reader = AnswerReader("h", 100)
        reader.feed(both[:cut])
        assert reader.complete is (cut >= len(first))
        reader.feed(both[cut:])
        assert (reader.complete, reader.status, reader.body()) == (True, 200, BODY)
        assert "x-second" not in reader.headers
        assert not reader.reusable
    check(read(first), Case("", b""))


def test_the_end_of_the_connection_behind_a_whole_answer_only_ends_the_connection():
    reader = read(SIZED)
    assert reader.reusable
    reader.end()
    check(reader, Case("", b"", reusable=False))


def test_headers_are_read_as_they_are_without_cookies():
    head = "X-One: a\r\nx-one:  b \r\nSet-Cookie: s=1\r\nSet-Cookie2: s\r\nServer: caf\xe9\r\nContent-Length: 0\r\n"
    reader = read(b"HTTP/1.1 103 Hints\r\nX-Hint: 1\r\n\r\n" + http(head))
    assert dict(reader.headers) == {"x-one": "a, b", "server": "caf\xe9", "content-length": "0"}
    with pytest.raises(TypeError):
        reader.headers["x"] = "y"


def test_headers_behind_a_chunked_body_are_left_out():
    assert "x" not in read(CHUNKED[:-2] + b"X: y\r\n\r\n").headers


@pytest.mark.parametrize(
    "wire",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"GET / HTTP/1.1\r\n\r\n",
        b"HTTP/3.7 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        http("Content-Length: 2\r\nContent-Length: 3\r\n", b"ab"),
        http("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
        http("Content-Length: -1\r\n"),
        http("Content-Length : 2\r\n", b"ab"),
        http("Transfer-Encoding: chunked\r\n", b"zz\r\n"),
        http("X: a\x00b\r\n"),
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    ],
)
def test_what_is_not_an_answer_cannot_be_read(wire):
    for parts in ([wire], [bytes([byte]) for byte in wire]):
        with pytest.raises(Unreadable, match="^broker.example: ") as caught:
            read(*parts)
        assert caught.value.host == "broker.example"


def test_another_protocol_is_called_that():
    with pytest.raises(Unreadable, match="broker.example: it wants to speak another protocol"):
        read(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")


@pytest.mark.parametrize(
    "wire",
    [
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000,
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 12_000,
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 2_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 3_000,
    ],
)
@pytest.mark.parametrize("block", [1 << 10, 1 << 16, 1 << 17])
def test_a_head_that_does_not_end_is_no_answer(wire, block):
    with pytest.raises(Unreadable, match="whose head does not end"):
        read(*(wire[at : at + block] for at in range(0, len(wire), block)))


def test_a_head_of_sixty_kilobytes_is_read():
    head = "X: " + "a" * 60_000 + "\r\nContent-Length: 2\r\n"
    assert read(http(head), b"{}").body() == b"{}"
    assert read(http(head, b"{" + b" " * 9_000)).complete


@pytest.mark.parametrize(
    "wire",
    [
        http("Content-Length: 101\r\n", b"x" * 101),
        http("Transfer-Encoding: chunked\r\n", b"32\r\n" + b"x" * 50 + b"\r\n33\r\n" + b"x" * 51 + b"\r\n0\r\n\r\n"),
        http("", b"x" * 101),
    ],
    ids=["sized", "chunked", "until close"],
)
def test_a_body_that_is_too_large_is_no_answer(wire):
    for parts in ([wire], [wire[:-60], wire[-60:]]):
        with pytest.raises(Unreadable, match="more than 100 bytes"):
            read(*parts, max_bytes=100)


def test_a_body_as_large_as_it_may_be_is_read():
    assert read(http("Content-Length: 100\r\n", b"x" * 100), max_bytes=100).body() == b"x" * 100


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("br", BODY),
        ("gzip, gzip", gzip.compress(gzip.compress(BODY))),
        ("gzip", gzip.compress(BODY)[:-4]),
        ("gzip", BODY),
        ("gzip", gzip.compress(b"0" * 10_000)),
    ],
    ids=["unknown", "twice", "cut off", "not packed at all", "a bomb"],
)
def test_a_body_that_cannot_be_unpacked_is_no_answer(encoding, packed):
    reader = read(http(f"Content-Encoding: {encoding}\r\nContent-Length: {len(packed)}\r\n", packed), max_bytes=1_000)
    assert reader.complete
    with pytest.raises(Unreadable):
        reader.body()


def lines_of(request: bytes) -> list[str]:
    return request.partition(b"\r\n\r\n")[0].decode("ascii").split("\r\n")


def test_a_request_is_one_object_with_all_that_a_host_wants():
    request = request_bytes("POST", "https://broker.example:8443", "/api/order?x=1", {"Authorization": SECRET}, b"{}")
    assert request == (
        f"POST /api/order?x=1 HTTP/1.1\r\nHost: broker.example:8443\r\nConnection: keep-alive\r\n"
        f"User-Agent: {USER_AGENT}\r\nAccept: application/json\r\nAccept-Encoding: identity\r\n"
        f"Authorization: {SECRET}\r\nContent-Length: 2\r\n\r\n{{}}"
    ).encode("ascii")


def test_a_request_without_a_body_has_no_length_and_one_with_an_empty_body_has():
    assert not any(line.startswith("Content-Length") for line in lines_of(request_bytes("GET", URL, "/", {}, None)))
    assert lines_of(request_bytes("POST", URL, "/", {}, b""))[-1] == "Content-Length: 0"


def test_a_header_that_is_given_stands_once_whatever_its_case():
    headers = {"ACCEPT": "text/plain", "host": "other.example", "content-length": "99", "connection": "close", "X": ""}
    lines = lines_of(request_bytes("POST", URL, "/", headers, b"{}"))
    names = [line.partition(":")[0].lower() for line in lines[1:]]
    assert len(names) == len(set(names))
    assert {"ACCEPT: text/plain", "Content-Length: 2", "X: "} <= set(lines)


def test_a_body_is_left_as_it_is():
    body = bytes(range(256)) + b"\r\n\r\n"
    assert request_bytes("POST", URL, "/", {}, body).endswith(b"\r\n\r\n" + body)


@pytest.mark.parametrize(
    "value",
    [
        f"{SECRET}\r\nX-Injected: 1",
        f"{SECRET}\nX: 1",
        f"{SECRET}\r",
        f"{SECRET}\0",
        f" {SECRET}",
        f"{SECRET} ",
        f"{SECRET}\x7f",
        f"{SECRET}سلام",
        f"{SECRET}\x85",
        f"{SECRET}\u2028",
    ],
)
def test_a_value_that_would_not_stay_one_header_is_refused_and_not_told(value):
    with pytest.raises(ValueError, match="the header 'Authorization' cannot be written") as caught:
        request_bytes("POST", URL, "/", {"Authorization": value}, b"{}")
    assert SECRET not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("name", ["", "X:", "X Y", "X\r\nY", "X\n", "نام", "X\0"])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(ValueError, match="cannot be written") as caught:
        request_bytes("POST", URL, "/", {name: SECRET}, b"{}")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", f"/x?token={SECRET} HTTP/1.1\r\nX: y"),
        ("POST", f"/{SECRET} x"),
        ("POST", f"x/{SECRET}"),
        ("POST", ""),
        ("POST", f"/{SECRET}\n"),
        ("POST", f"/{SECRET}/سفارش"),
        ("POST X", "/"),
        ("", "/"),
        ("GET\r\n", "/"),
    ],
)
def test_a_method_or_path_that_is_none_is_refused_and_not_told(method, path):
    with pytest.raises(ValueError, match="method or path is not one") as caught:
        request_bytes(method, URL, path, {}, b"{}")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("url", ["http://broker.example", "https://user:pass@broker.example", "ftp://x", "broker"])
def test_nothing_is_written_for_an_address_that_nothing_may_be_sent_to(url):
    with pytest.raises(NotSent):
        request_bytes("POST", url, "/", {}, b"{}")


def test_a_prepared_order_is_written_whole():
    order = Order("fb-1", "A", "gs", "IRO1MHRN0001", Side.BUY, Decimal(1), Decimal(1), date(2026, 11, 21))
    prepared = PreparedOrder(order, "POST", URL, "/order", {"Authorization": SECRET}, b"{}")
    assert order_bytes(prepared) == request_bytes("POST", URL, "/order", {"Authorization": SECRET}, b"{}")
    assert http1._LARGEST_HEAD == 1 << 16


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (b"", b"HTTP/1.1 103 Hints\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\n", b"A: b\r\n"),
        (b"HTTP/1.1 200 OK\r\nA: ", b"b"),
        (b"HTTP/1.1 200 ", b"OK"),
        (CHUNKED[:-2], b"A: b\r\n"),
        (CHUNKED[:-2] + b"A: ", b"b"),
        (CHUNKED.partition(b"7\r\n")[0] + b"7;", b"x"),
        (CHUNKED.partition(b"7\r\n")[0] + b"7;x=", b"x"),
        (CHUNKED.partition(b"7\r\n")[0], b"0"),
    ],
)
def test_what_has_no_end_is_given_up(start: bytes, more: bytes) -> None:
    """Each of these could go on for ever without ever being a body."""
    reader = AnswerReader("h")
    piece = more * (4096 // len(more))

    def flood() -> None:
        reader.feed(start)
        for _ in range(40):
            reader.feed(piece)

    with pytest.raises(Unreadable):
        flood()
