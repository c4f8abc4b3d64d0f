from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from firstbell.log import secrets

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FOUR = """
[Order_Account1_Shahr]
username = 0012345678
password = pl4nted
broker_code = shahr
isin = IRO1MHRN0001
"""


@pytest.fixture(autouse=True)
def _own_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TELEGRAM_BOT_TOKEN", raising=False)
    monkeypatch.delenv("TELEGRAM_CHAT_ID", raising=False)
    monkeypatch.setattr(secrets, "_memory", secrets.Memory())


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a config that only its owner can read."""

    def write(text: str, name: str = "config.ini") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        return path

    return write
