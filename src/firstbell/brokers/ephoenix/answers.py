"""How answers are read, all but those to an order (`orders`) and the lists (`lists`). Pure.

An answer is read tolerantly and judged strictly: what it says may be written in several ways, but nothing that it does
not say is put in its place. A price of zero, a band that is missing or upside down, a lot of nothing: unreadable.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from firstbell.brokers import strict_json
from firstbell.brokers.base import Estimate, Holding
from firstbell.brokers.ephoenix.fields import Fields, number_in, rows_in
from firstbell.brokers.retry_after import retry_after_s
from firstbell.brokers.session import is_token
from firstbell.errors import (
    NoAnswer,
    NoSuchInstrument,
    RateLimited,
    Refused,
    TokenEnded,
    Unreadable,
    WrongCaptcha,
    WrongPassword,
)
from firstbell.model.identifiers import InstrumentId
from firstbell.model.instrument import Instrument
from firstbell.model.price_band import PriceBand
from firstbell.model.quote import Level, Quote

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from decimal import Decimal

    from firstbell.brokers.base import Answer

_WRONG_PASSWORD: Final = 3000
_WRONG_CAPTCHA: Final = -1000
_LARGEST_PICTURE: Final = 1 << 19
_LONGEST_HASH: Final = 4096
_MOST_LIMITS: Final = 100
"""Rows of best limits; the platform shows five."""

_UNAUTHORIZED: Final = 401
_TOO_MANY: Final = 429
_OK: Final = range(200, 300)
_MOVED: Final = range(300, 400)
_NO: Final = range(400, 500)


@dataclass(frozen=True, slots=True)
class Captcha:
    """A captcha as the platform sends it.

    Attributes:
        picture: A PNG or JPEG file's bytes.
        salt: Goes back with the answer.
        hashed: Likewise.
    """

    picture: bytes
    salt: str
    hashed: str


def document_of(answer: Answer, what: str, host: str) -> Any:
    """What an answer to a question says, where it answers it.

    Args:
        answer: The answer.
        what: What was asked for, for errors.
        host: Who answered.

    Raises:
        TokenEnded: HTTP 401.
        RateLimited: HTTP 429.
        Refused: The broker said no: HTTP 4xx, or a refusal at 200.
        Unreadable: It cannot be read, or is a redirect.
        NoAnswer: The host failed: HTTP 5xx.
    """
    _check_status(answer, what, host)
    document = strict_json.read(answer.body, host=host)
    if isinstance(document, dict):
        said = Fields(document, what, host)
        code = _code(said, only_errors=True)
        if said.flag("isSuccess") is False or said.flag("isError") is True or code:
            raise _refused(said, what, host, code, answer.status)
    return document


def _check_status(answer: Answer, what: str, host: str) -> None:
    status = answer.status
    if status in _OK:
        return
    if status == _UNAUTHORIZED:
        raise TokenEnded(f"{host} no longer takes the token", host=host, status=status)
    check_pace(answer, host)
    if status in _NO:
        said = _object_in(answer, what, host)
        if said is None:
            raise Refused(f"{host} refused the {what}: HTTP {status}", host=host, status=status)
        raise _refused(said, what, host, _code(said, only_errors=False), status)
    if status in _MOVED:
        raise Unreadable(f"{host} answered the question for the {what} with a redirect, HTTP {status}", host=host)
    raise NoAnswer(f"{host} answered the question for the {what} with HTTP {status}", host=host)


def check_pace(answer: Answer, host: str) -> None:
    """Make sure that an answer does not ask for a pause.

    Raises:
        RateLimited: It does: HTTP 429.
    """
    if answer.status == _TOO_MANY:
        raise RateLimited(f"{host} asks for a pause", host=host, retry_after=retry_after_s(answer.headers))


def _object_in(answer: Answer, what: str, host: str) -> Fields | None:
    try:
        return Fields(strict_json.read(answer.body, host=host), what, host)
    except Unreadable:
        return None


def _code(said: Fields, *, only_errors: bool) -> int | None:
    """The broker's error code, or None. A name as common as ``Code`` counts at HTTP 200 only beside a ``Message``."""
    names = ["errorCode"]
    if not only_errors or said.get("message") is not None:
        names.append("code")
    for name in names:
        number = number_in(said.get(name))
        if number is not None and number != 0 and number == number.to_integral_value():
            return int(number)
    return None


