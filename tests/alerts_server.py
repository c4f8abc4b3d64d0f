"""Telegram, played on loopback: it reads HTML as strictly as the real one, and misbehaves when told to."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import struct
import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "110201543:AAHpl4ntedTcvCH1vGWJxfSeofSAs0K5PALDsaw"
CHAT = "4242"
BOT = "FirstbellBot"
LONGEST = 4096
_PIECE = re.compile(r"<(?P<end>/?)(?P<mark>[a-z-]+)>|&(?P<entity>lt|gt|amp|quot);|(?P<wrong>[<>&])")


def shown(html: str) -> str:
    """What people see of a page.

    Raises:
        ValueError: It is not what Telegram parses.
    """
    said, open_marks, done = [], [], 0
    for found in _PIECE.finditer(html):
        said.append(html[done : found.start()])
        done = found.end()
        if found["wrong"]:
            raise ValueError(f"Unsupported start tag at byte offset {found.start()}")
        if found["entity"]:
            said.append({"lt": "<", "gt": ">", "amp": "&", "quot": '"'}[found["entity"]])
        elif found["mark"] != "b":
            raise ValueError(f"Unsupported tag {found['mark']}")
        elif not found["end"]:
            open_marks.append(found["mark"])
        elif not open_marks or open_marks.pop() != found["mark"]:
            raise ValueError("Unmatched end tag")
    if open_marks:
        raise ValueError("Can't find end tag")
    text = "".join([*said, html[done:]])
    if not text.replace("\u200c", "").replace("\u200d", "").strip():
        raise ValueError("message text is empty")
    if len(text.encode("utf-16-le")) // 2 > LONGEST:
        raise ValueError("message is too long")
    return text


class Server(ThreadingHTTPServer):
    """One bot's server.

    Attributes:
        calls: Every request: when it came (monotonic), its method and its document.
        told: The texts that were taken, as people see them.
        misdeeds: What to do to the next calls of a method instead of answering, in order: method → misdeeds.
        always: What to do to every call of a method when no misdeed is left.
        forgets: Whether it brings all updates anew, whatever was heard of them.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.calls, self.told, self.told_at = [], [], []
        self.misdeeds, self.always = {}, {}
        self.updates, self.lock = [], threading.Condition()
        self.forgets = False
        self.over = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def misbehave(self, method, *misdeeds):
        self.misdeeds.setdefault(method, deque()).extend(misdeeds)

    def methods(self):
        return [method for _, method, _ in self.calls]

    def at(self, method):
        return [at for at, each, _ in self.calls if each == method]

    def write(self, text, *, chat=int(CHAT), sender="alice", age_s=0.0, number=None, kind="message", **more):
        """Somebody writes to the bot."""
        with self.lock:
            number = number or 1000 + len(self.updates)
            message = {
                "message_id": number,
                "date": int(time.time() - age_s),
                "chat": {"id": chat, "type": "private"},
                "from": {"id": 1, "is_bot": False, "first_name": "A", "username": sender},
                "text": text,
                **more,
            }
            self.updates.append({"update_id": number, kind: message})
            self.lock.notify_all()

    def until(self, condition, patience_s=20):
        """Wait until something is so."""
        end = time.monotonic() + patience_s
        while not condition():
            assert time.monotonic() < end, f"it did not come to that: {self.calls[-5:]} {self.told}"
            time.sleep(0.005)

    def until_told(self, count=1, patience_s=20):
        self.until(lambda: len(self.told) >= count, patience_s)

    def close(self):
        self.over.set()
        with self.lock:
            self.lock.notify_all()
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address):
        """Clients that went away are part of the play."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_):
        """Say nothing."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        token, _, method = self.path.removeprefix("/bot").partition("/")
        document = json.loads(body or b"{}")
        with self.server.lock:
            self.server.calls.append((time.monotonic(), method, document))
            waiting = self.server.misdeeds.get(method)
            misdeed = waiting.popleft() if waiting else self.server.always.get(method)
            self.server.lock.notify_all()
        if misdeed is not None:
            self._do(misdeed, method, document)
        elif token != TOKEN:
            self._refuse(401, "Unauthorized")
        else:
            {"sendMessage": self._send_message, "getMe": self._get_me, "getUpdates": self._get_updates}[method](
                document
            )

    def _send_message(self, document):
        if str(document["chat_id"]) != CHAT:
            self._refuse(400, "Bad Request: chat not found")
            return
        try:
            text = shown(document["text"])
        except ValueError as error:
            self._refuse(400, f"Bad Request: can't parse entities: {error}")
            return
        with self.server.lock:
            self.server.told.append(text)
            self.server.told_at.append(time.monotonic())
            self.server.lock.notify_all()
        self._answer({"ok": True, "result": {"message_id": len(self.server.told)}})

    def _get_me(self, _):
        self._answer({"ok": True, "result": {"id": 1, "is_bot": True, "username": BOT}})

    def _get_updates(self, document):
        def fresh():
            first = 0 if self.server.forgets else document.get("offset", 0)
            # What is no update is sent all the same.
            return [
                each
                for each in self.server.updates
                if not isinstance(each, dict) or not isinstance(each["update_id"], int) or each["update_id"] >= first
            ]

        with self.server.lock:
            self.server.lock.wait_for(lambda: fresh() or self.server.over.is_set(), document["timeout"])
            found = fresh()[: document["limit"]]
        self._answer({"ok": True, "result": found})

    def _do(self, misdeed, method, document):  # noqa: C901 - one line a misdeed
        kind, _, value = misdeed.partition(" ")
        match kind:
            case "hang":
                self.server.over.wait(float(value or 600))
                self.close_connection = True
            case "taken-and-hang":
                self._keep(document)
                self.server.over.wait(float(value or 600))
                self.close_connection = True
            case "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                self.close_connection = True
            case "limit":
                self._refuse(429, f"Too Many Requests: retry after {value}", {"retry_after": json.loads(value)})
            case "moved":
                self._refuse(400, "Bad Request: group chat was upgraded", {"migrate_to_chat_id": -1001})
            case "refuse":
                code, _, words = value.partition(" ")
                self._refuse(int(code), words or f"no, bot{TOKEN}")
            case "page":
                self._send(int(value or 200), b"<html>not telegram</html>", "text/html")
            case "garbage":
                self._send(
                    200, b'{"ok":true,"ok":false}' if method != "sendMessage" else b"\xff\xfe{", "application/json"
                )
            case "redirect":
                self.send_response(int(value or 307))
                self.send_header("Location", f"{self.server.url}{self.path}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()
            case "huge":
                self._send(200, b'{"ok":true,"result":"' + b"x" * (3 << 20) + b'"}', "application/json")
            case "drip":
                self._drip()
            case _:
                raise AssertionError(misdeed)

    def _keep(self, document):
        with self.server.lock:
            self.server.told.append(shown(document["text"]))
            self.server.told_at.append(time.monotonic())

    def _drip(self):
        self.send_response(200)
        self.send_header("Content-Length", "10000")
        self.end_headers()
        with contextlib.suppress(OSError):
            while not self.server.over.wait(0.1):
                self.wfile.write(b" ")
        self.close_connection = True

    def _refuse(self, code, description, parameters=None):
        document = {"ok": False, "error_code": code, "description": description}
        self._answer({**document, **({"parameters": parameters} if parameters else {})}, code)

    def _answer(self, document, status=200):
        self._send(status, json.dumps(document).encode(), "application/json")

    def _send(self, status, body, kind):
        with contextlib.suppress(OSError):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
