"""The settings as frozen models. Each field's description is its line in ``config.example.ini``.

`firstbell.config.loading` makes them from a file; tests and programs may make them directly.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping  # noqa: TC003 - pydantic reads annotations
from datetime import time, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Final

from pydantic import (
    BeforeValidator,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from firstbell.config import values
from firstbell.config.alert_settings import TelegramSettings
from firstbell.config.order_log_settings import OrderLogSettings
from firstbell.config.order_settings import FallbackSettings, OrdersSettings, PartialFillSettings, RetrySettings
from firstbell.config.paper_settings import PaperSettings
from firstbell.config.position_settings import MetricsSettings, PositionSettings
from firstbell.config.section import BaseUrl, FilePath, Section
from firstbell.config.validation_settings import ValidationSettings
from firstbell.market import MARKETS
from firstbell.model.broker_codes import BROKER_CODES, EPHOENIX_CODES
from firstbell.model.identifiers import AccountName, BrokerCode, InstrumentId, is_isin
from firstbell.model.terms import Side

SHORTEST_INTERVAL_MS: Final = 300
"""The least time between two orders of one account that the Tehran brokers, and the exchange's rules, allow."""

INSTRUMENT_MARK: Final = "."
"""Stands between a section's name and one of its several instruments; no section's name has one."""
_ANY_TEHRAN: Final = next(iter(EPHOENIX_CODES))
"""Taken for a code that is wrong, so that the ISIN beside it is still looked at."""
_SYMBOL: Final = re.compile(r"[^\s\x00-\x1f]{1,40}")
_LONGEST_INTERVAL_MS: Final = 60_000
_POSTGRES: Final = ("postgresql://", "postgres://")


class CaptchaSolverKind(StrEnum):
    """Who solves a broker's captchas."""

    PROMPT = "prompt"
    """A person, in the terminal."""
    COMMAND = "command"
    """The user's own program."""
    URL = "url"
    """The user's own server."""


class OrdersMode(StrEnum):
    """How many orders an account's plan may come to."""

    ONE = "one"
    """One full-size order."""
    ALL = "all"
    """As many as the buying power pays for, one after the other."""


def _market(value: object) -> str:
    if value not in MARKETS:
        raise ValueError(f"write {' or '.join(MARKETS)}")
    return str(value)


def _broker_code(value: object) -> str:
    if value not in BROKER_CODES:
        near = difflib.get_close_matches(str(value).lower(), BROKER_CODES, n=1)
        advice = f"did you mean {near[0]}? " if near else ""
        raise ValueError(f"{advice}the codes are {', '.join(BROKER_CODES)}")
    return str(value)


def _interval(value: object) -> int:
    number = values.whole_int(value)
    if number > _LONGEST_INTERVAL_MS:
        raise ValueError(f"write a number of milliseconds up to {_LONGEST_INTERVAL_MS}")
    return number


Whole = Annotated[Decimal, BeforeValidator(values.whole)]
"""A whole positive number of rials or shares."""
Count = Annotated[int, BeforeValidator(values.whole_int)]
"""A whole positive number of things."""
"""Scheme, host and port."""


class RunSettings(Section):
    """``[firstbell]``: the run."""

    market: Annotated[str, BeforeValidator(_market)] = Field(
        default="XTEH", description="The exchange: its calendar, phases, fees and ticks."
    )
    order_time: Annotated[time, BeforeValidator(values.time_of_day)] = Field(
        default=time(8, 45), description="The bell, in exchange time: from then on the exchange takes orders."
    )
    give_up_after: Annotated[timedelta, BeforeValidator(values.duration)] = Field(
        default=timedelta(seconds=30),
        description="How long after the bell a run ends with what it knows: 30s, 2m, 1m30s.",
    )
    state_dir: FilePath = Field(
        default=Path(".firstbell"),
        description="Cache, journal, logs and locks. Relative paths begin at this file's folder.",
    )
    results_dir: FilePath = Field(default=Path("order_results"), description="One folder a run, with its orders.json.")
    journal: SecretStr | None = Field(
        default=None,
        description="Empty: SQLite in state_dir. For several machines: postgresql://user:password@host:port/database",
    )

    ntp_server: Annotated[str, BeforeValidator(values.host_and_port)] | None = Field(
        default=None,
        description="A time server, host or host:port: preflight asks it whether this machine's clock is right.",
    )

    @field_validator("journal")
    @classmethod
    def _is_postgres(cls, journal: SecretStr | None) -> SecretStr | None:
        if journal is not None and not journal.get_secret_value().startswith(_POSTGRES):
            raise ValueError("write postgresql://user:password@host/database, or nothing for SQLite in state_dir")
        return journal