def _refused(said: Fields, what: str, host: str, code: int | None, status: int) -> Refused:
    words = " ".join(filter(None, ("" if code is None else str(code), said.text("message", "errorMessage"))))
    return Refused(f"{host} refused the {what}: {words or f'HTTP {status}'}", host=host, code=code, status=status)


def read_captcha(answer: Answer, host: str) -> Captcha:
    """Read a captcha.

    Raises:
        BrokerError: As `document_of`.
    """
    said = Fields(document_of(answer, "captcha", host), "captcha", host).unwrapped("captchaByteData")
    encoded, salt, hashed = (
        said.text_whole("captchaByteData"),
        said.text_whole("salt"),
        said.text_whole("hashedCaptcha"),
    )
    if encoded.startswith("data:"):
        encoded = encoded.partition(",")[2]
    try:
        picture = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise said.unreadable("its picture is not base64") from None
    if not 0 < len(picture) <= _LARGEST_PICTURE or max(len(salt), len(hashed)) > _LONGEST_HASH:
        raise said.unreadable("its size is not that of a captcha")
    return Captcha(picture, salt, hashed)


def read_login(answer: Answer, host: str) -> str:
    """Read the answer to a log-in.

    Returns:
        The token's text.

    Raises:
        WrongPassword: The broker refused user name or password.
        WrongCaptcha: It refused the captcha's answer.
        RateLimited: It asks for a pause.
        Refused: It refused for another reason.
        NoAnswer: It failed, or what it said cannot be read.
    """
    said = _object_in(answer, "log-in", host)
    code = None if said is None else _login_code(said)
    if answer.status in _OK or answer.status in _NO:
        if code == _WRONG_PASSWORD:
            raise WrongPassword(
                f"{host} refused user name or password (3000): mend them in the config; nothing is tried again until "
                "then, for that may lock the account",
                host=host,
                code=code,
                status=answer.status,
            )
        if code == _WRONG_CAPTCHA:
            raise WrongCaptcha(f"{host} refused the captcha's answer", host=host, code=code, status=answer.status)
    if answer.status == _UNAUTHORIZED:
        raise Refused(f"{host} refused the log-in: HTTP 401", host=host, code=code, status=answer.status)
    document = document_of(answer, "log-in", host)
    token = Fields(document, "log-in", host).unwrapped("token").text_whole("token")
    if not is_token(token):
        raise Unreadable(f"{host} gave a token that no header can carry", host=host)
    return token


def _login_code(said: Fields) -> int | None:
    try:
        return _code(said.unwrapped("errorCode"), only_errors=False)
    except Unreadable:
        return _code(said, only_errors=False)


def read_buying_power(answer: Answer, host: str) -> Decimal:
    """Read what an account may spend, in rials; may be negative.

    Raises:
        BrokerError: As `document_of`.
    """
    document = document_of(answer, "buying power", host)
    return Fields(document, "trading book", host).unwrapped("buyingPower").number("buyingPower")


def read_instrument(answer: Answer, isin: InstrumentId, host: str) -> Instrument:
    """Read the one instrument that was asked for.

    Raises:
        NoSuchInstrument: The broker knows none.
        BrokerError: As `document_of`.
    """
    document = document_of(answer, "instrument", host)
    for row in rows_in(document, "list of instruments", host, "rows", "instruments"):
        entry = Fields(row, "instrument", host)
        facts = entry.inner("i")
        if read_isin(facts).casefold() == isin.casefold():
            return _instrument(facts, entry.inner("t"), isin)
    raise NoSuchInstrument(f"{host} knows no instrument {isin}", host=host, status=answer.status)


