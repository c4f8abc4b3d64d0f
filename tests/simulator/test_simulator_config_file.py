"""The config that a practice exchange writes: complete, private, and never over another file."""

from __future__ import annotations

import stat
from dataclasses import replace
from datetime import time
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from firstbell.config import load
from firstbell.errors import SimulatorError
from firstbell.model.identifiers import BrokerCode, InstrumentId
from firstbell.model.terms import Side
from firstbell.simulator.ephoenix.config_file import config_text, write_config
from firstbell.simulator.roster import Investor

if TYPE_CHECKING:
    from pathlib import Path

GS = BrokerCode("gs")
MHRN, BORS = InstrumentId("IRO1MHRN0001"), InstrumentId("IRO1BORS0001")
ADDRESS = "http://127.0.0.1:5000"


def text_for(*investors: Investor) -> str:
    return config_text(investors, {GS: ADDRESS}, ADDRESS, time(8, 45, 7), wanted=MHRN)


def investor(password: str, wanted: InstrumentId | None = None, username: str = "ali") -> Investor:
    return Investor(username, password, GS, Decimal(0), {}, wanted)


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    file = tmp_path / "practice.ini"
    password = "p%;#='\"[رمز]"
    write_config(file, text_for(investor(password), investor("other", BORS, "zahra")))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    settings = load(file)
    assert [account.password.get_secret_value() for account in settings.enabled] == [password, "other"]
    assert [account.isin for account in settings.enabled] == [MHRN, BORS]
    assert settings.firstbell.order_time == time(8, 45, 7)
    assert settings.firstbell.state_dir.name == ".firstbell-practice"
    assert settings.broker(GS).api_url == ADDRESS


def test_who_sells_is_written_so(tmp_path: Path) -> None:
    file = tmp_path / "practice.ini"
    sells = replace(investor("a", BORS), side=Side.SELL)
    write_config(file, text_for(sells, investor("b", BORS, "zahra")))
    assert [(account.side, account.isin) for account in load(file).enabled] == [(Side.SELL, BORS), (Side.BUY, BORS)]


@pytest.mark.parametrize("password", [" qwx", "qwx ", "q\nqwx", "q\rqwx", "env:qwx", "file:/qwx", "keyring:a/qwx"])
def test_a_password_that_would_be_read_as_another_is_refused(password: str) -> None:
    with pytest.raises(SimulatorError, match="cannot stand in a config") as caught:
        text_for(investor(password))
    assert "qwx" not in str(caught.value)


def test_no_file_is_ever_written_over(tmp_path: Path) -> None:
    file, link = tmp_path / "mine", tmp_path / "link"
    file.write_text("mine")
    link.symlink_to(tmp_path / "elsewhere")
    for path in (file, link):
        with pytest.raises(SimulatorError, match="there already"):
            write_config(path, "new")
    assert file.read_text() == "mine"
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SimulatorError, match="cannot be written"):
        write_config(tmp_path / "none" / "config.ini", "text")
