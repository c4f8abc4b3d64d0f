"""What a worker that was started by hand is told of a run: all that it needs of the config, and nothing more.

No user name and no password is in it. Certificates travel with it, since their files stand on the master's machine.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import SecretStr

from firstbell import __version__
from firstbell.brokers.base import Capabilities
from firstbell.config.models import AccountSettings, BrokerSettings, RiskSettings, RunSettings, Settings
from firstbell.config.private_folder import OWNER_FILE, open_own_folder
from firstbell.errors import RunError
from firstbell.journal.address import Address, Tls
from firstbell.log import hide
from firstbell.model.broker_codes import BROKER_CODES
from firstbell.model.facts import Facts, instant_of, texts_of
from firstbell.model.identifiers import AccountName, BrokerCode, InstrumentId, RunId
from firstbell.model.terms import Side
from firstbell.oms.logins import Login
from firstbell.sniper.dealing.documents import owner_document, read_owner, readable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from firstbell.journal.base import Owner
    from firstbell.sniper.context import RunContext

STATE_DIR: Final = Path(".firstbell")
"""Where a worker keeps its logs and locks, in the folder that it is started in."""


@dataclass(frozen=True, slots=True)
class Roster:
    """One run, as a worker knows it.

    Attributes:
        run_id: Its name.
        bell: The bell.
        started_ns: When it was started, in ns since the epoch, on the master's clock.
        dry: Whether nothing is sent.
        master: The process that deals.
        journal: Where the journal is.
        settings: The part of the config that is needed to fire.
        logins: Every login with its accounts.
        chosen: The accounts that take part.
        capabilities: What the brokers can do.
    """

    run_id: RunId
    bell: datetime
    started_ns: int
    dry: bool
    master: Owner
    journal: Address
    settings: Settings
    logins: tuple[Login, ...]
    chosen: frozenset[str]
    capabilities: Mapping[BrokerCode, Capabilities]


def roster_document(
    context: RunContext,
    logins: Sequence[Login],
    chosen: Collection[str],
    capabilities: Mapping[BrokerCode, Capabilities],
    journal: Address,
    master: Owner,
) -> dict[str, Any]:
    """What is told to a worker; the arguments are those of `Roster`.

    Raises:
        RunError: A certificate cannot be read.
    """
    settings = context.settings
    login_of = {account.name: login.key for login in logins for account in login.accounts}
    return {
        "version": __version__,
        "run_id": context.run_id,
        "bell": context.bell.isoformat(),
        "started_ns": context.started_ns,
        "dry": context.dry,
        "master": owner_document(master),
        "journal": {**asdict(journal), "ca_file": None, "ca": _text_of(journal.ca_file)},
        "market": settings.firstbell.market,
        "give_up_after_us": settings.firstbell.give_up_after // timedelta(microseconds=1),
        "max_attempts_per_order": settings.risk.max_attempts_per_order,
        "max_attempts_per_run": settings.risk.attempts_per_run(len(settings.enabled)),
        "brokers": {
            code: {**_broker_document(settings.broker(code)), "capabilities": _able(can)}
            for code, can in capabilities.items()
        },
        "accounts": [
            {
                "name": account.name,
                "broker_code": account.broker_code,
                "isin": account.isin,
                "side": account.side.value,
                "login": login_of[account.name],
            }
            for account in settings.enabled
        ],
        "chosen": sorted(chosen),
    }


def read_roster(document: Mapping[str, Any], folder: Path) -> Roster:
    """A run from what the master tells of it.

    Args:
        document: What it tells.
        folder: Where certificates are put.

    Raises:
        RunError: It is of another version or cannot be read, or a certificate cannot be put down.
    """
    if document.get("version") != __version__:
        raise RunError(
            f"the master runs firstbell {document.get('version')}, and this is {__version__}: use one version"
        )
    with readable("a run"):
        facts = Facts(document)
        address = _address(facts.inner("journal"), folder)
        brokers = {_known(code): Facts(told) for code, told in facts.items("brokers")}
        settings = _settings(facts, brokers, folder)
        logins: dict[str, Login] = {}
        for account in settings.accounts:
            login = logins.setdefault(account.username, Login(account.username, account.broker_code, ()))
            logins[account.username] = replace(login, accounts=(*login.accounts, account))
        return Roster(
            run_id=RunId(facts.text("run_id")),
            bell=instant_of(facts.text("bell")),
            started_ns=facts.whole("started_ns"),
            dry=facts.flag("dry"),
            master=read_owner(document.get("master")),
            journal=address,
            settings=settings,
            logins=tuple(logins.values()),
            chosen=frozenset(texts_of(facts.list("chosen"))),
            capabilities={code: _capabilities(told.inner("capabilities")) for code, told in brokers.items()},
        )


def _known(code: str) -> BrokerCode:
    """A code that there is: a file is named after it."""
    if code not in BROKER_CODES:
        raise ValueError("no such broker")
    return BrokerCode(code)


def _address(facts: Facts | None, folder: Path) -> Address:
    if facts is None:
        raise ValueError("there is no journal")
    hide(facts.text("password"))
    certificates = _put(folder / "journal.pem", facts.maybe_text("ca"))
    return Address(
        host=facts.text("host"),
        port=facts.whole("port"),
        database=facts.text("database"),
        user=facts.text("user"),
        password=facts.text("password"),
        tls=Tls(facts.text("tls")),
        ca_file=None if certificates is None else str(certificates),
    )


def _able(can: Capabilities) -> dict[str, Any]:
    """What of a broker's capabilities matters at the bell."""
    return {
        "min_interval_ms": can.min_interval_ms,
        "client_order_ids": can.client_order_ids,
        "replace": can.replace,
    }