class CaptchaSettings(Section):
    """``[captcha]``: who solves the brokers' captchas."""

    solver: Annotated[CaptchaSolverKind, BeforeValidator(partial(values.word, kinds=CaptchaSolverKind))] = Field(
        default=CaptchaSolverKind.PROMPT,
        description="prompt (you type it), command (your program) or url (your server).",
    )
    command: str | None = Field(
        default=None, description="For solver = command: gets the picture on standard input, prints the answer."
    )
    url: SecretStr | None = Field(
        default=None, description='For solver = url: gets {"base64": "..."} by POST, answers plain text.'
    )

    @field_validator("url")
    @classmethod
    def _is_url(cls, url: SecretStr | None) -> SecretStr | None:
        return None if url is None else SecretStr(values.full_url(url.get_secret_value()))

    @model_validator(mode="after")
    def _has_its_solver(self) -> CaptchaSettings:
        if self.solver is CaptchaSolverKind.COMMAND and self.command is None:
            raise ValueError("solver = command needs a command")
        if self.solver is CaptchaSolverKind.URL and self.url is None:
            raise ValueError("solver = url needs a url")
        return self


class BrokerSettings(Section):
    """``[broker.CODE]``: what differs from what is built in for a broker."""

    identity_url: BaseUrl | None = Field(default=None, description="Where to log in; empty: the broker's own.")
    api_url: BaseUrl | None = Field(default=None, description="Where orders go; empty: the broker's own.")
    market_data_url: BaseUrl | None = Field(
        default=None, description="Where prices come from; empty: the broker's own."
    )
    backoffice_url: BaseUrl | None = Field(
        default=None, description="Where holdings come from; empty: the broker's own."
    )
    ca_file: FilePath | None = Field(default=None, description="A private certificate authority, as a PEM file.")
    min_interval_ms: Annotated[int, BeforeValidator(_interval)] = Field(
        default=350,
        description="Milliseconds between two orders of one account: may be raised, never below the broker's own.",
    )
    lead_ms: Annotated[Decimal, BeforeValidator(values.milliseconds)] | None = Field(
        default=None, description="Milliseconds before the bell to fire; empty: chosen from measurement."
    )

    @field_validator("min_interval_ms")
    @classmethod
    def _keeps_the_brokers_own(cls, interval_ms: int, info: ValidationInfo) -> int:
        shortest = (info.context or {}).get("shortest_interval_ms", 0)
        if interval_ms < shortest:
            raise ValueError(f"the broker itself allows no less than {shortest}")
        return interval_ms

    @field_validator("ca_file")
    @classmethod
    def _is_there(cls, ca_file: Path | None) -> Path | None:
        try:
            there = ca_file is None or ca_file.is_file()
        except OSError as error:
            # A name too long for any file, a folder that may not be entered.
            raise ValueError(f"the file cannot be looked at: {error.strerror}") from None
        if not there:
            raise ValueError(f"there is no file {ca_file}")
        return ca_file


class RiskSettings(Section):
    """``[risk]``: your own limits. What would go beyond one is not sent, and the result says so."""

    max_order_value: Whole | None = Field(default=None, description="The largest value of one order, in rials.")
    max_order_quantity: Whole | None = Field(default=None, description="The largest quantity of one order, in shares.")
    max_total_value: Whole | None = Field(
        default=None,
        description=(
            "The largest value of a day's buys together, of all accounts, in rials; what an earlier day has left at "
            "work too."
        ),
    )
    max_orders_per_account: Count | None = Field(
        default=None,
        description=(
            "The most orders of one account on one day, those taken off the book and an earlier day's that still work "
            "too."
        ),
    )
    max_attempts_per_order: Count = Field(
        default=100,
        description="How often one order may be sent while refused as too early or too soon; then trading is halted.",
    )
    max_attempts_per_run: Count | None = Field(
        default=None,
        description="The same for all orders of a run together. Empty: 50 for every account, and 500 at least.",
    )

    def attempts_per_run(self, accounts: int) -> int:
        """How often the orders of a run with so many accounts may be sent."""
        return self.max_attempts_per_run or max(50 * accounts, 500)


