"""``firstbell exchange``: the simulated exchange by itself, for rehearsals."""

from __future__ import annotations

import asyncio
import gc
import json
import signal
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.table import Table

from firstbell.cli import exchange_params as read
from firstbell.cli.exchange_events import EventPrinter, summary
from firstbell.cli.shell import Shell, shared_options
from firstbell.errors import SimulatorError
from firstbell.market import calendar
from firstbell.model.broker_codes import EPHOENIX_CODES, MAIN_CODES
from firstbell.model.money import grouped, plain
from firstbell.model.terms import Side
from firstbell.simulator.ephoenix import config_file
from firstbell.simulator.ephoenix.desk import LoginLimit
from firstbell.simulator.ephoenix.server import PracticeServer
from firstbell.simulator.ephoenix.setup import Setup, open_desk
from firstbell.simulator.exchange_clock import NS, ExchangeClock, instant
from firstbell.simulator.faults import KINDS
from firstbell.simulator.listings import tehran_instruments
from firstbell.simulator.roster import made_up, read_investors
from firstbell.simulator.schedule import Schedule, next_session, next_time, schedule_of
from firstbell.simulator.tls import make_certificates

if TYPE_CHECKING:
    from datetime import datetime, time
    from fractions import Fraction

    from firstbell.simulator.faults import Fault
    from firstbell.simulator.roster import Investor

_MARKET: Final = "XTEH"
_USUAL_ACCOUNTS: Final = 8


def _fault_help() -> str:
    lines = ["\b", "Faults (each may also take n=TIMES, account=LOGIN and on=CALL+CALL):"]
    for kind in KINDS.values():
        own = ", ".join(f"{key}={value}" for key, value in kind.parameters.items())
        lines.append(f"  {kind.name:<22} {kind.summary}{f' ({own})' if own else ''}")
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class _Options:
    """The options as they were given; their names are those of the command line."""

    host: str
    port: int
    port_per_broker: bool
    accounts: int | None
    sells: int
    accounts_file: Path | None
    seed: int
    bell_in: int | None
    bell: time | None
    speed: Fraction
    offset_ms: Fraction
    tls: Path | None
    fault: tuple[Fault, ...]
    token_life: int
    login_limit: int | None
    login_pause: int
    write_config: Path | None


@click.command(epilog=_fault_help())
@click.option(
    "--host", type=read.loopback, metavar="ADDRESS", default="127.0.0.1", show_default=True, help="A loopback address."
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="The port; 0 takes any.")
@click.option("--port-per-broker", is_flag=True, help="Give each broker a port of its own, upward from --port.")
@click.option("--accounts", type=click.IntRange(1), help=f"How many accounts to make up. [default: {_USUAL_ACCOUNTS}]")
@click.option(
    "--accounts-file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Take the accounts from a JSON file instead: an array of objects with username, password, broker_code, money "
    "and, if wanted, holdings {isin: shares}, isin and side.",
)
@click.option(
    "--sells",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="How many of the made-up accounts, the last ones, sell what they hold.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed makes up the same accounts.")
@click.option(
    "--bell-in",
    type=read.duration,
    metavar="DURATION",
    help="Ring the bell so long from now, on the next whole second.",
)
@click.option(
    "--bell",
    type=read.clock_time,
    metavar="HH:MM:SS",
    help="Ring it at the next such time at the exchange, on any day.",
)
@click.option(
    "--speed",
    type=read.speed,
    metavar="NUMBER",
    default="1",
    show_default=True,
    help="How many times as fast the later phases follow the bell. The clock itself keeps its pace.",
)
@click.option(
    "--offset-ms",
    type=read.number,
    metavar="MS",
    default="0",
    show_default=True,
    help="How far the exchange's clock is ahead of this machine's; negative when behind.",
)
@click.option("--tls", type=click.Path(path_type=Path, file_okay=False), help="Serve over TLS; ca.pem goes in here.")
@click.option(
    "--fault",
    type=read.fault,
    metavar="NAME[:KEY=VALUE,...]",
    multiple=True,
    help="Have a fault, see below. May be repeated.",
)
@click.option(
    "--token-life",
    type=read.duration,
    metavar="DURATION",
    default="1h",
    show_default=True,
    help="How long a token lives.",
)
@click.option(
    "--login-limit", type=click.IntRange(1), help="Captchas and log-ins a minute and port before a 429. [default: any]"
)
@click.option(
    "--login-pause",
    type=read.duration,
    metavar="DURATION",
    default="7m",
    show_default=True,
    help="How long that 429 lasts.",
)
@click.option(
    "--write-config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a config for these accounts, ready to run; an existing file is left alone.",
)
@shared_options
def exchange(shell: Shell, **options: Any) -> None:
    """Run the simulated exchange by itself, until Ctrl-C.

    It speaks as the Tehran brokers do, on this machine only, and keeps an exchange's day: closed, order entry from the
    bell, ten minutes later nothing can be canceled, then the auction, continuous trading, trading at the close. Without
    --bell or --bell-in the day is the real one: today's, or the next trading day's.

    \b
    A rehearsal in two terminals:
      firstbell exchange --bell-in 60s --write-config practice.ini
      firstbell -c practice.ini warmup && firstbell -c practice.ini run

    With --json it prints one line once it listens: address, ports, bell, accounts with their passwords. POST
    /practice/captcha answers the captchas it drew; GET /practice/orders tells everything it saw. -v tells it as it
    happens, on standard error.
    """  # noqa: D301 - the backspace is click's mark for lines that are not to be joined
    given = _Options(**options)
    if given.bell is not None and given.bell_in is not None:
        raise click.UsageError("--bell and --bell-in both say when the bell rings: give one")
    if given.accounts is not None and given.accounts_file is not None:
        raise click.UsageError("--accounts and --accounts-file both say who trades: give one")
    if given.sells and given.accounts_file is not None:
        raise click.UsageError("--sells is for made-up accounts: in --accounts-file, write side")
    if given.write_config is not None and given.write_config.exists():
        raise SimulatorError(f"{given.write_config} is there already: move it away, or name another file")
    with ExitStack() as stack:
        listener = stack.enter_context(EventPrinter(_MARKET)).tell if shell.verbose else None
        setup = Setup(
            schedule=_schedule(given),
            investors=_investors(given),
            instruments=tehran_instruments(),
            offset_ns=_offset_ns(given),
            token_life_ns=given.token_life,
            login_limit=LoginLimit(given.login_limit, given.login_pause),
            faults=given.fault,
            listener=listener,
        )
        asyncio.run(_serve(shell, given, setup))


