"""From ``config.ini`` to `Settings`: everything that is wrong is found before anything is said."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

from pydantic import SecretStr, ValidationError

from firstbell.config import baskets, mistakes
from firstbell.config.accounts import PREFIX, Accounts, is_enabled, tell_placeholders
from firstbell.config.alert_settings import TelegramSettings
from firstbell.config.ini import Entry, IniFile, RawSection, decode, parse
from firstbell.config.legacy import Legacy
from firstbell.config.models import (
    SHORTEST_INTERVAL_MS,
    AccountSettings,
    BrokerSettings,
    CaptchaSettings,
    RiskSettings,
    RunSettings,
    Settings,
)
from firstbell.config.order_log_settings import OrderLogSettings
from firstbell.config.order_settings import FallbackSettings, OrdersSettings, PartialFillSettings, RetrySettings
from firstbell.config.paper_settings import PaperSettings
from firstbell.config.position_settings import MetricsSettings, PositionSettings
from firstbell.config.private_file import read_private
from firstbell.config.secret_values import Secret, is_reference, resolve
from firstbell.config.section import Section
from firstbell.config.validation_settings import ValidationSettings
from firstbell.config.values import telegram_chat, telegram_token
from firstbell.errors import ConfigError, Problem
from firstbell.log import hide
from firstbell.model.broker_codes import BROKER_CODES, EPHOENIX_CODES
from firstbell.model.identifiers import BrokerCode
from firstbell.model.instant import TEHRAN

if TYPE_CHECKING:
    from collections.abc import Callable

S = TypeVar("S", bound=Section)

LONGEST: Final = 1024 * 1024
"""Bytes. A config that is longer is something else."""
_PLAIN_SECTIONS: Final[dict[str, type[Section]]] = {
    "firstbell": RunSettings,
    "captcha": CaptchaSettings,
    "telegram": TelegramSettings,
    "risk": RiskSettings,
    "validation": ValidationSettings,
    "orders": OrdersSettings,
    "retry": RetrySettings,
    "fallback": FallbackSettings,
    "partial_fills": PartialFillSettings,
    "order_log": OrderLogSettings,
    "paper": PaperSettings,
    "positions": PositionSettings,
    "metrics": MetricsSettings,
}
_BROKER: Final = "broker."
_TOKEN_VARIABLE: Final = "TELEGRAM_BOT_TOKEN"  # noqa: S105 - the name of a place
_CHAT_VARIABLE: Final = "TELEGRAM_CHAT_ID"


def load(path: str | Path, *, today: date | None = None) -> Settings:
    """Read a config, resolve the enabled accounts' secrets, and remember them so that they are never written out.

    Args:
        path: The config file.
        today: The day at the exchange; asked of the clock where it is not given.

    Raises:
        ConfigError: It cannot be used. It lists everything that is wrong.
    """
    path = Path(path)
    loader = _Loader(path, parse(_read(path)), today or datetime.now(TEHRAN).date())
    loader.read()
    if loader.file.problems:
        ordered = sorted(loader.file.problems, key=lambda located: located[0])
        raise ConfigError(str(path), [problem for _, problem in ordered])
    return loader.settings()


def _read(path: Path) -> str:
    try:
        text, problem = decode(read_private(path, LONGEST))
    except FileNotFoundError:
        problem = Problem("", "", "", f"there is no such file; 'firstbell -c {path} init' writes one")
    except OSError as error:
        problem = Problem("", "", "", f"cannot be read: {error.strerror}")
    except ValueError as error:
        problem = Problem("", "", "", str(error))
    if problem is not None:
        raise ConfigError(str(path), [problem])
    return text


class _Loader:
    """One file on its way to settings. What is wrong gathers in `file.problems`."""

    def __init__(self, path: Path, file: IniFile, today: date) -> None:
        self.file = file
        self._path = path.absolute()
        self._folder = self._path.parent
        self._context: dict[str, Any] = {"folder": self._folder}
        self._legacy = Legacy(today)
        self._plain: dict[str, Section] = {}
        self._brokers: dict[BrokerCode, BrokerSettings] = {}
        self._accounts = Accounts(file)

    def read(self) -> None:
        """Go through the file, from its first section to its last."""
        for section in self.file.sections:
            if section.name in _PLAIN_SECTIONS:
                made = self._section(section, _PLAIN_SECTIONS[section.name])
                if made is not None:
                    self._plain[section.name] = made
            elif section.name.startswith(_BROKER):
                self._broker(section)
            elif section.name.lower().startswith(PREFIX):
                self._account(section)
            else:
                mistakes.unknown_section(self.file, section, _PLAIN_SECTIONS)
        self._accounts.finish()
        self._check_budget()

    def _check_budget(self) -> None:
        """A run whose budget is spent before every account has had its turn would halt in the middle of its volley."""
        risk, enabled = self._plain.get("risk"), sum(account.enabled for account in self._accounts.made)
        most = risk.max_attempts_per_run if isinstance(risk, RiskSettings) else None
        if most is not None and most < enabled:
            section = next(each for each in self.file.sections if each.name == "risk")
            line = section.entries["max_attempts_per_run"].line
            remedy = f"{enabled} accounts are enabled, and each order has to be sent once: write {enabled} at least"
            self.file.wrong(line, "risk", "max_attempts_per_run", remedy, found=str(most))

    def settings(self) -> Settings:
        """The settings of a file in which nothing was wrong."""
        run = self._plain.get("firstbell") or RunSettings.model_validate({}, context=self._context)
        telegram, warnings = _with_environment(self._plain.get("telegram"))
        return Settings.model_validate(
            {
                **self._plain,
                "file": self._path,
                "firstbell": run,
                "telegram": telegram,
                "brokers": self._brokers,
                "accounts": tuple(self._accounts.made),
                "warnings": (*self._legacy.warnings(), *warnings),
            }
        )

    def _section(self, section: RawSection, model: type[S], **given: object) -> S | None:
        """One section as its model, or None with what is wrong noted.

        `given` are the fields that are known already, whatever the section says.
        """
        before = len(self.file.problems)
        fields: dict[str, Any] = dict(given)
        for key, entry in section.entries.items():
            if key not in mistakes.keys_of(model):
                mistakes.unknown_key(self.file, section, key, model)
            elif not entry.value:
                mistakes.empty(self.file, section, key, model)
            elif key not in given:
                fields[key] = self._secret(section, key, entry) if mistakes.is_secret(model, key) else entry.value
        made: S | None = None
        try:
            made = model.model_validate(fields, context=self._context)
        except ValidationError as error:
            told = {problem.key for _, problem in self.file.problems[before:]}
            mistakes.translate(self.file, section, error, model, told)
        return made if len(self.file.problems) == before else None

    def _account(self, section: RawSection) -> None:
        if not self._accounts.begin(section):
            return
        older = self._legacy.translate(section, self.file)
        before = len(self.file.problems)
        given: dict[str, object] = {"name": section.name}
        entry = section.entries.get("password")
        if is_enabled(section):
            tell_placeholders(section, self.file)
        if entry is not None and entry.value:
            secret = self._resolve(section, "password", entry) if is_enabled(section) else _unresolved(entry.value)
            # A secret that is not there is told already; the model need not say that it is missing, too.
            secret = secret or Secret("?", entry.value)
            given |= {"password": SecretStr(secret.text), "password_from": secret.source}
        made = [self._section(part, AccountSettings, **given) for part in baskets.split(section, self.file)]
        accounts = [account for account in made if account is not None]
        if len(self.file.problems) == before:
            accounts = list(baskets.join(section, accounts, self.file))
        # A mistake is told under the name that stands in the file, and once, however many instruments have it.
        told = [
            (line, replace(problem, key=older.get(problem.key, problem.key)))
            for line, problem in self.file.problems[before:]
        ]
        self.file.problems[before:] = dict.fromkeys(told)
        if not told:
            self._accounts.add(section, accounts)

    def _broker(self, section: RawSection) -> None:
        code = section.name.removeprefix(_BROKER)
        if code not in BROKER_CODES:
            mistakes.unknown_broker(self.file, section, code)
            return
        self._context["shortest_interval_ms"] = SHORTEST_INTERVAL_MS if code in EPHOENIX_CODES else 0
        made = self._section(section, BrokerSettings)
        if made is not None:
            self._brokers[BrokerCode(code)] = made

    def _secret(self, section: RawSection, key: str, entry: Entry) -> SecretStr | None:
        if section.name == "telegram" and entry.value == f"env:{_TOKEN_VARIABLE}":
            # The default, written out: without that variable there are no alerts, and that is no mistake.
            return None
        found = self._resolve(section, key, entry)
        return None if found is None else SecretStr(found.text)

    def _resolve(self, section: RawSection, key: str, entry: Entry) -> Secret | None:
        try:
            secret = resolve(entry.value, self._folder)
        except ValueError as error:
            self.file.wrong(entry.line, section.name, key, str(error))
            return None
        hide(secret.text)
        if key == "journal":
            _hide_password_in(secret.text)
        return secret


def _unresolved(value: str) -> Secret:
    if is_reference(value):
        return Secret(value, value)
    hide(value)
    return Secret(value, "the config")


def _hide_password_in(url: str) -> None:
    try:
        password = urlsplit(url).password
    except ValueError:
        return
    hide(password or "")


def _with_environment(section: Section | None) -> tuple[TelegramSettings, list[str]]:
    """Telegram's settings, what is not in the file being taken from the environment; and what to warn of."""
    telegram = section if isinstance(section, TelegramSettings) else TelegramSettings()
    warnings: list[str] = []
    token = telegram.bot_token or SecretStr(_from_environment(_TOKEN_VARIABLE, telegram_token, warnings))
    chat = telegram.chat_id or _from_environment(_CHAT_VARIABLE, telegram_chat, warnings) or None
    hide(token.get_secret_value())
    if bool(token.get_secret_value()) is not bool(chat):
        missing = "chat_id" if chat is None else "bot_token"
        warnings.append(f"[telegram] {missing} is not set; alerts need both")
    found = token if token.get_secret_value() else None
    return telegram.model_copy(update={"bot_token": found, "chat_id": chat}), warnings


def _from_environment(name: str, read: Callable[[str], str], warnings: list[str]) -> str:
    """A variable's value; empty where it is not set, or cannot be used: then that is warned of."""
    value = os.environ.get(name, "")
    hide(value if name == _TOKEN_VARIABLE else "")
    try:
        return read(value) if value else ""
    except ValueError as error:
        warnings.append(f"the environment variable {name} is not used: {error}")
        return ""
