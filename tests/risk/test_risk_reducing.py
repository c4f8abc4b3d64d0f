"""Trading that only reduces: written down beside a halt, in the same way, and ended with it."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from firstbell.cli.main import cli
from firstbell.risk.trading_state import Halt, HaltFile, TradingState, in_force, trading_state
from firstbell.sniper.context import RunContext

AT = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
HALT = Halt(AT, "reza", "wrong price")
LESSER = Halt(AT, "the limit on losses", "max_daily_loss: 6,000, allowed 5,000", TradingState.REDUCING)
CONFIG = """
[Order_A]
username = a
password = pl4nted
broker_code = gs
isin = IRO1FOLD0001
[firstbell]
state_dir = state
"""


def reducing(folder):
    return HaltFile.of(folder, TradingState.REDUCING)


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.ini"
    path.write_text(CONFIG, encoding="utf-8")
    path.chmod(0o600)
    return path


def test_without_a_file_everything_may_leave(tmp_path):
    assert trading_state(tmp_path) is TradingState.ACTIVE
    assert in_force(tmp_path) is None


def test_it_survives_with_its_words_and_is_its_owners_alone(tmp_path):
    reducing(tmp_path).write(LESSER)
    assert trading_state(tmp_path) is TradingState.REDUCING
    assert in_force(tmp_path) == LESSER
    assert str(in_force(tmp_path)) == (
        "reducing since 2026-11-21 12:00:00+03:30 by the limit on losses (max_daily_loss: 6,000, allowed 5,000)"
    )
    assert [(each.name, stat.S_IMODE(each.stat().st_mode)) for each in tmp_path.iterdir()] == [("reducing.json", 0o600)]
    assert HaltFile.of(tmp_path).read() is None


def test_a_halt_goes_before_it(tmp_path):
    reducing(tmp_path).write(LESSER)
    HaltFile.of(tmp_path).write(HALT)
    assert trading_state(tmp_path) is TradingState.HALTED
    assert in_force(tmp_path) == HALT
    HaltFile.of(tmp_path).remove()
    assert trading_state(tmp_path) is TradingState.REDUCING


@pytest.mark.parametrize("text", ["", "{", '{"since": 1}'])
def test_what_cannot_be_read_still_reduces(tmp_path, text):
    reducing(tmp_path).path.write_text(text)
    assert trading_state(tmp_path) is TradingState.REDUCING
    assert str(in_force(tmp_path)).startswith("reducing by nobody we know (")


def test_a_link_in_its_place_still_reduces(tmp_path):
    reducing(tmp_path).path.symlink_to(tmp_path / "nowhere")
    assert trading_state(tmp_path) is TradingState.REDUCING
    assert in_force(tmp_path).state is TradingState.REDUCING


@pytest.mark.parametrize("states", [(TradingState.REDUCING,), (TradingState.HALTED, TradingState.REDUCING)])
def test_resume_ends_both(config, states):
    state_dir = config.parent / "state"
    for state in states:
        HaltFile.of(state_dir, state).write(HALT)
    done = CliRunner().invoke(cli, ["-c", str(config), "--json", "resume"])
    assert done.exit_code == 0
    word = "halted" if TradingState.HALTED in states else "reducing"
    assert json.loads(done.stdout)["was"] == f"{word} since 2026-11-21 12:00:00+03:30 by reza (wrong price)"
    assert trading_state(state_dir) is TradingState.ACTIVE
    assert CliRunner().invoke(cli, ["-c", str(config), "resume"]).stdout == "Trading was not halted.\n"


def test_check_says_that_trading_only_reduces(config):
    reducing(config.parent / "state").write(LESSER)
    done = CliRunner().invoke(cli, ["-c", str(config), "--json", "check"])
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["warnings"] == [f"trading is {LESSER}; `firstbell resume` ends that"]


def test_a_run_of_the_sniper_sees_it(tmp_path):
    settings = SimpleNamespace(firstbell=SimpleNamespace(state_dir=tmp_path))
    run = SimpleNamespace(interrupt=SimpleNamespace(is_halt=False), settings=settings)
    assert RunContext.state(run) is TradingState.ACTIVE
    reducing(tmp_path).write(LESSER)
    assert RunContext.state(run) is TradingState.REDUCING
    run.interrupt.is_halt = True
    assert RunContext.state(run) is TradingState.HALTED
