"""``firstbell init`` and ``firstbell check``: the config, written and read; no network."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape
from rich.table import Table

from firstbell.cli.shell import Shell, shared_options
from firstbell.cli.tables import print_warnings
from firstbell.config import OrdersMode, load, render
from firstbell.errors import ConfigError, Problem
from firstbell.log import one_line
from firstbell.market import Phase, calendar
from firstbell.model.broker_codes import BROKER_CODES
from firstbell.model.money import grouped, plain
from firstbell.model.terms import Side
from firstbell.oms.office import journal_address
from firstbell.risk.trading_state import in_force
from firstbell.sniper.bell import Bell, choose_bell

if TYPE_CHECKING:
    from decimal import Decimal

    from firstbell.config import AccountSettings, Settings
    from firstbell.journal.address import Address


@click.command("init")
@shared_options
def init(shell: Shell) -> None:
    """Write a commented config, readable by you alone.

    An existing file is never overwritten. Fill in username, password, broker_code and isin, then run `firstbell check`.
    """
    path = shell.config
    try:
        # Only ever a new file: an order's password must not land in somebody's file behind a link.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise _trouble(path, "there is one already; it stays as it is (-c PATH writes another)") from None
    except OSError as error:
        raise _trouble(path, f"cannot be written: {error.strerror}") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(render())
    if shell.json:
        shell.print_json({"config": str(path.absolute())})
    shell.out.print(
        f"Wrote {escape(str(path))}. Fill in your account, then run: firstbell{_option(path)} check", soft_wrap=True
    )


@click.command("check")
@shared_options
def check(shell: Shell) -> None:
    """Read the config and say, account by account, what would be done; no network.

    Every mistake is told at once: its section, its key, what stands there and what would be right. Exit status 0, or 2
    when the config cannot be used.
    """
    settings = load(shell.config)
    address = journal_address(settings)
    bell = _bell(settings)
    warnings = [*settings.warnings, *bell.warnings]
    if (halt := in_force(settings.firstbell.state_dir)) is not None:
        warnings.append(f"trading is {halt}; `firstbell resume` ends that")
    if shell.json:
        shell.print_json(_document(settings, bell, address, warnings))
    print_warnings(shell, warnings)
    shell.out.print(_table(settings))
    for line in _facts(settings, bell, address):
        shell.out.print(escape(line), soft_wrap=True)


def _trouble(path: Path, remedy: str) -> ConfigError:
    return ConfigError(str(path), [Problem("", "", "", remedy)])


def _option(path: Path) -> str:
    return "" if path == Path("config.ini") else f" -c {path}"


def _bell(settings: Settings) -> Bell:
    days = calendar(settings.firstbell.market)
    bell = choose_bell(None, settings, days, datetime.now(UTC))
    session = days.session(bell.at.date())
    if bell.at == session.bell:
        return bell
    takes = f"{days.market} takes orders from {session.bell:%H:%M:%S}"
    what = "no orders are taken then" if session.phase_at(bell.at) is Phase.CLOSED else "that is later"
    return Bell(bell.at, (*bell.warnings, f"order_time is {settings.firstbell.order_time}, but {takes}: {what}"))


def _price(account: AccountSettings) -> str:
    if account.price is not None:
        return grouped(account.price)
    return "top of the band" if account.side is Side.BUY else "bottom of the band"


def _quantity(account: AccountSettings) -> str:
    if account.quantity is not None:
        return grouped(account.quantity)
    if account.side is Side.SELL:
        return "all that is held"
    if not account.isins:
        return "what the buying power pays for"
    weight, whole = account.basket[account.isin], sum(account.basket.values())
    return f"what its share of the buying power pays for: {grouped(weight)} of {grouped(whole)}"


def _orders(account: AccountSettings) -> str:
    return "one order" if account.orders is OrdersMode.ONE else "as many orders as that takes"


def _table(settings: Settings) -> Table:
    table = Table(title=escape(str(settings.file)), title_justify="left", show_lines=True)
    for name in ("account", "login", "order"):
        table.add_column(name, overflow="fold")
    for account in settings.accounts:
        cells = (
            [account.name, *([] if account.enabled else ["(disabled)"])],
            [
                f"{account.broker_code}, {BROKER_CODES[account.broker_code]}",
                f"user {account.username}",
                f"password from {account.password_from}",
            ],
            [
                f"{account.side.value} {account.isin}",
                f"price: {_price(account)}",
                f"quantity: {_quantity(account)}",
                *([] if account.max_value is None else [f"at most {grouped(account.max_value)} rials"]),
                _orders(account),
            ],
        )
        style = None if account.enabled else "dim"
        table.add_row(*("\n".join(escape(one_line(line)) for line in cell) for cell in cells), style=style)
    return table


def _facts(settings: Settings, bell: Bell, journal: Address | None) -> list[str]:
    run = settings.firstbell
    enabled, disabled = len(settings.enabled), len(settings.accounts) - len(settings.enabled)
    lines = [
        f"Accounts  {enabled} would send orders" + (f", {disabled} disabled" if disabled else ""),
        f"Bell      {bell.at:%A} {bell.at.isoformat(sep=' ')} at {run.market}",
        f"Gives up  {run.give_up_after.total_seconds():g} s after the bell",
        f"Captcha   {settings.captcha.solver.value}",
        "Journal   SQLite in the state folder"
        if journal is None
        else f"Journal   PostgreSQL: {journal.place} (sslmode {journal.tls})",
        f"State     {run.state_dir}",
        f"Results   {run.results_dir}",
    ]
    for name, number in _limits(settings).items():
        lines.append(f"Limit     {name} {grouped(number)}")
    for code, overrides in _overrides(settings).items():
        lines += [f"Override  [broker.{code}] {key} = {value}" for key, value in overrides.items()]
    return lines


def _limits(settings: Settings) -> dict[str, Decimal | int]:
    return {name: number for name, number in settings.risk if number is not None}


def _overrides(settings: Settings) -> dict[str, dict[str, str]]:
    found = {
        code: {name: str(value) for name, value in broker if name in broker.model_fields_set and value is not None}
        for code, broker in settings.brokers.items()
    }
    return {code: overrides for code, overrides in found.items() if overrides}


def _document(settings: Settings, bell: Bell, journal: Address | None, warnings: list[str]) -> dict[str, Any]:
    run = settings.firstbell
    return {
        "config": str(settings.file),
        "market": run.market,
        "trading_day": bell.at.date().isoformat(),
        "bell": bell.at.isoformat(timespec="milliseconds"),
        "give_up_after_s": run.give_up_after.total_seconds(),
        "captcha": settings.captcha.solver.value,
        "journal": "sqlite" if journal is None else "postgresql",
        "state_dir": str(run.state_dir),
        "results_dir": str(run.results_dir),
        "limits": {name: int(number) for name, number in _limits(settings).items()},
        "overrides": _overrides(settings),
        "warnings": warnings,
        "accounts": [_account(account) for account in settings.accounts],
    }


def _account(account: AccountSettings) -> dict[str, Any]:
    return {
        "account": account.name,
        "enabled": account.enabled,
        "broker_code": account.broker_code,
        "broker": BROKER_CODES[account.broker_code],
        "username": account.username,
        "password_from": account.password_from,
        "instrument": account.isin,
        "side": account.side.value,
        "price": None if account.price is None else plain(account.price),
        "price_rule": _price(account),
        "quantity": None if account.quantity is None else plain(account.quantity),
        "quantity_rule": _quantity(account),
        "max_value": None if account.max_value is None else plain(account.max_value),
        "orders": account.orders.value,
        **({"weight": plain(account.basket[account.isin])} if account.isins and account.side is Side.BUY else {}),
    }
