"""docs/alerts.md says what is: its messenger works, its tables are whole."""

from __future__ import annotations

import re
from pathlib import Path

from firstbell.alerts.base import Heard, Message, Messenger
from firstbell.alerts.commands import Commands
from firstbell.alerts.dispatcher import CALL_S, CAPACITY, MOST_TRIES, Dispatcher
from firstbell.config.alert_settings import AlertKind, TelegramSettings
from firstbell.config.mistakes import keys_of

HEARD = Heard(1, ours=True)
PAGE = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text(encoding="utf-8")


def rows(head: str) -> list[str]:
    """The first cells of the table under a heading, without their quotes."""
    section = PAGE.partition(f"## {head}\n")[2].partition("\n## ")[0]
    return [name for cell in re.findall(r"(?m)^\| (`.*?) \|", section) for name in re.findall(r"`(.+?)`", cell)]


def test_its_messenger_works_as_it_stands_there(tmp_path):
    code = re.search(r"(?s)```python\n(.*?)```", PAGE)[1]
    room = {}
    exec(compile(code, "docs/alerts.md", "exec", dont_inherit=True), room)  # noqa: S102 - our own page
    notebook: Messenger = room["Notebook"](tmp_path / "notes")
    dispatcher = Dispatcher(notebook, gather_s=0)
    dispatcher.start()
    dispatcher.post(Message("Halted", ("by me\u202e", "token: abc-123-def")))
    assert dispatcher.close(5)
    assert (tmp_path / "notes").read_text(encoding="utf-8") == "Halted\nby me\\u202e\ntoken: ***\n"


def test_its_tables_name_every_event_key_and_command():
    assert rows("What is told") == list(AlertKind)
    assert rows("Set up") == keys_of(TelegramSettings)
    listed = {each.split()[0] for each in rows("What the chat may ask for") if each.startswith("/")}
    told = "".join(Commands(None, "x").carry_out("help", "", HEARD).lines)
    assert listed == {*re.findall(r"/[a-z]+", told), "/help"}


def test_its_numbers_are_those_of_the_code():
    assert f"Beyond {CAPACITY:,} waiting ones" in PAGE
    assert f"a call takes {CALL_S:.0f} s at most" in PAGE
    assert MOST_TRIES == 8
