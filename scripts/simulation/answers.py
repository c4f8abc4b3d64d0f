"""Answers as bytes: honest ones, and everything else that comes back from hosts and from what stands before them."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping, Sequence

_PAGE: Final = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_BROKEN: Final = '{"Message":"خطای سیستمی رخ داده است.","Code":500}'.encode()
_BLOCK: Final = b"x" * (1 << 16)
_LARGE: Final = 20 << 20


def odds(chance: random.Random, percent: int) -> bool:
    """Whether something happens that happens so often."""
    return chance.randrange(100) < percent


@dataclass(frozen=True, slots=True)
class Raw:
    """An answer on the wire.

    Attributes:
        pieces: Its bytes, as they come.
        closes: Whether the connection ends behind them; else it stays open and silent.
        pause_ns: How long the second piece is late, in ns.
    """

    pieces: Sequence[bytes]
    closes: bool = False
    pause_ns: int = 0


def written(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    """An answer with its length in its head."""
    own = {"Content-Type": "application/json; charset=utf-8", "Content-Length": str(len(body)), **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in own.items())
    return f"HTTP/1.1 {status} X\r\n{head}\r\n".encode("latin-1") + body


def truncated(whole: bytes, chance: random.Random) -> Raw:
    """An answer of which only the beginning comes."""
    return Raw((whole[: chance.randrange(len(whole))],), closes=odds(chance, 70))


def dripping(whole: bytes, chance: random.Random) -> Raw:
    """An answer that comes in two pieces, the second one late."""
    place = chance.randrange(len(whole))
    return Raw((whole[:place], whole[place:]), pause_ns=chance.choice((1_000_000, 900_000_000, 7_000_000_000)))


GARBAGE: Final = (
    "html 200",
    "html 502",
    "json 500",
    "json 503",
    "empty 200",
    "empty 204",
    "empty 500",
    "307",
    "302",
    "20 MiB",
    "20 MiB unsaid",
    "NaN",
    "wrong types",
    "array",
    "null",
    "text",
    "no serial",
    "nothing said",
    "serial zero",
    "half JSON",
    "twice the key",
    "byte-order mark",
    "deep",
    "yes and no",
    "not HTTP",
    "bad gzip",
    "unknown code",
    "unknown code 200",
    "Persian code",
    "400 without words",
    "403 page",
    "408",
)
"""Answers that say nothing for certain about an order, whatever became of it."""


def garbage(name: str, honest: bytes, chance: random.Random) -> Raw:  # noqa: C901, PLR0911, PLR0912 - a table of bytes
    """An answer that says nothing for certain.

    Args:
        name: One of `GARBAGE`.
        honest: The honest answer's body.
        chance: Where details come from.
    """
    page = {"Content-Type": "text/html"}
    match name:
        case "html 200":
            return Raw((written(200, _PAGE, page),))
        case "html 502":
            return Raw((written(502, _PAGE, page),), closes=True)
        case "json 500":
            return Raw((written(500, _BROKEN),))
        case "json 503":
            return Raw((written(503, honest),))
        case "empty 200":
            return Raw((written(200, b""),))
        case "empty 204":
            return Raw((b"HTTP/1.1 204 No Content\r\n\r\n",))
        case "empty 500":
            return Raw((written(500, b""),), closes=True)
        case "307" | "302":
            return Raw((written(int(name), b"", {"Location": "/api/v2/orders/NewOrder"}),))
        case "20 MiB":
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {_LARGE}\r\n\r\n".encode()
            return Raw((head, *([_BLOCK] * (_LARGE // len(_BLOCK)))))
        case "20 MiB unsaid":
            return Raw((b"HTTP/1.1 200 OK\r\n\r\n", *([_BLOCK] * (_LARGE // len(_BLOCK)))), closes=True)
        case "not HTTP":
            return Raw((b"\x15\x03\x01\x00\x02\x02\x28" + chance.randbytes(20),), closes=True)
        case "bad gzip":
            packed = gzip.compress(honest, mtime=0)
            return Raw((written(200, packed[: len(packed) // 2], {"Content-Encoding": "gzip"}),))
        case "400 without words":
            return Raw((written(400, b""),))
        case "403 page":
            return Raw((written(403, _PAGE, page),))
        case "408":
            return Raw((written(408, b"{}"),), closes=True)
        case "unknown code":
            return Raw((written(chance.choice((400, 409, 422)), _coded(chance.choice((1902, 7, -5, 99999)))),))
        case "Persian code":
            return Raw((written(400, '{"Message":"x","Code":"۱۹۹۹"}'.encode()),))
        case "unknown code 200":
            return Raw((written(200, _coded(chance.choice((1904, 13)))),))
        case _:
            return Raw((written(200, _strange(name, honest)),))


def _strange(name: str, honest: bytes) -> bytes:
    """A body at HTTP 200 that says nothing for certain."""
    if name == "array":
        return b"[" + honest + b"]"
    if name == "half JSON":
        return honest[: len(honest) // 2]
    return _STRANGE[name]


_STRANGE: Final = {
    "NaN": b'{"isSuccess":true,"errorCode":NaN,"serialNumber":NaN}',
    "wrong types": b'{"isSuccess":[],"errorCode":{},"serialNumber":"soon"}',
    "null": b"null",
    "text": b'"OK"',
    "no serial": b'{"errorCode":0,"message":null}',
    "nothing said": b"{}",
    "serial zero": b'{"errorCode":0,"serialNumber":0,"trackingNumber":0}',
    "twice the key": b'{"isSuccess":true,"isSuccess":false,"errorCode":0}',
    "byte-order mark": b'\xef\xbb\xbf{"errorCode":0}',
    "deep": b'{"a":' * 200 + b"1" + b"}" * 200,
    "yes and no": b'{"isSuccess":true,"errorCode":1011,"message":"?"}',
}


def _coded(code: int) -> bytes:
    return json.dumps({"Message": "کد ناشناخته", "Code": code}, ensure_ascii=False).encode()


REFUSALS: Final = (
    "1017",
    "1018",
    "1011",
    "1001",
    "1006",
    "no at 200",
    "429",
    "429 with seconds",
    "429 with a date",
    "401",
)
"""Answers that say for certain that an order is not there."""


def refusal(name: str, chance: random.Random, date: str) -> bytes:
    """A certain refusal.

    Args:
        name: One of `REFUSALS`.
        chance: Where details come from.
        date: The host's time, as its ``Date`` says it.
    """
    dated = {"Date": date}
    match name:
        case "no at 200":
            return written(200, b'{"isSuccess":false,"errorCode":0,"message":"not now"}', dated)
        case "429":
            return written(429, b"", dated)
        case "429 with seconds":
            return written(429, b"{}", {**dated, "Retry-After": str(chance.choice((0, 1, 3, 40)))})
        case "429 with a date":
            return written(429, b"{}", {**dated, "Retry-After": date})
        case "401":
            return written(401, b'{"Message":"Unauthorized","Code":401}', dated)
        case _:
            status = chance.choice((400, 400, 422, 200))
            return written(status, _coded(int(name)), dated)


def list_garbage(honest: bytes, chance: random.Random, name: str = "") -> Raw:
    """A list that cannot be believed: half of it, rows that are none, or no list at all.

    Args:
        honest: The honest list.
        chance: Where details come from.
        name: Which of them; empty for any.
    """
    name = name or chance.choice(
        ("half", "rows", "html 200", "json 500", "NaN", "empty 200", "truncated", "20 MiB", "null")
    )
    document: Any = json.loads(honest)
    if name == "truncated":
        return truncated(written(200, honest), chance)
    rows = document.get("rows", []) if isinstance(document, dict) else []
    if name == "half" and not rows:
        # The open orders come without a number of how many there are.
        half = json.dumps(document[: len(document) // 2]).encode() if isinstance(document, list) else honest
        return Raw((written(200, half),))
    if name in {"half", "rows"} and rows:
        if name == "half":
            document["rows"] = rows[: len(rows) // 2]
        else:
            chance.choice(rows)[chance.choice(("serialNumber", "price", "volume", "orderSide"))] = chance.choice(
                (None, "soon", -1, 0, [], "NaN")
            )
        return Raw((written(200, json.dumps(document).encode()),))
    return garbage("json 500" if name in {"half", "rows"} else name, honest, chance)
