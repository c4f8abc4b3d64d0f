"""The real command on a paper account: no exchange, no network, no password that matters."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from e2e_venue import environment

from firstbell_process import run_firstbell

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

CONFIG = """
[Order_Buy]
username = me
password = anything
broker_code = paper
isin = IRO1MHRN0001

[Order_Sell]
username = me
password = anything
broker_code = paper
isin = IRO1FOLD0001
side = sell

[paper]
holdings = IRO1FOLD0001: 5000
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.ini"
    path.touch(0o600)
    path.write_text(CONFIG, encoding="utf-8")
    return path


def firstbell(config: Path, *arguments: str) -> subprocess.CompletedProcess:
    return run_firstbell(["-c", config, *arguments], timeout=90, env=environment(), cwd=config.parent)


def test_a_run_trades_on_paper_once(config):
    ready = firstbell(config, "preflight", "--json")
    assert ready.returncode == 0, ready.stderr
    assert json.loads(ready.stdout)["go"]
    run = firstbell(config, "run", "--at", "now", "--json")
    assert run.returncode == 0, run.stderr
    rows = json.loads(run.stdout)["orders"]
    assert [(row["outcome"], row["price"], row["quantity"]) for row in rows] == [
        ("accepted", 5860, 170_017),
        ("accepted", 4724, 5000),
    ]
    assert all(len(row["attempts"]) == 1 for row in rows)
    again = firstbell(config, "run", "--at", "now", "--json")
    later = json.loads(again.stdout)["orders"]
    assert [row["venue_order_id"] for row in later] == [row["venue_order_id"] for row in rows]
    assert (config.parent / ".firstbell" / "paper.db").stat().st_mode & 0o777 == 0o600
