"""How each kind of value is written in ``config.ini``: texts in, values out.

Every reader takes what a config holds (a text) and also what it returns, so that settings can be made in code; and
raises `ValueError` with what would be right, never with what was found.
"""

from __future__ import annotations

import ipaddress
import os
import re
from datetime import time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import SplitResult, urlsplit

if TYPE_CHECKING:
    from enum import StrEnum

    E = TypeVar("E", bound=StrEnum)

_LATIN_DIGITS: Final = {
    **{ord("۰") + n: str(n) for n in range(10)},
    **{ord("٠") + n: str(n) for n in range(10)},
    ord("٬"): ",",
    ord("٫"): ".",
}
_WHOLE: Final = re.compile(r"[0-9]{1,15}|[0-9]{1,3}(?:,[0-9]{3}){1,4}")
_DECIMAL: Final = re.compile(r"-?[0-9]{1,6}(?:\.[0-9]{1,6})?")
_BOT_TOKEN: Final = re.compile(r"[0-9]{1,20}:[A-Za-z0-9_-]{1,200}")
_CHAT: Final = re.compile(r"-?[0-9]{1,20}|@[A-Za-z][A-Za-z0-9_]{0,63}")
_COMMA: Final = re.compile("[,،]")
_AMOUNT: Final = re.compile(r"(?:[0-9]{1,15}|[0-9]{1,3}(?:,[0-9]{3}){1,4})(?:\.[0-9]{1,8})?")
_TIME: Final = re.compile(r"(?P<h>[0-9]{2}):(?P<m>[0-9]{2})(?::(?P<s>[0-9]{2})(?:\.(?P<f>[0-9]{1,6}))?)?")
_DURATION: Final = re.compile(
    r"(?:(?P<h>[0-9]{1,4})h)?(?:(?P<m>[0-9]{1,6})m)?(?:(?P<s>[0-9]{1,8})s)?(?:(?P<ms>[0-9]{1,9})ms)?"
)
_HOST: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*", re.IGNORECASE)
_LONGEST_DURATION: Final = timedelta(days=1)
_LARGEST_FACTOR: Final = 100
_WORDS: Final = {
    "yes": True,
    "true": True,
    "on": True,
    "1": True,
    "no": False,
    "false": False,
    "off": False,
    "0": False,
}


def latin_digits(text: str) -> str:
    """`text` with Persian and Arabic digits and separators written as Latin ones."""
    return text.translate(_LATIN_DIGITS)


def whole(value: object) -> Decimal:
    """A whole positive number, also with thousands commas or Persian digits: ``1,000,000``.

    Raises:
        ValueError: It is none.
    """
    remedy = "write a whole number above zero, such as 5860 or 1,000,000"
    if isinstance(value, bool):
        raise ValueError(remedy)  # noqa: TRY004 - pydantic turns ValueError, not TypeError, into its own
    text = latin_digits(str(value)) if isinstance(value, int | Decimal | str) else ""
    if not _WHOLE.fullmatch(text) or not (number := Decimal(text.replace(",", ""))):
        raise ValueError(remedy)
    return number


def whole_int(value: object) -> int:
    """`whole` as an `int`, for what is counted.

    Raises:
        ValueError: It is no whole positive number.
    """
    return int(whole(value))


def amount(value: object) -> Decimal:
    """A positive number, perhaps with a fraction or with thousands commas: ``0.05``, ``1,000.5``.

    Raises:
        ValueError: It is none.
    """
    if isinstance(value, Decimal):
        text = format(value, "f")
    else:
        text = latin_digits(str(value)) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not _AMOUNT.fullmatch(text) or not (number := Decimal(text.replace(",", ""))):
        raise ValueError("write a number above zero, such as 0.05 or 1,000")
    return number


