"""Answers to orders: read without an error ever, and accepted or refused only where the bytes certainly say so.

The rules are written here a second time, from the platform's description and not from the reader, so that a mistake
would have to be made twice.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from firstbell.brokers import strict_json
from firstbell.brokers.ephoenix.orders import read_order_answer
from firstbell.errors import Unreadable
from firstbell.model.terms import AttemptOutcome
from fuzzing import junk, practice, spoiling
from fuzzing.targets.base import Plain, expect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from firstbell.brokers.base import Outcome

_STATUSES: Final = (200, 200, 200, 200, 201, 204, 400, 400, 400, 401, 403, 409, 429, 500, 503, 302, 100, 0, 999)
_HARMLESS: Final = frozenset({1017, 1018, 1011, 1001, 1006})
_AGAIN: Final = frozenset({1017, 1018})
_LAYERS: Final = ("result", "data", "error")
_SERIALS: Final = frozenset({"serialnumber", "serialno", "serial"})
_NAMES: Final = _SERIALS | {"trackingnumber", "tracking"}
_DIGITS: Final = str.maketrans("۰۱۲۳۴۵۶۷۸۹٠١٢٣٤٥٦٧٨٩", "01234567890123456789")
_MORE: Final = (
    {"Message": "نه", "Code": 1017},
    {"Message": "نه", "Code": 1018},
    {"Message": "نه", "Code": 1011},
    {"Message": "نه", "Code": "۱۰۱۷"},
    {"isSuccess": False, "errorCode": 1017, "result": None},
    {"isSuccess": True, "result": {"serialNumber": 4711, "trackingNumber": 3}},
    {"result": {"isSuccess": True, "errorCode": 0, "serialNumber": "4711"}},
    {"serial": 4711},
)


class OrderAnswers(Plain):
    """`firstbell.brokers.ephoenix.orders.read_order_answer`."""

    name = "order"

    def __init__(self) -> None:
        self._wholes = (*practice.answers()["order"], *_MORE)

    def make(self, rng: Random) -> bytes:
        """A status, a ``Retry-After`` and a body."""
        pause = junk.text(rng) if rng.randrange(4) == 0 else "1"
        head = f"{rng.choice(_STATUSES)}\n{pause.replace(chr(10), ' ')}\n"
        return head.encode("utf-8", "surrogatepass") + spoiling.document(self._wholes, rng)

    def attempt(self, data: bytes) -> None:
        """Read it, and judge what was read."""
        status, pause, body = (data + b"\n\n").split(b"\n", 2)
        body = body[:-2]
        number = int(status) if status.isdigit() and len(status) < 4 else 200
        headers = {"retry-after": pause.decode("latin-1"), "date": "Sat, 21 Nov 2026 08:45:00 GMT"}
        judge(read_order_answer(number, headers, body), number, body)


def judge(outcome: Outcome, status: int, body: bytes) -> None:
    """Hold what was read against what the bytes say."""
    said = list(_marks(body))
    yes = [mark for mark in said if _is_yes(*mark[:2])]
    no = [mark for mark in said if _is_no(*mark[:2])]
    expect(len(outcome.message or "") <= 500, "a message is not cut")
    expect(outcome.outcome is not AttemptOutcome.NOT_SENT, "an answer proves that it was sent")
    if outcome.outcome is AttemptOutcome.ACCEPTED:
        expect(200 <= status < 300, "accepted at another status than 2xx")
        expect(any(depth <= 1 for *_, depth in yes), "accepted, and nothing says so")
        expect(not no, "accepted, and something says no")
    if outcome.outcome is AttemptOutcome.REJECTED:
        certain = [mark for mark in yes if mark[0] not in _NAMES - _SERIALS]
        # Where the body cannot be read, these two statuses speak alone: whoever says them has passed nothing on.
        alone = status in {401, 429} and not _readable(body)
        expect(alone or not certain, "refused, and something says that it is there")
        codes = {_number(item) for name, item, depth in said if name in {"code", "errorcode"} and depth <= 1}
        known = codes & _HARMLESS
        silent = status == 200 and any(name == "issuccess" and _flag(item) is False for name, item, _ in said)
        expect(status in {401, 429} or bool(known) or silent, "refused, and nothing harmless says so")
    if outcome.again:
        expect(outcome.outcome is AttemptOutcome.REJECTED, "sent again without a refusal")
        expect(status in {401, 429} or outcome.code in _AGAIN, "sent again for no reason that there is")
    if outcome.venue_order_id is not None:
        expect(outcome.outcome is AttemptOutcome.ACCEPTED, "a name without an order")
        names = {_number(item) for name, item, _ in said if name in _SERIALS}
        expect(int(outcome.venue_order_id) in names, "a name that nobody gave")
    expect(outcome.retry_after is None or 0 <= outcome.retry_after <= 86_400, "a pause beyond measure")


def _readable(body: bytes) -> bool:
    try:
        strict_json.read(body)
    except Unreadable:
        return False
    return True


def _marks(body: bytes) -> Iterator[tuple[str, Any, int]]:
    """Every name and value with its depth, 0 at the top and 1 in the known layers; nothing where it is no JSON."""
    try:
        document = json.loads(body, object_pairs_hook=junk.Pairs, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return
    waiting = [(document, 0)]
    while waiting:
        value, depth = waiting.pop()
        if isinstance(value, junk.Pairs):
            for name, item in value:
                yield name.casefold(), item, depth
                layer = depth == 0 and name.casefold() in _LAYERS
                waiting.append((item, 1 if layer else max(depth, 1) + 1))
        elif isinstance(value, list):
            waiting += [(item, max(depth, 1) + 1) for item in value]


def _is_yes(name: str, item: Any) -> bool:
    number = _number(item)
    return (name in _NAMES and number is not None and number > 0) or (name == "issuccess" and _flag(item) is True)


def _is_no(name: str, item: Any) -> bool:
    return (name == "errorcode" and _number(item) not in {None, 0}) or (name == "issuccess" and _flag(item) is False)


def _flag(item: Any) -> bool | None:
    words = {"true": True, "false": False}
    return words.get(item.strip().casefold()) if isinstance(item, str) else item if isinstance(item, bool) else None


def _number(item: Any) -> int | None:
    """A whole number, written as one or in a text; JSON's own come as texts here."""
    if not isinstance(item, str):
        return None
    text = item.strip().translate(_DIGITS).replace("٫", ".").removesuffix(".0")
    try:
        return int(text) if len(text) < 60 and text.isascii() and "_" not in text else None
    except ValueError:
        return None