def _offset_ns(given: _Options) -> int:
    return int(given.offset_ms * 1_000_000)


def _investors(given: _Options) -> list[Investor]:
    if given.accounts_file is not None:
        return read_investors(given.accounts_file)
    return made_up(given.accounts or _USUAL_ACCOUNTS, tehran_instruments(), given.seed, sells=given.sells)


def _schedule(given: _Options) -> Schedule:
    now = ExchangeClock(_offset_ns(given)).now_ns()
    days = calendar(_MARKET)
    bell = None
    if given.bell is not None:
        bell = next_time(days, given.bell, now)
    elif given.bell_in is not None:
        bell = -(-(now + given.bell_in) // NS) * NS
    return schedule_of(next_session(days, now), bell=bell, speed=given.speed)


async def _serve(shell: Shell, given: _Options, setup: Setup) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    ca_file, context = make_certificates(given.tls) if given.tls is not None else (None, None)
    codes = tuple(code for code in EPHOENIX_CODES if code in {*MAIN_CODES, *(i.broker_code for i in setup.investors)})
    server = PracticeServer(
        open_desk(setup),
        codes,
        host=given.host,
        port=given.port,
        port_per_broker=given.port_per_broker,
        tls=context,
    )
    await server.start()
    try:
        if given.write_config is not None:
            _write_config(given.write_config, server, setup, ca_file)
        if shell.json:
            _announce_json(server, setup, ca_file)
        else:
            _announce(shell, given, server, setup)
        # What has been made until now stays; collecting it again and again would only delay orders.
        gc.freeze()
        await stop.wait()
    finally:
        await server.stop()
    (shell.err if shell.json else shell.out).print(summary(server.desk))


def _bell(setup: Setup) -> datetime:
    return instant(setup.schedule.bell, calendar(_MARKET).tz)


def _write_config(path: Path, server: PracticeServer, setup: Setup, ca_file: Path | None) -> None:
    text = config_file.config_text(
        setup.investors,
        {code: server.address_of(code) for code in server.ports},
        server.practice_address,
        _bell(setup).time(),
        wanted=setup.instruments[0].id,
        ca_file=ca_file,
    )
    config_file.write_config(path, text)


def _announce_json(server: PracticeServer, setup: Setup, ca_file: Path | None) -> None:
    document = {
        "address": server.address,
        "practice_address": server.practice_address,
        "ports": server.ports,
        "bell": _bell(setup).isoformat(timespec="milliseconds"),
        "accounts": [
            {
                "username": investor.username,
                "password": investor.password,
                "broker_code": investor.broker_code,
                "money": plain(investor.money),
                "holdings": {isin: plain(shares) for isin, shares in investor.holdings.items()},
                "isin": investor.instrument or setup.instruments[0].id,
                "side": investor.side.value,
            }
            for investor in setup.investors
        ],
        "ca_file": None if ca_file is None else str(ca_file.absolute()),
    }
    sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def _announce(shell: Shell, given: _Options, server: PracticeServer, setup: Setup) -> None:
    out = shell.out
    out.print(
        f"Practice exchange on [bold]{server.address}[/bold], bell at [bold]{_bell(setup):%Y-%m-%d %H:%M:%S}[/bold]"
    )
    if given.port_per_broker:
        out.print("Ports: " + ", ".join(f"{code} {port}" for code, port in server.ports.items()))
    people = Table("broker", "login", "buying power", "wants", title="Accounts", title_justify="left")
    people.columns[2].justify = "right"
    for investor in setup.investors:
        wanted = investor.instrument or setup.instruments[0].id
        wants = wanted if investor.side is Side.BUY else f"to sell {wanted}"
        people.add_row(investor.broker_code, investor.username, grouped(investor.money), wants)
    out.print(people)
    traded = Table("ISIN", "symbol", "band", "largest order", title="Instruments", title_justify="left")
    for number in (2, 3):
        traded.columns[number].justify = "right"
    for each in setup.instruments:
        band = f"{grouped(each.band.low)} to {grouped(each.band.high)}"
        traded.add_row(each.id, each.symbol, band, grouped(each.max_quantity))
    out.print(traded)
    if given.write_config is not None:
        out.print(f"Config written: {given.write_config}")
    else:
        out.print("Passwords: with --json, or in the config that --write-config writes.")
    out.print("Ctrl-C ends it.")
    sys.stdout.flush()