def read_quote(answer: Answer, isin: InstrumentId, host: str, at: datetime) -> Quote:
    """Read the best limits and the last price of the one instrument that was asked for.

    The answer names no day's volume under a name that is known, so there is none in what is read.

    Args:
        answer: The answer, the same as an instrument's.
        isin: The instrument.
        host: Who answered.
        at: When it was asked for, aware.

    Raises:
        NoSuchInstrument: The broker knows none.
        BrokerError: As `document_of`.
    """
    document = document_of(answer, "quote", host)
    for row in rows_in(document, "list of instruments", host, "rows", "instruments"):
        entry = Fields(row, "instrument", host)
        if read_isin(entry.inner("i")).casefold() == isin.casefold():
            limits = entry.get("bl") or []
            if not isinstance(limits, list) or len(limits) > _MOST_LIMITS:
                raise entry.unreadable("its best limits are no list of them")
            found = [Fields(limit, "best limit", host) for limit in limits]
            last = entry.inner("t").maybe_number("cup") if isinstance(entry.get("t"), dict) else None
            return Quote(
                isin,
                at,
                bids=tuple(sorted(_levels(found, "bp", "bv", "boc"), key=lambda level: -level.price)),
                asks=tuple(sorted(_levels(found, "sp", "sv", "soc"), key=lambda level: level.price)),
                last_price=last if last is not None and last > 0 else None,
            )
    raise NoSuchInstrument(f"{host} knows no instrument {isin}", host=host, status=answer.status)


def _levels(limits: list[Fields], price: str, volume: str, orders: str) -> Iterator[Level]:
    """The levels of one side; a price or a volume of zero stands for none."""
    for limit in limits:
        found, shares, count = limit.maybe_number(price), limit.maybe_count(volume), limit.maybe_count(orders)
        if found is not None and found < 0:
            raise limit.unreadable(f"{price} is negative")
        if found and shares:
            yield Level(found, shares, int(count) if count else None)


def _instrument(facts: Fields, trading: Fields, isin: InstrumentId) -> Instrument:
    low, high = trading.positive("minap"), trading.positive("maxap")
    largest, lot = facts.count("maxeq"), facts.shares("ls")
    # No order is smaller than a lot, so a least quantity of zero means just that.
    smallest = max(facts.count("mineq"), lot)
    if low > high:
        raise trading.unreadable("its price band is upside down")
    if smallest > largest:
        raise facts.unreadable("its smallest order is larger than its largest")
    reference, last = facts.maybe_number("lcp"), trading.maybe_number("cup")
    return Instrument(
        id=isin,
        symbol=facts.text("s"),
        name=facts.text("t"),
        band=PriceBand(low, high),
        min_quantity=smallest,
        max_quantity=largest,
        lot_size=lot,
        # Zero stands for "none yet" here, as before the first trade of an instrument.
        reference_price=reference if reference is not None and reference > 0 else None,
        last_price=last if last is not None and last > 0 else None,
        state=facts.text("ncst"),
    )


def read_estimate(answer: Answer, host: str) -> Estimate:
    """Read the calculator's answer.

    Raises:
        BrokerError: As `document_of`.
    """
    said = Fields(document_of(answer, "calculation", host), "calculation", host).unwrapped("volume")
    volume = said.number("volume")
    if volume != volume.to_integral_value():
        raise said.unreadable("volume is not a whole number")
    return Estimate(volume, said.maybe_number("totalNetAmount"), said.maybe_number("totalFee"))


def read_holdings(answer: Answer, host: str) -> tuple[Holding, ...]:
    """Read what an account holds.

    Raises:
        BrokerError: As `document_of`.
    """
    document = document_of(answer, "holdings", host)
    found = [Fields(row, "holding", host) for row in rows_in(document, "list of holdings", host, "rows")]
    return tuple(Holding(read_isin(row), row.number("remainVolume")) for row in found)


def read_cancel(answer: Answer, host: str) -> None:
    """Read the answer to a cancel. What a successful one says is not documented, and may be nothing.

    Raises:
        BrokerError: As `document_of`.
    """
    if answer.status in _OK and not answer.body.strip():
        return
    document_of(answer, "cancel", host)


def read_isin(row: Fields) -> InstrumentId:
    """The instrument that a row of a list is about.

    Raises:
        Unreadable: It does not say.
    """
    isin = row.text("isin")
    if not isin:
        raise row.unreadable("isin is missing")
    return InstrumentId(isin)
