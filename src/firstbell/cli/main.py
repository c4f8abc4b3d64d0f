"""The one command, ``firstbell``: finds the file that holds a subcommand, and turns errors into exit statuses."""

from __future__ import annotations

import importlib
import io
import signal
import sys
from pathlib import Path
from typing import Final

import click

from firstbell import __version__
from firstbell.cli.output import last
from firstbell.cli.shell import EXIT_INTERRUPTED, Shell
from firstbell.config.private_process import be_private
from firstbell.errors import CutShort, FirstbellError, Unwritten
from firstbell.log import complain, guard_tracebacks

_COMMANDS: Final = {
    "init": ("firstbell.cli.setup", "init", "Write a commented config.ini."),
    "check": ("firstbell.cli.setup", "check", "Read the config and say what would be done; no network."),
    "preflight": ("firstbell.cli.preflight", "preflight", "Try every host, clock and account from here, now."),
    "warmup": ("firstbell.cli.warmup", "warmup", "Log in and fill the cache."),
    "run": ("firstbell.cli.run", "run", "Fire at the bell."),
    "halt": ("firstbell.cli.halt", "halt", "The kill switch: nothing leaves any more."),
    "resume": ("firstbell.cli.halt", "resume", "End a halt."),
    "alerts": ("firstbell.cli.alerts", "alerts", "Send a test message, or hear what the chat asks for."),
    "key": ("firstbell.cli.key", "key", "Make a key for a run on several machines."),
    "cache": ("firstbell.cli.cache", "cache", "Look into the cache, or empty it."),
    "results": ("firstbell.cli.results", "results", "Show what a run came to."),
    "orders": ("firstbell.cli.orders", "orders", "List, show, cancel and reconcile orders."),
    "positions": ("firstbell.cli.positions", "positions", "Positions, and profit and loss."),
    "exchange": ("firstbell.cli.exchange", "exchange", "Run the simulated exchange by itself."),
    "demo": ("firstbell.cli.demo", "demo", "See it all happen on the simulated exchange."),
}
"""Command → (module, attribute, short help). Explicit, and imported only when asked for."""

_NAME: Final = "firstbell"
"""What the program is called, also where it is started by ``python -m firstbell``."""
EXIT_USAGE: Final = 2
EXIT_UNRESOLVED: Final = 3


class _Commands(click.Group):
    """A group whose commands are imported only when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        module, attribute, _ = _COMMANDS[cmd_name]
        command = getattr(importlib.import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}.{attribute} is no command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry[2]) for name, entry in _COMMANDS.items()])


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-c",
    "--config",
    "config_path",
    type=Path,
    metavar="FILE",
    envvar="FIRSTBELL_CONFIG",
    default=Path("config.ini"),
    show_default=False,
    help="The config file. [default: FIRSTBELL_CONFIG, or config.ini]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs, and nothing else.")
@click.option("-v", "--verbose", count=True, help="Say more; twice for everything.")
@click.version_option(__version__, prog_name="firstbell")
@click.pass_context
def cli(context: click.Context, config_path: Path, *, as_json: bool, verbose: int) -> None:
    """First in the queue at the opening bell, on every one of your own accounts, exactly once each.

    A day: `firstbell check`, then `firstbell warmup` some minutes before the bell, then `firstbell run`, then
    `firstbell results`. Try `firstbell demo` first: it needs no account and no network.

    Exit status: 0 every configured order accepted, or the command did its work; 1 some order rejected or not sent;
    2 usage or config error, nothing was sent; 3 some order unresolved; 4 halted.
    """
    context.obj = Shell(config=config_path, json=as_json, verbose=verbose)


def main() -> None:
    """Run the command line, and leave with its exit status."""
    be_private()
    guard_tracebacks()
    out = last()
    try:
        _main()
    finally:
        out.flush()
        if out.lost is not None and not out.reader_has_gone:
            complain(f"standard output could not be written: {out.lost}")


def _main() -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A script that starts us in the background has it ignored; an order must be stoppable all the same.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        status = cli.main(prog_name=_NAME, standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("Interrupted.", err=True)
        sys.exit(EXIT_INTERRUPTED)
    except click.ClickException as error:
        said = io.StringIO()
        error.show(file=said)
        complain(said.getvalue())
        sys.exit(EXIT_USAGE)
    except (Unwritten, CutShort) as error:
        complain(str(error))
        sys.exit(EXIT_UNRESOLVED)
    except FirstbellError as error:
        complain(str(error))
        sys.exit(EXIT_USAGE)
    sys.exit(status if isinstance(status, int) else 0)
