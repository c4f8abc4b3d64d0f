"""What a worker that was started by hand is told of a run: all that it needs of the config, and nothing more.

No user name and no password is in it. Certificates travel with it, since their files stand on the master's machine.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import SecretStr, ValidationError

from firstbell import __version__
from firstbell.brokers.base import Capabilities
from firstbell.config.models import AccountSettings, BrokerSettings, RiskSettings, RunSettings, Settings
from firstbell.errors import RunError
from firstbell.journal.address import Address, Tls
from firstbell.log import hide
from firstbell.model.identifiers import RunId
from firstbell.sniper.dealing.documents import owner_document, read_owner
from firstbell.sniper.logins import Login

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from firstbell.journal.base import Owner
    from firstbell.model.identifiers import BrokerCode
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
            code: {**_broker_document(settings.broker(code)), "capabilities": asdict(can)}
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
        RunError: It is of another version, or a certificate cannot be put down.
    """
    if document.get("version") != __version__:
        raise RunError(
            f"the master runs firstbell {document.get('version')}, and this is {__version__}: use one version"
        )
    journal = document["journal"]
    hide(journal["password"])
    certificates = _put(folder / "journal.pem", journal["ca"])
    address = Address(
        **{name: journal[name] for name in ("host", "port", "database", "user", "password")},
        tls=Tls(journal["tls"]),
        ca_file=None if certificates is None else str(certificates),
    )
    try:
        settings = _settings(document, folder)
    except ValidationError as error:
        raise RunError(f"what the master tells of the run cannot be used: {error}") from None
    logins: dict[str, Login] = {}
    for account in settings.accounts:
        login = logins.setdefault(account.username, Login(account.username, account.broker_code, ()))
        logins[account.username] = replace(login, accounts=(*login.accounts, account))
    return Roster(
        run_id=RunId(document["run_id"]),
        bell=datetime.fromisoformat(document["bell"]),
        started_ns=document["started_ns"],
        dry=document["dry"],
        master=read_owner(document["master"]),
        journal=address,
        settings=settings,
        logins=tuple(logins.values()),
        chosen=frozenset(document["chosen"]),
        capabilities={code: Capabilities(**told["capabilities"]) for code, told in document["brokers"].items()},
    )


def _broker_document(broker: BrokerSettings) -> dict[str, Any]:
    return {
        "api_url": broker.api_url,
        "min_interval_ms": broker.min_interval_ms,
        "lead_ms": None if broker.lead_ms is None else str(broker.lead_ms),
        "ca": _text_of(broker.ca_file),
    }


def _settings(document: Mapping[str, Any], folder: Path) -> Settings:
    brokers = {
        code: BrokerSettings(
            api_url=told["api_url"],
            min_interval_ms=told["min_interval_ms"],
            lead_ms=told["lead_ms"],
            ca_file=_put(folder / f"{code}.pem", told["ca"]),
        )
        for code, told in document["brokers"].items()
    }
    accounts = tuple(
        AccountSettings(
            name=told["name"],
            # Which login it is, without who: the master alone logs in.
            username=told["login"],
            password=SecretStr("kept by the master"),
            broker_code=told["broker_code"],
            isin=told["isin"],
            side=told["side"],
        )
        for told in document["accounts"]
    )
    run = RunSettings(
        market=document["market"],
        give_up_after=timedelta(microseconds=document["give_up_after_us"]),
        state_dir=STATE_DIR,
    )
    risk = RiskSettings(
        max_attempts_per_order=document["max_attempts_per_order"],
        max_attempts_per_run=document["max_attempts_per_run"],
    )
    return Settings(file=Path("the master's config"), firstbell=run, brokers=brokers, risk=risk, accounts=accounts)


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
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror}") from None
    return path.absolute()
