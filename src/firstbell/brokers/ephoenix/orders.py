"""How the answer to an order is read: accepted, refused for certain, or unresolved. Pure.

This is the file that money depends on. Refused means that the order is certainly not there, so it may be said only of
what is known to be harmless; accepted means that the broker said so; whatever is left is unresolved, and only the
broker's own lists can end that.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

from firstbell.brokers import strict_json
from firstbell.brokers.base import Outcome
from firstbell.brokers.ephoenix.fields import WRAPPERS, Fields, number_in
from firstbell.brokers.retry_after import retry_after_s
from firstbell.errors import Unreadable
from firstbell.model.identifiers import VenueOrderId
from firstbell.model.refusals import RefusalKind
from firstbell.model.terms import AttemptOutcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from decimal import Decimal

AGAIN: Final = {
    1017: "the market takes no orders now",
    1018: "less than 300 ms since this account's last order",
}
"""Refusals after which the same order may be sent again, paced."""
TOO_EARLY: Final = 1017
"""The refusal that says: the bell had not rung when the order arrived."""
STOP: Final = {
    1011: "not enough money",
    1001: "wrong quantity",
    1006: "below the smallest order value",
}
"""Refusals that another try would only repeat."""
KINDS: Final = {
    1017: RefusalKind.MARKET_CLOSED,
    1018: RefusalKind.RATE,
    1011: RefusalKind.FUNDS,
    1001: RefusalKind.QUANTITY,
    1006: RefusalKind.QUANTITY,
}
"""What each of them is about."""
UNSAID_PAUSE_S: Final = 5.0
"""Seconds to wait after HTTP 429 where the broker does not say how long: many times its interval, within an opening."""

_SERIALS: Final = ("serialNumber", "serialNo", "serial")
_TRACKINGS: Final = ("trackingNumber", "tracking")
_CODES: Final = ("code", "errorCode")
_UNSAID: Final = (None, "")
_SUCCESS: Final = "issuccess"
_ERROR: Final = "iserror"
_ERROR_CODE: Final = "errorcode"
_YES_NAMES: Final = frozenset(name.casefold() for name in _SERIALS)
_LAYERS: Final = (*WRAPPERS, "error")

_OK: Final = 200
_GOOD: Final = range(200, 300)
_NO: Final = range(400, 500)
_UNAUTHORIZED: Final = 401
_TOO_MANY: Final = 429


def read_order_answer(status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
    """Read the answer to a new or changed order.

    Args:
        status: The HTTP status.
        headers: The headers, names in lower case.
        body: The body.

    Returns:
        What it means. Never an error: what cannot be read is `UNRESOLVED`.
    """
    document, said = None, None
    with contextlib.suppress(Unreadable):
        document = strict_json.read(body)
        said = _Said(document)
    code = said.code if said else None
    message = said.message if said else None
    if status in {_UNAUTHORIZED, _TOO_MANY} and _says_yes(document):
        return Outcome(AttemptOutcome.UNRESOLVED, code, message)
    if status == _UNAUTHORIZED:
        kind = RefusalKind.AUTHENTICATION
        return Outcome(AttemptOutcome.REJECTED, code, message, again=True, token_ended=True, kind=kind)
    if status == _TOO_MANY:
        said_s = retry_after_s(headers)
        pause = UNSAID_PAUSE_S if said_s is None else said_s
        return Outcome(AttemptOutcome.REJECTED, code, message, again=True, retry_after=pause, kind=RefusalKind.RATE)
    if said is not None and said.clear:
        if status in _GOOD and not said.refused:
            return _accepted(said)
        if status in _GOOD or status in _NO:
            return _refused(said, status)
    return Outcome(AttemptOutcome.UNRESOLVED, code, message)


def _accepted(said: _Said) -> Outcome:
    if (said.success is True or said.names_order) and not said.no_inside:
        return Outcome(AttemptOutcome.ACCEPTED, None, said.message, said.serial)
    return Outcome(AttemptOutcome.UNRESOLVED, None, said.message)


def _refused(said: _Said, status: int) -> Outcome:
    code, message = said.code, said.message
    kind = None if code is None else KINDS.get(code)
    if said.says_yes:
        # It says yes and no at once.
        return Outcome(AttemptOutcome.UNRESOLVED, code, message)
    if code in AGAIN:
        return Outcome(AttemptOutcome.REJECTED, code, message, again=True, too_early=code == TOO_EARLY, kind=kind)
    if code in STOP or (code is None and said.success is False and status == _OK):
        return Outcome(AttemptOutcome.REJECTED, code, message, kind=kind)
    return Outcome(AttemptOutcome.UNRESOLVED, code, message)


class _Said:
    """What an answer says about an order, at its top and one level down.

    Attributes:
        success: ``isSuccess``, or None where it says neither.
        refused: Whether it says no in any way.
        code: The broker's code, or None where there is none or it is zero.
        message: The broker's words, or None.
        serial: The order's lasting name, or None.
        names_order: Whether it gives the order any name at all.
        says_yes: Whether anything in it, however deep, says that the order is there: then it is no certain refusal.
        no_inside: Whether anything, likewise, says that it is not: then it is no certain acceptance.
        clear: Whether it says these things only once, or the same each time.

    Raises:
        Unreadable: It is not an object.
    """

    def __init__(self, document: Any) -> None:
        top = Fields(document, "answer to an order", "")
        inner = (top.get(name) for name in _LAYERS)
        layers = [top, *(Fields(layer, top.what, "") for layer in inner if isinstance(layer, dict))]
        self.message = next((text for layer in layers if (text := _message(layer))), None)
        codes = [item for layer in layers for name in _CODES if (item := layer.get(name)) not in _UNSAID]
        numbers = {_whole(number_in(item)) for item in codes}
        successes = {layer.flag("isSuccess") for layer in layers} - {None}
        errors = {layer.flag("isError") for layer in layers}
        serials = _names(layers, _SERIALS)
        self.clear = None not in numbers and len(numbers - {0}) <= 1 and len(successes) <= 1
        self.code = next((number for number in numbers if number), None)
        self.success = next(iter(successes), None)
        self.refused = self.success is False or True in errors or bool(numbers - {0})
        self.serial = VenueOrderId(str(next(iter(serials)))) if len(serials) == 1 else None
        self.names_order = bool(serials or _names(layers, _TRACKINGS))
        self.says_yes = _says_yes(document)
        self.no_inside = any(map(_is_no, _inside(document)))


def _message(layer: Fields) -> str | None:
    item = layer.get("message", "errorMessage")
    return layer.text("message", "errorMessage") or None if isinstance(item, str) else None


def _names(layers: list[Fields], names: tuple[str, ...]) -> set[int]:
    """All the different names that an order is given; zero and less are none."""
    found = (_whole(number_in(layer.get(name))) for layer in layers for name in names)
    return {number for number in found if number is not None and number > 0}


def _inside(document: Any) -> Iterator[tuple[str, Any]]:
    """Every name and value in an answer, at any depth; strict JSON bounds it."""
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield from ((name.casefold(), item) for name, item in value.items())
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _says_yes(document: Any) -> bool:
    return any(map(_is_yes, _inside(document)))


def _is_yes(mark: tuple[str, Any]) -> bool:
    name, item = mark
    if name in _YES_NAMES:
        number = number_in(item)
        # What is no number may be a name all the same.
        return item not in _UNSAID and item is not False if number is None else number > 0
    return name == _SUCCESS and _flag(item) is True


def _is_no(mark: tuple[str, Any]) -> bool:
    name, item = mark
    if name == _ERROR_CODE:
        return item not in _UNSAID and _whole(number_in(item)) != 0
    return (name == _SUCCESS and _flag(item) is False) or (name == _ERROR and _flag(item) is True)


def _flag(item: Any) -> bool | None:
    """Yes or no; None for anything else."""
    if isinstance(item, str):
        return {"true": True, "false": False}.get(item.strip().casefold())
    return item if isinstance(item, bool) else None


def _whole(number: Decimal | None) -> int | None:
    return int(number) if number is not None and number == number.to_integral_value() else None
