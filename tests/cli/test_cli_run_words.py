"""What ``firstbell run`` says before it begins."""

from __future__ import annotations

import pytest

from firstbell.cli.run import counted
from firstbell.config import load

SECTION = "[Order_{n}]\nusername = {n}\npassword = p\nbroker_code = paper\nisin = {isins}\n"
TWO = "IRO1FOLD0001, IRO1MHRN0001"


@pytest.mark.parametrize(
    ("isins", "said"),
    [
        (["IRO1FOLD0001"], "1 account"),
        (["IRO1FOLD0001", "IRO1FOLD0001"], "2 accounts"),
        ([TWO], "1 account, 2 lines"),
        ([TWO, TWO], "2 accounts, 4 lines"),
    ],
)
def test_accounts_are_sections_and_their_instruments_lines(tmp_path, isins, said):
    path = tmp_path / "config.ini"
    path.write_text("".join(SECTION.format(n=n, isins=each) for n, each in enumerate(isins)))
    path.chmod(0o600)
    assert counted(load(path).enabled) == said