class AccountSettings(Section):
    """One ``[Order_NAME]`` section: one login at one broker, and what it trades. Four fields are enough.

    A section with several instruments makes one of these for each of them.

    Attributes:
        name: The section's name; where it has several instruments, ``Order_NAME.ISIN``.
        weights: What each of the section's instruments weighs, in the order of `isins`; None: the same.
        isins: All instruments of a section that has several; empty where `isin` is the only one.
        password_from: Where the password came from, for people to read.
    """

    name: AccountName
    username: str = Field(min_length=1, description="The login at the broker.")
    password: SecretStr = Field(
        min_length=1, description="The password, or where it is kept: env:NAME, keyring:SERVICE/NAME, file:PATH."
    )
    broker_code: Annotated[BrokerCode, BeforeValidator(_broker_code)] = Field(
        description=f"One of {', '.join(BROKER_CODES)}."
    )
    isin: InstrumentId = Field(
        description="What to trade: its twelve-character ISIN. Several, with commas between them: an order of each."
    )
    weights: Annotated[tuple[Decimal, ...], BeforeValidator(values.weights)] | None = Field(
        default=None, description="With several to buy: how they divide the money, such as 60, 40; empty: equally."
    )
    side: Annotated[Side, BeforeValidator(partial(values.word, kinds=Side))] = Field(
        default=Side.BUY, description="buy or sell."
    )
    price: Whole | None = Field(
        default=None,
        description="In rials, of one instrument; empty: the top of the price band for a buy, the bottom for a sell.",
    )
    quantity: Whole | None = Field(
        default=None,
        description="In shares, of each; empty: what the buying power pays for, or for a sell all that is held.",
    )
    max_value: Whole | None = Field(
        default=None,
        description="The most to spend here, in rials; several instruments divide it likewise; empty: no such limit.",
    )
    orders: Annotated[OrdersMode, BeforeValidator(partial(values.word, kinds=OrdersMode))] = Field(
        default=OrdersMode.ONE, description="one full-size order, or all: as many as the buying power pays for, paced."
    )
    enabled: Annotated[bool, BeforeValidator(values.yes_or_no)] = Field(
        default=True, description="no leaves the account out without deleting it."
    )
    password_from: str = "the config"  # noqa: S105 - the name of a place
    isins: tuple[InstrumentId, ...] = ()

    @property
    def section(self) -> AccountName:
        """The section's name."""
        return AccountName(self.name.partition(INSTRUMENT_MARK)[0])

    @property
    def basket(self) -> Mapping[InstrumentId, Decimal]:
        """What each of the section's instruments weighs, in its order; 1 where nothing is said."""
        isins = self.isins or (self.isin,)
        return dict(zip(isins, self.weights or [Decimal(1)] * len(isins), strict=True))

    @field_validator("isin")
    @classmethod
    def _is_instrument(cls, isin: InstrumentId, info: ValidationInfo) -> InstrumentId:
        if info.data.get("broker_code", _ANY_TEHRAN) in EPHOENIX_CODES and not is_isin(isin):
            raise ValueError("write an ISIN: two capital letters, nine letters or digits, one digit: IRO1MHRN0001")
        if not _SYMBOL.fullmatch(isin):
            raise ValueError("write an instrument's ISIN or symbol, without spaces")
        return isin


class Settings(Section):
    """A whole config.

    Attributes:
        file: The config file.
        firstbell: The run.
        captcha: Who solves captchas.
        brokers: What differs from what is built in, by broker code; only where the config has a section.
        telegram: Where alerts go.
        risk: The user's own limits.
        validation: What an order is held against before it is sent.
        orders: Placing orders, and looking after them.
        retry: When to try again.
        fallback: What is done about refused orders.
        partial_fills: What is done about the rest of orders that fill in parts.
        order_log: How the order log is kept.
        paper: The paper market.
        positions: What positions are watched for.
        metrics: Where figures can be read.
        accounts: All accounts in the file's order. Only the enabled ones have resolved secrets.
        warnings: What the user should know, in words.
    """

    file: Path
    firstbell: RunSettings = RunSettings()
    captcha: CaptchaSettings = CaptchaSettings()
    brokers: Mapping[BrokerCode, BrokerSettings] = Field(default_factory=dict)
    telegram: TelegramSettings = TelegramSettings()
    risk: RiskSettings = RiskSettings()
    validation: ValidationSettings = ValidationSettings()
    orders: OrdersSettings = OrdersSettings()
    retry: RetrySettings = RetrySettings()
    fallback: FallbackSettings = FallbackSettings()
    partial_fills: PartialFillSettings = PartialFillSettings()
    order_log: OrderLogSettings = OrderLogSettings()
    paper: PaperSettings = PaperSettings()
    positions: PositionSettings = PositionSettings()
    metrics: MetricsSettings = MetricsSettings()
    accounts: tuple[AccountSettings, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def enabled(self) -> tuple[AccountSettings, ...]:
        """The accounts that a run is about."""
        return tuple(account for account in self.accounts if account.enabled)

    def broker(self, code: BrokerCode) -> BrokerSettings:
        """What differs for a broker; where the config says nothing, nothing does."""
        return self.brokers.get(code) or BrokerSettings()