def _capabilities(facts: Facts | None) -> Capabilities:
    if facts is None:
        raise ValueError("there are no capabilities")
    return Capabilities(facts.whole("min_interval_ms"), facts.flag("client_order_ids"), facts.flag("replace"))


def _broker_document(broker: BrokerSettings) -> dict[str, Any]:
    return {
        "api_url": broker.api_url,
        "min_interval_ms": broker.min_interval_ms,
        "lead_ms": None if broker.lead_ms is None else str(broker.lead_ms),
        "ca": _text_of(broker.ca_file),
    }


def _settings(facts: Facts, brokers: Mapping[BrokerCode, Facts], folder: Path) -> Settings:
    own = {
        code: BrokerSettings(
            api_url=told.maybe_text("api_url"),
            min_interval_ms=told.whole("min_interval_ms"),
            lead_ms=told.maybe_number("lead_ms"),
            ca_file=_put(folder / f"{code}.pem", told.maybe_text("ca")),
        )
        for code, told in brokers.items()
    }
    accounts = tuple(
        AccountSettings(
            name=AccountName(told.text("name")),
            # Which login it is, without who: the master alone logs in.
            username=told.text("login"),
            password=SecretStr("kept by the master"),
            broker_code=BrokerCode(told.text("broker_code")),
            isin=InstrumentId(told.text("isin")),
            side=Side(told.text("side")),
        )
        for told in map(Facts, facts.list("accounts"))
    )
    run = RunSettings(
        market=facts.text("market"),
        give_up_after=timedelta(microseconds=facts.whole("give_up_after_us")),
        state_dir=STATE_DIR,
    )
    risk = RiskSettings(
        max_attempts_per_order=facts.whole("max_attempts_per_order"),
        max_attempts_per_run=facts.whole("max_attempts_per_run"),
    )
    return Settings(file=Path("the master's config"), firstbell=run, brokers=own, risk=risk, accounts=accounts)


def _text_of(path: Path | str | None) -> str | None:
    if path is None:
        return None
    try:
        return Path(path).read_text(encoding="ascii")
    except (OSError, ValueError) as error:
        raise RunError(f"the certificates {path} cannot be read for the workers: {error}") from None


def _put(path: Path, text: str | None) -> Path | None:
    if text is None:
        return None
    try:
        folder = open_own_folder(path.parent)
        try:
            path.unlink(missing_ok=True)
            file = os.open(path.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, OWNER_FILE, dir_fd=folder)
        finally:
            os.close(folder)
        with os.fdopen(file, "w", encoding="ascii") as writer:
            writer.write(text)
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror}") from None
    return path.absolute()