def weights(value: object) -> tuple[Decimal, ...]:
    """Positive numbers with commas between them: ``60, 40`` or ``2, 1.5, 1``.

    Raises:
        ValueError: One is none, or there are none.
    """
    given = between_commas(value) if isinstance(value, str) else value
    found = [_decimal(each) for each in given] if isinstance(given, list | tuple) else []
    numbers = tuple(number for number in found if number is not None and number > 0)
    if not numbers or len(numbers) != len(found):
        raise ValueError("write a number above zero for each instrument, with commas between them, such as 60, 40")
    return numbers


def between_commas(text: str) -> tuple[str, ...]:
    """What stands between the commas of a text, Persian ones too, without the spaces around it."""
    return tuple(each.strip() for each in _COMMA.split(text))


def milliseconds(value: object) -> Decimal:
    """A number of milliseconds, perhaps with a fraction or below zero: ``4.5``.

    Raises:
        ValueError: It is none.
    """
    number = _decimal(value)
    if number is None:
        raise ValueError("write a number of milliseconds, such as 4 or 4.5")
    return number


def fraction(value: object) -> Decimal:
    """A part of something, from nothing to all of it: ``0.05``.

    Raises:
        ValueError: It is none.
    """
    number = _decimal(value)
    if number is None or not 0 <= number <= 1:
        raise ValueError("write a part of one, from 0 to 1, such as 0.05")
    return number


def factor(value: object) -> Decimal:
    """How many times, at least once: ``2`` or ``1.5``.

    Raises:
        ValueError: It is none.
    """
    number = _decimal(value)
    if number is None or not 1 <= number <= _LARGEST_FACTOR:
        raise ValueError(f"write a number from 1 to {_LARGEST_FACTOR}, such as 2 or 1.5")
    return number


def time_of_day(value: object) -> time:
    """A time at the exchange: ``08:45``, ``08:45:00`` or ``08:45:00.250``.

    Raises:
        ValueError: It is none.
    """
    if isinstance(value, time):
        return value
    match = _TIME.fullmatch(latin_digits(value)) if isinstance(value, str) else None
    remedy = "write a time at the exchange as HH:MM:SS, such as 08:45:00"
    if match is None:
        raise ValueError(remedy)
    hour, minute, second = (int(match[part] or 0) for part in "hms")
    try:
        return time(hour, minute, second, int((match["f"] or "").ljust(6, "0")))
    except ValueError:
        raise ValueError(remedy) from None


def duration(value: object) -> timedelta:
    """A length of time with its unit: ``30s``, ``2m``, ``1m30s``, ``500ms``.

    Raises:
        ValueError: It is none, or zero, or longer than a day.
    """
    if isinstance(value, timedelta):
        span = value
    else:
        match = _DURATION.fullmatch(latin_digits(value)) if isinstance(value, str) else None
        found = {unit: int(number) for unit, number in match.groupdict().items() if number} if match else {}
        span = timedelta(
            hours=found.get("h", 0),
            minutes=found.get("m", 0),
            seconds=found.get("s", 0),
            milliseconds=found.get("ms", 0),
        )
    if not timedelta() < span <= _LONGEST_DURATION:
        raise ValueError("write a length of time with its unit, such as 30s, 2m, 1m30s or 500ms")
    return span


