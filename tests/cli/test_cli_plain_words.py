"""What brokers and damaged files say reaches a terminal as letters, and never as orders to it."""

from __future__ import annotations

import io
import json
import unicodedata

import pytest
from rich.table import Table

from firstbell.cli import main as command_line
from firstbell.cli.shell import Shell
from firstbell.errors import RunError
from firstbell.log import json_lines, lines

EVIL = "no \x1b]0;owned\x07\x1b[2J \x9b31m \u202egnol\u2066 \u2028 \x00 \ud83d قیمت"


def is_plain(text):
    return not any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for c in text.replace("\n", ""))


def test_tables_and_words_are_escaped(capsys):
    console = Shell().out
    table = Table(title=f"[bold]{EVIL}[/]")
    table.add_column("words")
    table.add_row(f"{EVIL}\nsecond line")
    console.print(table)
    console.print(f"[red]{EVIL}[/]", soft_wrap=True)
    Shell().err.print(EVIL)
    told = capsys.readouterr()
    assert is_plain(told.out)
    assert is_plain(told.err)
    assert "قیمت" in told.out
    assert "\\x1b]0;owned\\x07" in told.out
    assert "second line" in told.out
    assert "[red]" not in told.out


def test_a_document_is_one_for_programs_and_harmless_to_people(capsys):
    Shell(json=True).print_json({"reason": EVIL, "rows": [1]})
    told = capsys.readouterr().out
    assert is_plain(told)
    assert len(told.splitlines()) > 3
    assert json.loads(told) == {"reason": EVIL, "rows": [1]}


def test_an_error_is_escaped_line_by_line(monkeypatch):
    def fail(**_):
        raise RunError(f"{EVIL}\nsecond line")

    said = io.StringIO()
    monkeypatch.setattr("sys.stderr", said)
    monkeypatch.setattr(command_line.cli, "main", fail)
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    assert ended.value.code == 2
    assert is_plain(said.getvalue())
    assert said.getvalue().splitlines()[1] == "second line"


def test_lines_stay_lines():
    assert lines("a\nb\tc") == "a\nb\\tc"
    assert json_lines('{\n "a": "\u202e"\n}') == '{\n "a": "\\u202e"\n}'
