"""Config files, and what a person writes on the command line."""

from __future__ import annotations

import os
import shutil
import tempfile
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from firstbell.cli import exchange_params
from firstbell.clock.exchange_time import parse_at
from firstbell.config import load
from firstbell.config import values as config_values
from firstbell.config.template import render
from firstbell.errors import ConfigError
from firstbell.journal.address import Address
from firstbell.oms.logins import logins_of
from fuzzing import junk, spoiling
from fuzzing.targets.base import IN_MEMORY, Plain, expect

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

_LEGACY: Final = """[Order_Old]
username = u
password = p%;#='" x
broker_code = gs
isin = IRO1MHRN0001
order_side = Buy
order_price = 5,860
order_volume = ۱۰۰۰
order_type = Limit
order_validity = Day
order_validity_date = 1404/12/29
order_url = https://x.example/
disclosure = false
"""
_SHORT: Final = """[Order_A]
username = u
password = pl4nted
broker_code = shahr
isin = IRO1MHRN0001
[firstbell]
order_time = 08:45:00.250
give_up_after = 1m30s
ntp_server = [::1]:123
journal = postgresql://u:pl4nted@db:5432/j?sslmode=verify-full
[captcha]
solver = url
url = http://127.0.0.1:8000/x?key=pl4nted
[broker.shahr]
api_url = https://api.example:8443
min_interval_ms = 400
lead_ms = 4.5
ca_file = ca.pem
[risk]
max_order_value = 1,000,000
"""
_TEHRAN: Final = timezone(timedelta(hours=3, minutes=30))
_NOW: Final = datetime(2026, 11, 21, 5, 0, tzinfo=UTC)


class ConfigFiles:
    """`firstbell.config.load`, of files as people and editors leave them."""

    name = "config"

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="fuzz-config-", dir=IN_MEMORY))
        self._path = self._folder / "config.ini"
        (self._folder / "ca.pem").write_text("", encoding="ascii")
        self._wholes = [text.encode() for text in (render().replace("YOUR_", "MY_"), _LEGACY, _SHORT, _LEGACY + _SHORT)]

    def make(self, rng: Random) -> bytes:
        """A config, spoiled line by line or byte by byte."""
        data = rng.choice(self._wholes)
        lines = data.split(b"\n")
        for _ in range(rng.choice((0, 1, 2, 6))):
            number = rng.randrange(len(lines))
            key, equals, _ = lines[number].partition(b"=")
            value = junk.text(rng).encode("utf-8", "surrogatepass")
            lines[number] = rng.choice(
                (key + equals + b" " + value, lines[rng.randrange(len(lines))], value, b"", b"[x]")
            )
        data = b"\n".join(lines)
        if rng.randrange(10) == 0:
            data = data.decode("utf-8", "replace").encode("utf-16")
        return spoiling.some_bytes(data, rng) if rng.randrange(3) == 0 else data

    def attempt(self, data: bytes) -> None:
        """Load it. The desktop's key store is left alone: it is no reader of ours."""
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data.replace(b"keyring:", b"keyrimg:"))
        try:
            settings = load(self._path, today=date(2026, 11, 21))
        except ConfigError as error:
            expect(bool(error.problems), "an error without a problem")
            expect(all(len(str(problem)) < 4000 for problem in error.problems), "a problem without an end")
            if data in self._wholes:
                expect("pl4nted" not in str(error), "a secret in an error")
            return
        expect(bool(settings.enabled), "a config without an account is taken")
        expect(all(account.price is None or account.price > 0 for account in settings.accounts), "a price of nothing")
        expect(len(logins_of(settings.enabled)) <= len(settings.enabled), "more logins than accounts")

    def close(self) -> None:
        """Remove the file."""
        shutil.rmtree(self._folder, ignore_errors=True)


_READERS: Final[tuple[Callable[[str], object], ...]] = (
    lambda text: parse_at(text, _NOW, _TEHRAN),
    config_values.whole,
    config_values.milliseconds,
    config_values.time_of_day,
    config_values.duration,
    config_values.yes_or_no,
    config_values.base_url,
    config_values.full_url,
    config_values.host_and_port,
    lambda text: config_values.absolute(text, Path("/")),
    exchange_params.duration,
    exchange_params.clock_time,
    exchange_params.number,
    exchange_params.speed,
    exchange_params.fault,
    exchange_params.loopback,
    Address.of,
)
_WHOLES: Final = (
    "now",
    "08:45",
    "08:45:00.123456",
    "2026-11-21T08:45:00.123456789+03:30",
    "1m30s",
    "500ms",
    "https://host:8443",
    "http://127.0.0.1:80/path?a=b",
    "[::1]:123",
    "1,000,000",
    "4.5",
    "delay:ms=5,on=order+edit,n=2,account=x",
    "postgresql://user:pass%20word@host:5432/database?sslmode=require",
    "~/folder",
    "yes",
)


class Words(Plain):
    """``--at`` and the other options, and each kind of value in a config."""

    name = "words"

    def make(self, rng: Random) -> bytes:
        """One text."""
        text = junk.text(rng) if rng.randrange(3) == 0 else rng.choice(_WHOLES)
        data = text.encode("utf-8", "surrogatepass")
        return spoiling.some_bytes(data, rng) if rng.randrange(4) else data

    def attempt(self, data: bytes) -> None:
        """Read it as everything that it could be."""
        text = data.decode("utf-8", "replace")
        for read in _READERS:
            try:
                read(text)
            except (ValueError, click.BadParameter) as error:
                expect(len(str(error)) < 1000 + 4 * len(text), "an error without an end")