def yes_or_no(value: object) -> bool:
    """A yes or a no, in the words that config files use.

    Raises:
        ValueError: It is neither.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _WORDS:
        return _WORDS[value.lower()]
    raise ValueError("write yes or no")


def word(value: object, kinds: type[E]) -> E:
    """One of an enumeration's words, in whatever case.

    Raises:
        ValueError: It is none of them.
    """
    if isinstance(value, str):
        for kind in kinds:
            if kind.value == value.lower():
                return kind
    *others, last = [kind.value for kind in kinds]
    raise ValueError(f"write {', '.join(others)} or {last}")


def words(value: object, kinds: type[E]) -> tuple[E, ...]:
    """Some of an enumeration's words, with commas between them; in the enumeration's order, each once.

    Raises:
        ValueError: One is none of them, or there are none.
    """
    given = [each.strip() for each in value.split(",")] if isinstance(value, str) else value
    if not isinstance(given, list | tuple) or not given:
        raise ValueError(f"write some of {', '.join(kind.value for kind in kinds)}")
    found = {word(each, kinds) for each in given}
    return tuple(kind for kind in kinds if kind in found)


def telegram_token(value: str) -> str:
    """A Telegram bot's token, as BotFather gives it.

    Raises:
        ValueError: It is none.
    """
    if _BOT_TOKEN.fullmatch(value) is None:
        raise ValueError(
            "is no bot's token; write it as BotFather gives it: digits, a colon, then letters, digits, _ and -"
        )
    return value


def telegram_chat(value: object) -> str:
    """A Telegram chat's id, or a public channel's name.

    Raises:
        ValueError: It is neither.
    """
    text = latin_digits(str(value)) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if _CHAT.fullmatch(text) is None:
        raise ValueError("write the chat's id, a whole number such as 123456789 or -100123456789, or @name")
    return text


def base_url(value: object) -> str:
    """A server's address without a path: ``https://host`` or ``https://host:port``; ``http://`` for loopback only.

    Raises:
        ValueError: It is none.
    """
    remedy = "write the server's address alone, such as https://host or https://host:8443"
    parts = _split(value, remedy)
    if parts.path not in {"", "/"} or parts.query or parts.fragment or str(value).endswith(("?", "#")):
        raise ValueError(remedy)
    return f"{parts.scheme.lower()}://{parts.netloc.lower()}"


def full_url(value: object) -> str:
    """A web address with a path; ``http://`` for loopback only.

    Raises:
        ValueError: It is none.
    """
    _split(value, "write a web address, such as https://host/path or http://127.0.0.1:8000/path")
    return str(value)


def host_and_port(value: object) -> str:
    """A server's name or address, perhaps with a port: ``host``, ``host:123``, ``[::1]:123``.

    Raises:
        ValueError: It is none.
    """
    remedy = "write the server's name or address, such as host or host:123"
    if not isinstance(value, str) or not value.isascii() or any(char.isspace() or char in "/@?#" for char in value):
        raise ValueError(remedy)
    try:
        parts = urlsplit(f"//{value}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError(remedy) from None
    if not _is_host(host) or port == 0 or parts.netloc.endswith(":"):
        raise ValueError(remedy)
    return value


def absolute(value: object, folder: Path | None) -> Path:
    """A path, relative to `folder` (the config's), ``~`` being the user's home.

    Raises:
        ValueError: It is no path.
    """
    if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
        raise ValueError("write a path")
    try:
        path = Path(value).expanduser()
    except RuntimeError:
        raise ValueError("write a path; that home folder is not known") from None
    return Path(os.path.normpath((folder or Path.cwd()) / path))


def is_loopback(host: str) -> bool:
    """Whether a host name or address certainly is this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _decimal(value: object) -> Decimal | None:
    text = latin_digits(str(value)) if isinstance(value, int | Decimal | str) and not isinstance(value, bool) else ""
    return Decimal(text) if _DECIMAL.fullmatch(text) else None


def _split(value: object, remedy: str) -> SplitResult:
    if not isinstance(value, str) or not value.isascii() or any(char.isspace() for char in value):
        raise ValueError(remedy)
    try:
        parts = urlsplit(value)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError(remedy) from None
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"{remedy}; without a user name or password in it")
    if parts.scheme.lower() not in {"http", "https"} or not _is_host(host) or port == 0 or parts.netloc.endswith(":"):
        raise ValueError(remedy)
    if parts.scheme.lower() == "http" and not is_loopback(host):
        raise ValueError("write https://: http:// is taken for this machine itself (127.0.0.1, localhost) only")
    return parts


def _is_host(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return _HOST.fullmatch(host) is not None
    return True
