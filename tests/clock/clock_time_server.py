"""A small NTP server on loopback that is off by so much, or answers wrongly."""

from __future__ import annotations

import socket
import struct
import threading
import time

_EPOCH = 2_208_988_800
"""From 1900 to 1970, in seconds."""


class TimeServer:
    """Answers as RFC 5905 has it.

    Args:
        offset_s: How far its clock is ahead of ours.
        stratum: How far it is from a clock; 0 says "go away".
        leap: 3 says that it does not know the time.
        dispersion_s: What it says its own error is at most.
        echoes: Whether it repeats the instant that the question bore.
        silent: Whether it says nothing.
        garbage: What it says in place of an answer.
    """

    def __init__(self, offset_s=0.0, *, stratum=2, leap=0, dispersion_s=0.002, echoes=True, silent=False, garbage=None):
        self.offset_s, self.stratum, self.leap, self.dispersion_s = offset_s, stratum, leap, dispersion_s
        self.echoes, self.silent, self.garbage = echoes, silent, garbage
        self.asked = 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.socket.getsockname()[1]}"
        self.thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", self.socket.getsockname())
        self.thread.join(5)
        self.socket.close()

    def _serve(self):
        while True:
            question, sender = self.socket.recvfrom(256)
            if not question:
                return
            self.asked += 1
            if not self.silent:
                self.socket.sendto(self.garbage or self._answer(question), sender)

    def _answer(self, question):
        now = struct.pack("!Q", int((time.time() + _EPOCH + self.offset_s) * 2**32))
        head = struct.pack("!BBBbIII", self.leap << 6 | 4 << 3 | 4, self.stratum, 4, -20, 0, self._dispersion, 1)
        origin = question[40:48] if self.echoes else bytes(8)
        return head + now + origin + now + now

    @property
    def _dispersion(self):
        return int(self.dispersion_s * 2**16)
