"""What every command shares: the options that may stand before or after it, and how it prints."""

from __future__ import annotations

import functools
import json
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
from rich.console import Console
from rich.markup import escape

from firstbell.cli.output import status_of
from firstbell.log import json_line, json_lines, lines, one_line, redact

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.text import Text

R = TypeVar("R")
_FILE_WIDTH: Final = 180

EXIT_INTERRUPTED: Final = 130
"""Ctrl-C, and nothing is on its way."""


@dataclass(frozen=True, slots=True)
class Shell:
    """The shared options of one call, and where it prints.

    Attributes:
        config: The config file's path, as given.
        json: Whether a program reads: then only one JSON document goes to standard output.
        verbose: How many ``-v`` were given.
    """

    config: Path = Path("config.ini")
    json: bool = False
    verbose: int = 0

    @property
    def out(self) -> Console:
        """Where results for people go: standard output, or nowhere when a program reads it."""
        return _wide_enough(_PlainConsole(quiet=self.json, highlight=False))

    @property
    def err(self) -> Console:
        """Where progress, warnings and errors go: standard error."""
        return _standard_error()

    def print_json(self, document: Any) -> None:
        """Print the one JSON document of a ``--json`` call, Persian text as it is."""
        sys.stdout.write(json_lines(json.dumps(_cleaned(document), ensure_ascii=False, indent=2)) + "\n")

    def print_json_line(self, document: Any) -> None:
        """Print one event of many as one line, at once."""
        sys.stdout.write(json_line(json.dumps(_cleaned(document), ensure_ascii=False)) + "\n")
        sys.stdout.flush()


class _PlainConsole(Console):
    """A console on which no text can do more than be read, and none has a secret in it.

    Brokers' words, and rows that somebody changed, reach tables and errors; `rich` would let through the sequences in
    them by which a terminal is told to do things, and the marks that turn its writing direction.
    """

    def render_str(self, text: str, **options: Any) -> Text:
        """Make of a text what is printed; every text comes by here, a table's cells among them."""
        return super().render_str(lines(redact(text)), **options)


def _cleaned(value: Any) -> Any:
    """A document without secrets in its texts. Numbers stay, also those that are written as texts: they are ids."""
    if isinstance(value, str):
        return value if value.isdecimal() else redact(value)
    if isinstance(value, dict):
        return {key: _cleaned(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(each) for each in value]
    return value


@functools.cache
def _standard_error() -> Console:
    """One for the process: what is printed while something is drawn has to go above the drawing."""
    return _wide_enough(_PlainConsole(stderr=True, highlight=False))


def _wide_enough(console: Console) -> Console:
    """Where nobody sees the edge of a terminal, as in a file, tables are not folded to fit one."""
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = max(console.width, _FILE_WIDTH)
    return console


def foreign(text: str) -> str:
    """What somebody else may have written, such as a broker's words: no markup, and no line of its own."""
    return escape(one_line(text))


def shared_options(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command ``-c/--config``, ``--json`` and ``-v``, whether they stand before or after its name.

    The command gets them as its first argument, a `Shell`.
    """

    @click.option(
        "-c",
        "--config",
        "config_path",
        type=Path,
        metavar="FILE",
        default=None,
        help="The config file. [default: FIRSTBELL_CONFIG, or config.ini]",
    )
    @click.option("--json", "as_json", is_flag=True, help="Print JSON for programs, and nothing else.")
    @click.option("-v", "--verbose", count=True, help="Say more; twice for everything.")
    @click.pass_context
    @functools.wraps(command)
    def wrapped(
        context: click.Context, /, *args: Any, config_path: Path | None, as_json: bool, verbose: int, **kwargs: Any
    ) -> R:
        shell = context.find_object(Shell) or Shell()
        shell = replace(
            shell,
            config=config_path or shell.config,
            json=as_json or shell.json,
            verbose=verbose or shell.verbose,
        )
        context.obj = shell
        return status_of(context.invoke(command, shell, *args, **kwargs), context.command_path)  # type: ignore[no-any-return]

    return wrapped
