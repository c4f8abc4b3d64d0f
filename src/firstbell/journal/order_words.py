"""A line of the order log as text for people. Pure."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from firstbell.model.money import grouped

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo


def words(line: Mapping[str, Any], tz: tzinfo | None = None) -> str:
    """A line of the log, such as ``2026-11-21T08:45:00 ENTRY Order_A (gs) buy 100 IRO1MHRN0001 at 5,860, id 77``.

    It takes whatever stands in a line, also one that somebody else has written.

    Args:
        line: The line.
        tz: In which zone to tell its time; by default as it stands there.
    """
    at = _time(str(line.get("at") or ""), tz)
    head = [at, str(line.get("event") or line.get("report") or "").replace("_", " ").upper().ljust(11)]
    who = " ".join(str(part) for part in (line.get("account"), _in_brackets(line.get("broker_code"))) if part)
    asked = [line.get("side"), _number(line.get("quantity")), line.get("instrument")]
    parts = [" ".join(str(part) for part in (*head, who, *asked) if part)]
    parts[0] += _price(line)
    parts += _more(line)
    return ", ".join(part for part in parts if part)


def _price(line: Mapping[str, Any]) -> str:
    price, trigger = _number(line.get("price")), _number(line.get("trigger_price"))
    kind = line.get("order_type")
    if kind in ("market", "stop", "trailing_stop"):
        # Its price is only what it was valued at.
        price = ""
    said = "" if kind in (None, "limit") else f" {str(kind).replace('_', ' ')}"
    said += f" at {price}" if price else ""
    return f"{said} from {trigger}" if trigger else said


def _more(line: Mapping[str, Any]) -> list[str]:
    more = [_changes(line)]
    if line.get("venue_order_id"):
        more.append(f"id {line['venue_order_id']}")
    if line.get("client_order_id"):
        more.append(f"our id {line['client_order_id']}")
    if line.get("last_qty") is not None:
        more.append(f"traded {_number(line['last_qty'])} at {_number(line.get('last_px'))}")
    if line.get("filled_qty"):
        average = f" at {_number(line['avg_px'])} on average" if line.get("avg_px") is not None else ""
        more.append(f"filled {_number(line['filled_qty'])}{average}")
    if line.get("pnl") is not None:
        more.append(f"profit {_number(line['pnl'])}")
    if line.get("code") is not None:
        more.append(f"code {line['code']}")
    message, reason = (str(line[name]) if line.get(name) is not None else "" for name in ("message", "reason"))
    # A reason is often the broker's message, or has it in it.
    return [*more, *([reason] if message in reason else [message] if reason in message else [message, reason])]


def _changes(line: Mapping[str, Any]) -> str:
    """What a change has made of its terms."""
    said = (("for", "new_quantity"), ("at", "new_price"), ("from", "new_trigger_price"))
    now = [f"{how} {_number(line[name])}" for how, name in said if line.get(name) is not None]
    return " ".join(("now", *now)) if now else ""


def _time(text: str, tz: tzinfo | None) -> str:
    if tz is None:
        return text
    try:
        at = datetime.fromisoformat(text)
        return text if at.tzinfo is None else at.astimezone(tz).isoformat(timespec="microseconds")
    except (ValueError, OverflowError):
        return text


def _in_brackets(text: object) -> str:
    return f"({text})" if text else ""


def _number(value: object) -> str:
    if value is None:
        return ""
    try:
        number = Decimal(str(value))
        return grouped(number) if number.is_finite() else str(value)
    except InvalidOperation:
        return str(value)
