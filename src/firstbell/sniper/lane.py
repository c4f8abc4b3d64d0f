"""A lane: one account's connection, opened, proven alive and loaded before the bell.

A TLS record does not depend on the moment at which it is sent. So the handshake is done and the request encrypted
(`ssl.SSLObject` over `ssl.MemoryBIO`) before the bell, and at the bell one `send` on a plain socket is all that is
left: TLS at the price of TCP. A sealed record cannot be dropped, changed or preceded by anything else: whoever wants
another order on the way takes a fresh lane.

The socket is the system's own, also where gevent has patched the standard library: gevent's looks at the hub before it
sends. Only connecting and reading wait, and they wait through a `firstbell.sniper.waiting.Waiter`.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from typing import TYPE_CHECKING, Any, Final, Self

from gevent import monkey

from firstbell.brokers.base import Answer
from firstbell.brokers.http1 import AnswerReader
from firstbell.brokers.transport import in_words
from firstbell.errors import NoAnswer, NotSent
from firstbell.sniper.kernel_stamp import ask_for_stamps, came_ago_ns, receive
from firstbell.sniper.lane_address import looked_up

if TYPE_CHECKING:
    from collections.abc import Callable

    from firstbell.sniper.lane_address import LaneAddress
    from firstbell.sniper.waiting import Waiter

_NS: Final = 1_000_000_000
_BLOCK: Final = 1 << 14
_CREDIBLE_NS: Final = 10 * _NS
"""A stamp that is farther from an instant of ours than this was made by a clock that has been set since."""
_PlainSocket: Final = monkey.get_original("socket", "socket")


class Lane:
    """One connection, for one request after the other.

    Args:
        address: Where it leads.
        context: The TLS context, shared and verifying; None where no TLS is spoken.
        waiter: How to wait for its socket.
    """

    def __init__(self, address: LaneAddress, context: ssl.SSLContext | None, waiter: Waiter) -> None:
        self._address = address
        self._context = context
        self._waiter = waiter
        self._socket: Any = None
        self._tls: ssl.SSLObject | None = None
        self._in = ssl.MemoryBIO()
        self._out = ssl.MemoryBIO()
        self._sealed = b""
        self._unsent = b""
        self._came = b""
        self._ended = False
        self._stamp_ns: int | None = None
        self._awaited = False
        self._sent_ns = 0
        self._sent_monotonic_ns = 0

    @property
    def address(self) -> LaneAddress:
        """Where it leads."""
        return self._address

    @property
    def host(self) -> str:
        """The host that it leads to, as people read it."""
        return self._address.host

    @property
    def sent_ns(self) -> int:
        """When what was fired last left: ns since the epoch, on our clock."""
        return self._sent_ns

    @property
    def sent_monotonic_ns(self) -> int:
        """The same on the monotonic clock."""
        return self._sent_monotonic_ns

    @property
    def is_open(self) -> bool:
        """Whether it has been opened and not been given up."""
        return self._socket is not None

    @property
    def is_sealed(self) -> bool:
        """Whether it is loaded: the next bytes that leave on it are the sealed request."""
        return bool(self._sealed)

    def open(self, deadline_ns: int) -> None:
        """Connect, TLS included, to the first of the host's addresses that answers.

        Args:
            deadline_ns: When it has to be done, on the monotonic clock.

        Raises:
            NotSent: It cannot be done, or not in time.
        """
        self.close()
        failure: Exception = TimeoutError("no time was left")
        try:
            addresses = looked_up(self._address.hostname, self._address.port)
        except (OSError, UnicodeError) as error:
            raise self._not_sent(error) from None
        for number, (family, kind, protocol, _, place) in enumerate(addresses):
            left_ns = deadline_ns - time.monotonic_ns()
            until_ns = time.monotonic_ns() + left_ns // (len(addresses) - number)
            try:
                self._connect(family, kind, protocol, place, until_ns)
                if self._address.tls:
                    self._handshake(until_ns)
            except (OSError, ValueError) as error:
                self.close()
                failure = error
            except BaseException:
                self.close()
                raise
            else:
                return
        raise self._not_sent(failure)

    def _connect(self, family: int, kind: int, protocol: int, place: Any, until_ns: int) -> None:
        self._socket = plain = _PlainSocket(family, kind, protocol)
        plain.settimeout(0)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ask_for_stamps(plain)
        try:
            plain.connect(place)
        except BlockingIOError:
            if not self._waiter.writable(plain.fileno(), _left_s(until_ns)):
                raise TimeoutError("the connection took too long") from None
            if code := plain.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(code, "the connection failed") from None

    def _handshake(self, until_ns: int) -> None:
        if self._context is None:
            raise ValueError("a lane to an https:// address needs a TLS context")
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = tls = self._context.wrap_bio(self._in, self._out, server_hostname=self._address.hostname)
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                self._send_all(self._out.read(), until_ns)
                self._receive(until_ns)
            except ssl.SSLError:
                # The alert tells the other side why; it is courtesy, and may fail.
                with contextlib.suppress(OSError):
                    self._socket.send(self._out.read())
                raise
            else:
                self._send_all(self._out.read(), until_ns)
                return

    def alive(self) -> bool:
        """Whether the other side has neither ended the connection nor said anything unasked; one look, no waiting.

        Otherwise the lane is closed: what was said unasked must never be taken for an answer.
        """
        if self._socket is not None and not self._lives():
            self.close()
        return self._socket is not None

    def _lives(self) -> bool:
        try:
            # What came with the end of the handshake may still lie there unread.
            if self._in.pending and not self._quiet():
                return False
            while data := self._socket.recv(_BLOCK):
                if self._tls is None:
                    return False
                self._in.write(data)
                if not self._quiet():
                    return False
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def _quiet(self) -> bool:
        """Whether what has come over TLS says nothing: session tickets and new keys are life, an answer is not."""
        return not self._in_clear() and not self._ended

    def exchange(self, request: bytes, deadline_ns: int) -> Answer:
        """Send a request now and read its answer: the proof that the lane is alive.

        Args:
            request: Its bytes.
            deadline_ns: When the answer must be there, on the monotonic clock.

        Raises:
            NotSent: Not one byte left.
            NoAnswer: Bytes left, and no whole answer came.
            Unreadable: What came is no answer.
        """
        self.seal(request)
        self.fire()
        return self.read(deadline_ns)

    def seal(self, request: bytes) -> None:
        """Load a request: from now on nothing else can leave on this lane before it.

        Raises:
            NotSent: The lane is not open, or does not encrypt any more.
            ValueError: It is loaded already, or the answer to what it carried last has not been read.
        """
        if self._sealed or self._awaited:
            raise ValueError("a lane cannot be loaded again before its answer has been read")
        if self._socket is None:
            raise NotSent(
                f"{self._address.host}: the connection is not open; nothing was sent", host=self._address.host
            )
        if self._tls is None:
            self._sealed = request
            return
        view = memoryview(request)
        try:
            while view:
                view = view[self._tls.write(view) :]
        except OSError as error:
            raise self.refused(error) from None
        self._sealed = self._out.read()

    def shot(self) -> tuple[Callable[[bytes], int], bytes]:
        """What firing is, for whoever fires many lanes in one loop: the system's own `send`, and the bytes.

        Whoever calls it tells `fired` what came of it.
        """
        return self._socket.send, self._sealed

    def fired(self, sent: int, sent_monotonic_ns: int, sent_ns: int) -> None:
        """The sealed bytes have been given to the system.

        Args:
            sent: How many of them it took.
            sent_monotonic_ns: When, on the monotonic clock.
            sent_ns: When, in ns since the epoch, on our clock.
        """
        self._unsent = self._sealed[sent:]
        self._sealed, self._awaited = b"", True
        self._sent_monotonic_ns, self._sent_ns = sent_monotonic_ns, sent_ns

    def fire(self) -> None:
        """Send the sealed bytes now.

        Raises:
            NotSent: Not one byte left; the lane is closed.
        """
        send, sealed = self.shot()
        sent_monotonic_ns, sent_ns = time.monotonic_ns(), time.time_ns()
        try:
            sent = send(sealed)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise self.refused(error) from None
        self.fired(sent, sent_monotonic_ns, sent_ns)

    @property
    def is_half_sent(self) -> bool:
        """Whether the system has not taken all of what was fired: `read` sends the rest."""
        return bool(self._unsent)

    def refused(self, error: OSError) -> NotSent:
        """The system did not take a single sealed byte: the lane is closed, and this is the error to raise."""
        self.close()
        return self._not_sent(error)

    def read(self, deadline_ns: int) -> Answer:
        """Read the answer to what was fired.

        Afterwards the lane is open only if it may carry another request.

        Args:
            deadline_ns: When it must be there, on the monotonic clock.

        Raises:
            NoAnswer: It did not come, or not whole.
            Unreadable: What came is no answer.
        """
        reader = AnswerReader(self._address.host)
        began_ns = self._sent_monotonic_ns
        try:
            self._send_all(self._unsent, deadline_ns)
            self._unsent = b""
            self._read_into(reader, deadline_ns)
            ago_ns = came_ago_ns(self._stamp_ns)
            ended_ns = max(time.monotonic_ns() - ago_ns, began_ns)
            answered_ns = self._sent_ns + (ended_ns - began_ns)
            body = reader.body()
        except OSError as error:
            self.close()
            words = in_words(error, max(0.0, round((time.monotonic_ns() - began_ns) / _NS, 1)))
            raise NoAnswer(f"{self._address.host}: {words}; the request had left", host=self._address.host) from None
        except BaseException:
            self.close()
            raise
        self._awaited = False
        if not reader.reusable:
            self.close()
        return Answer(reader.status, reader.headers, body, self._sent_ns, began_ns, answered_ns, ended_ns - began_ns)

    def _read_into(self, reader: AnswerReader, deadline_ns: int) -> None:
        while not reader.complete:
            self._receive(deadline_ns)
            if data := self._in_clear():
                self._refuse_what_came_before()
                reader.feed(data)
            if self._ended:
                reader.end()

    def _refuse_what_came_before(self) -> None:
        """What had come before the request left is no answer to it.

        Raises:
            NoAnswer: It had.
        """
        if self._stamp_ns is not None and 0 < self._sent_ns - self._stamp_ns < _CREDIBLE_NS:
            words = "what came had come before the request left"
            raise NoAnswer(f"{self._address.host}: {words}", host=self._address.host)

    def _in_clear(self) -> bytes:
        """What has come, decrypted.

        A TLS connection that ends without saying so may have been cut off by somebody; whether the answer is whole is
        then for its reader to judge, as without TLS.
        """
        if self._tls is None:
            data, self._came = self._came, b""
            return data
        parts = []
        try:
            while part := self._tls.read(_BLOCK):
                parts.append(part)
            self._ended = True
        except ssl.SSLWantReadError:
            pass
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            self._ended = True
        return b"".join(parts)

    def _receive(self, until_ns: int) -> None:
        """Take in what has come, waiting for it where nothing has.

        Raises:
            TimeoutError: Nothing came in time.
            OSError: The connection broke.
        """
        while True:
            try:
                data, self._stamp_ns = receive(self._socket, _BLOCK)
            except BlockingIOError:
                if not self._waiter.readable(self._socket.fileno(), _left_s(until_ns)):
                    raise TimeoutError("nothing came in time") from None
            else:
                break
        if self._tls is None:
            self._came, self._ended = data, not data
        elif data:
            self._in.write(data)
        else:
            self._in.write_eof()

    def _send_all(self, data: bytes, until_ns: int) -> None:
        while data:
            try:
                data = data[self._socket.send(data) :]
            except BlockingIOError:
                if not self._waiter.writable(self._socket.fileno(), _left_s(until_ns)):
                    raise TimeoutError("the connection takes nothing more") from None

    def close(self) -> None:
        """Give the connection up; nothing that is sealed will leave."""
        plain, self._socket, self._tls = self._socket, None, None
        self._sealed = self._unsent = self._came = b""
        self._ended = self._awaited = False
        if plain is not None:
            plain.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _not_sent(self, error: Exception) -> NotSent:
        words = in_words(error, 0)
        if isinstance(error, TimeoutError):
            words = "no connection in time"
        return NotSent(f"{self._address.host}: {words}; nothing was sent", host=self._address.host)


def _left_s(until_ns: int) -> float:
    """Seconds left until then.

    Raises:
        TimeoutError: None are left.
    """
    left_ns = until_ns - time.monotonic_ns()
    if left_ns <= 0:
        raise TimeoutError("no time was left")
    return left_ns / _NS
