"""The config of a rehearsal: what the user's own says of his orders, and nothing of what leads to a real broker."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from enum import Enum
from itertools import groupby
from typing import TYPE_CHECKING, Final

from firstbell.model.money import plain
from firstbell.simulator.tls import CA_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from firstbell.config import AccountSettings
    from firstbell.model.identifiers import BrokerCode
    from firstbell.simulator.ephoenix.background import RunningExchange
    from firstbell.sniper.rehearsal import Rehearsal

RESULTS: Final = "results"
"""The folder of a rehearsal's results, beside its config."""
_SERVICES: Final = ("identity_url", "api_url", "market_data_url", "backoffice_url")
_OF_THE_RUN: Final = frozenset({"market", "give_up_after"})
_OF_A_BROKER: Final = frozenset({"min_interval_ms", "lead_ms"})
_NOT_OF_AN_ORDER: Final = frozenset(
    {"name", "username", "password", "password_from", "broker_code", "enabled", "isin", "isins", "weights", "max_value"}
)


def rehearsal_config(rehearsal: Rehearsal, exchanges: Sequence[RunningExchange], bell: datetime, folder: Path) -> str:
    """The text of the config.

    Args:
        rehearsal: What is rehearsed.
        exchanges: The exchanges, one for each of its stages.
        bell: The bell, in exchange time.
        folder: Where the config, the state, the results and the certificate of the rehearsal lie.
    """
    return "\n".join(_lines(rehearsal, exchanges, bell, folder)) + "\n"


def _lines(rehearsal: Rehearsal, exchanges: Sequence[RunningExchange], bell: datetime, folder: Path) -> Iterator[str]:
    settings = rehearsal.settings
    yield "[firstbell]"
    yield f"order_time = {bell.time().isoformat()}"
    yield f"state_dir = {folder / 'state'}"
    yield f"results_dir = {folder / RESULTS}"
    yield from _keys({name: value for name, value in settings.firstbell if name in _OF_THE_RUN})
    yield "[captcha]"
    yield "solver = url"
    yield f"url = {exchanges[0].practice_address}/practice/captcha"
    yield "[risk]"
    yield from _keys(dict(settings.risk))
    for exchange in exchanges:
        for code, address in exchange.addresses.items():
            yield from _broker(rehearsal, code, address, folder)
    for section, accounts in groupby(rehearsal.accounts, key=lambda account: account.section):
        yield f"[{section}]"
        yield from _section(rehearsal, tuple(accounts))


def _section(rehearsal: Rehearsal, accounts: Sequence[AccountSettings]) -> Iterator[str]:
    """A section as it was before its several instruments became accounts."""
    first = accounts[0]
    person = rehearsal.people[first.name]
    yield f"username = {person.username}"
    yield f"password = {person.password}"
    yield f"broker_code = {first.broker_code}"
    yield f"isin = {', '.join(account.isin for account in accounts)}"
    if first.weights is not None:
        yield f"weights = {', '.join(format(weight, 'f') for weight in first.weights)}"
    if first.max_value is not None:
        yield f"max_value = {plain(sum((account.max_value or Decimal(0) for account in accounts), Decimal(0)))}"
    yield from _keys({name: value for name, value in first if name not in _NOT_OF_AN_ORDER})


def _broker(rehearsal: Rehearsal, code: BrokerCode, address: str, folder: Path) -> Iterator[str]:
    yield f"[broker.{code}]"
    yield from (f"{service} = {address}" for service in _SERVICES)
    if address.startswith("https"):
        yield f"ca_file = {folder / CA_FILE}"
    yield from _keys({name: value for name, value in rehearsal.settings.broker(code) if name in _OF_A_BROKER})


def _keys(values: Mapping[str, object]) -> Iterator[str]:
    yield from (f"{name} = {_written(value)}" for name, value in values.items() if value is not None)


def _written(value: object) -> str:
    """A value as a config has it."""
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, timedelta):
        return f"{value // timedelta(milliseconds=1)}ms"
    return str(plain(value) if isinstance(value, Decimal) else value)
