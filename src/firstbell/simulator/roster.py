"""Who trades at the simulated exchange: made-up accounts, or those of a JSON file."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from firstbell.errors import SimulatorError
from firstbell.model import strict_json
from firstbell.model.broker_codes import MAIN_CODES
from firstbell.model.identifiers import BrokerCode, InstrumentId
from firstbell.model.money import exact
from firstbell.model.terms import Side

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from firstbell.model.instrument import Instrument

_GOLDEN: Final = (Decimal(1_000_003_827), Decimal(1_000_014_598))
"""The first two accounts' money: with the first two instruments they make two published full-size orders."""
_LEAST, _MOST = 50_000_000, 2_500_000_000
_MOST_SHARES: Final = 20_000
_IN_EXAMPLES: Final = InstrumentId("IRO1FOLD0001")
_SHARES_OF_THAT: Final = Decimal(50_000)
_LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"
_PASSWORD_LENGTH: Final = 12


@dataclass(frozen=True, slots=True)
class Investor:
    """One login at one broker.

    Attributes:
        username: The login name.
        password: Its password.
        broker_code: The broker.
        money: In rials; may be negative.
        holdings: Shares by instrument.
        instrument: What it means to trade, for the config that can be written; None where nobody said.
        side: Whether it means to buy or to sell that.
    """

    username: str
    password: str = field(repr=False)
    broker_code: BrokerCode
    money: Decimal
    holdings: Mapping[InstrumentId, Decimal]
    instrument: InstrumentId | None = None
    side: Side = Side.BUY

    @property
    def account(self) -> str:
        """Its account's name at the exchange: logins are unique only within a broker."""
        return f"{self.broker_code}/{self.username}"


def made_up(count: int, instruments: Sequence[Instrument], seed: int, *, sells: int = 0) -> list[Investor]:
    """Invent accounts, dealt over the six main brokers in turn; the same seed invents the same ones.

    Args:
        count: How many.
        instruments: What they may hold and buy, dealt in turn likewise.
        seed: Where the numbers come from.
        sells: How many of them, the last ones, mean to sell what they hold. All hold besides what the examples of the
            order manager trade.
    """
    chance = random.Random(seed)  # noqa: S311 - practice accounts are to be repeatable, not unguessable  # nosec B311
    investors = []
    for index in range(count):
        wanted = instruments[index % len(instruments)]
        money = Decimal(chance.randrange(_LEAST, _MOST))
        held = chance.randrange(100, _MOST_SHARES)
        password = "".join(chance.choice(_LETTERS) for _ in range(_PASSWORD_LENGTH))
        holdings = {wanted.id: Decimal(held)}
        if any(each.id == _IN_EXAMPLES for each in instruments):
            holdings[_IN_EXAMPLES] = holdings.get(_IN_EXAMPLES, Decimal(0)) + _SHARES_OF_THAT
        investors.append(
            Investor(
                username=f"practice{index + 1:02}",
                password=password,
                broker_code=MAIN_CODES[index % len(MAIN_CODES)],
                money=_GOLDEN[index] if index < len(_GOLDEN) else money,
                holdings=holdings,
                instrument=wanted.id,
                side=Side.SELL if index >= count - sells else Side.BUY,
            )
        )
    return investors


def read_investors(path: Path) -> list[Investor]:
    """Read accounts from a JSON file.

    The file holds an array of ``{"username", "password", "broker_code", "money", "holdings": {isin: shares}, "isin",
    "side"}``; the last three may be missing.

    Raises:
        SimulatorError: The file cannot be read, or an entry is not such an account; the message says which.
    """
    try:
        # Binary floats would lose money; as texts they stay exact.
        entries = strict_json.parse(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise SimulatorError(f"the accounts file {path} cannot be read: {error}") from error
    if not isinstance(entries, list):
        raise SimulatorError(f"the accounts file {path} holds no array of accounts")
    return [_investor(path, number, entry) for number, entry in enumerate(entries, 1)]


def _investor(path: Path, number: int, entry: Any) -> Investor:
    try:
        held = entry.get("holdings", {})
        wanted = entry.get("isin")
        return Investor(
            username=_text(entry, "username"),
            password=_text(entry, "password"),
            broker_code=BrokerCode(_text(entry, "broker_code")),
            money=exact(entry["money"]),
            holdings={InstrumentId(isin): exact(shares) for isin, shares in held.items()},
            instrument=None if wanted is None else InstrumentId(_text(entry, "isin")),
            side=Side(entry.get("side", Side.BUY.value)),
        )
    except KeyError as error:
        raise SimulatorError(f"account {number} of {path} has no {error}") from None
    except (AttributeError, ValueError) as error:
        raise SimulatorError(f"account {number} of {path} cannot be read: {error}") from None


def _text(entry: Mapping[str, Any], key: str) -> str:
    value = entry[key]
    if not isinstance(value, str) or not value:
        raise ValueError(f"{key} must be a text that is not empty")
    return value


def check(investors: Iterable[Investor], codes: Iterable[BrokerCode], instruments: Iterable[Instrument]) -> None:
    """Make sure that accounts fit the brokers and instruments that there are.

    Raises:
        SimulatorError: One does not; the message says which.
    """
    known_codes, known_isins = set(codes), {each.id for each in instruments}
    seen: set[str] = set()
    for investor in investors:
        if investor.broker_code not in known_codes:
            known = ", ".join(sorted(known_codes))
            raise SimulatorError(f"account {investor.username}: no broker {investor.broker_code!r}; known: {known}")
        named = {*investor.holdings, *([investor.instrument] if investor.instrument else [])}
        for isin in sorted(named - known_isins):
            raise SimulatorError(f"account {investor.username}: {isin} is not listed here")
        if investor.account in seen:
            raise SimulatorError(f"account {investor.account} is there twice")
        seen.add(investor.account)
