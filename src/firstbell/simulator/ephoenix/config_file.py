"""Writes a config with which the accounts of a practice exchange can be rehearsed at once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from firstbell.errors import SimulatorError
from firstbell.model.terms import Side

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import time
    from pathlib import Path

    from firstbell.model.identifiers import BrokerCode, InstrumentId
    from firstbell.simulator.roster import Investor

_REFERENCES = ("env:", "keyring:", "file:")
_SERVICES = ("identity_url", "api_url", "market_data_url", "backoffice_url")


def write_config(path: Path, text: str) -> None:
    """Write a config, readable by its owner alone. An existing file is never overwritten.

    Raises:
        SimulatorError: There is such a file, or it cannot be written.
    """
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file, "w", encoding="utf-8") as config:
            config.write(text)
    except FileExistsError:
        raise SimulatorError(f"{path} is there already: move it away, or name another file") from None
    except OSError as error:
        raise SimulatorError(f"{path} cannot be written: {error.strerror}") from error


def config_text(
    investors: Iterable[Investor],
    addresses: Mapping[BrokerCode, str],
    practice_address: str,
    bell: time,
    *,
    wanted: InstrumentId,
    ca_file: Path | None = None,
) -> str:
    """The text of a config for a practice exchange.

    Args:
        investors: The accounts.
        addresses: Scheme, host and port by broker.
        practice_address: Where captchas are answered.
        bell: The bell on the exchange's wall clock.
        wanted: What an account trades that does not say what it wants.
        ca_file: The authority behind the exchange's certificate; None without TLS.

    Raises:
        SimulatorError: A login name or a password cannot stand in a config.
    """
    return "\n".join(_lines(list(investors), addresses, practice_address, bell, wanted, ca_file)) + "\n"


def _lines(
    investors: list[Investor],
    addresses: Mapping[BrokerCode, str],
    practice_address: str,
    bell: time,
    wanted: InstrumentId,
    ca_file: Path | None,
) -> Iterator[str]:
    yield "# A rehearsal: practice accounts on the simulated exchange of this machine."
    yield "[firstbell]"
    yield f"order_time = {bell.isoformat()}"
    # A rehearsal's journal and cache are never those of a real day in the same folder.
    yield "state_dir = .firstbell-practice"
    yield ""
    yield "[captcha]"
    yield "solver = url"
    yield f"url = {practice_address}/practice/captcha"
    # Its wire is a real one, and so are its orders to firstbell; its hours are its own.
    yield ""
    yield "[orders]"
    yield "mode = live"
    yield ""
    yield "[validation]"
    yield "market_hours = no"
    for code in sorted({investor.broker_code for investor in investors}):
        yield ""
        yield f"[broker.{code}]"
        yield from (f"{service} = {addresses[code]}" for service in _SERVICES)
        if ca_file is not None:
            yield f"ca_file = {ca_file.absolute()}"
    for number, investor in enumerate(investors, 1):
        yield ""
        yield f"[Order_Account{number}_{investor.broker_code.capitalize()}]"
        yield f"username = {_fitting(investor.username, investor)}"
        yield f"password = {_fitting(investor.password, investor)}"
        yield f"broker_code = {investor.broker_code}"
        yield f"isin = {investor.instrument or wanted}"
        if investor.side is Side.SELL:
            yield "side = sell"


def _fitting(text: str, investor: Investor) -> str:
    if text != text.strip() or len(text.splitlines()) != 1 or text.startswith(_REFERENCES):
        raise SimulatorError(
            f"account {investor.username}: its login name or password cannot stand in a config as it is "
            "(spaces at an end, several lines, or a beginning like env:)"
        )
    return text
