from __future__ import annotations

import json
import os
import stat
import sys
from typing import TYPE_CHECKING, Any

import pytest

from firstbell_process import run_firstbell

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

ACCOUNTS = """
[Order_Account1_Shahr]
username = user-1
password = pl4nted-1
broker_code = shahr
isin = IRO1MHRN0001
[Order_Seller]
username = فروشنده
password = env:FB_TEST_PASSWORD
broker_code = gs
isin = IRO1FOLD0001
order_side = Sell
price = 5,860
quantity = 1000
max_value = 9000000
orders = all
[Order_Later]
username = user-3
password = env:FB_TEST_UNSET
broker_code = paper
isin = FOLD
enabled = no
[firstbell]
[broker.shahr]
api_url = http://127.0.0.1:8001
min_interval_ms = 400
[risk]
max_order_value = 1,000,000
"""


def firstbell(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("FIRSTBELL", "TELEGRAM"))}
    clean |= {"PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "120", **environment}
    return run_firstbell(arguments, cwd=cwd, env=clean)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.ini"
    path.write_text(ACCOUNTS, encoding="utf-8")
    path.chmod(0o600)
    return path


def checked(config: Path, *arguments: str) -> dict[str, Any]:
    done = firstbell(*arguments, cwd=config.parent, FB_TEST_PASSWORD="pl4nted-3")
    assert done.returncode == 0, done.stderr
    assert "pl4nted" not in done.stdout + done.stderr
    document = json.loads(done.stdout)
    assert isinstance(document, dict)
    return document


def test_init_then_check(tmp_path: Path) -> None:
    done = firstbell("init", cwd=tmp_path)
    path = tmp_path / "config.ini"
    assert (done.returncode, done.stderr) == (0, "")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert done.stdout == "Wrote config.ini. Fill in your account, then run: firstbell check\n"

    done = firstbell("check", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "[Order_Account1_Shahr] username: still the example's placeholder" in done.stderr

    path.write_text(path.read_text().replace("YOUR_", "my"))
    done = firstbell("check", cwd=tmp_path)
    assert done.returncode == 0
    for words in ("Order_Account1_Shahr", "shahr, Bank Shahr brokerage", "user myUSERNAME", "top of the band"):
        assert words in done.stdout
    # Nothing but the config has been written.
    assert list(tmp_path.iterdir()) == [path]


def test_init_never_overwrites(tmp_path: Path) -> None:
    (tmp_path / "config.ini").write_text("mine")
    (tmp_path / "link.ini").symlink_to(tmp_path / "elsewhere.ini")
    for name in ("config.ini", "link.ini", "none/config.ini"):
        done = firstbell("init", "-c", name, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"{name}: ")
        assert len(done.stderr.splitlines()) == 1
    assert (tmp_path / "config.ini").read_text() == "mine"
    assert not (tmp_path / "elsewhere.ini").exists()


def test_init_for_programs(tmp_path: Path) -> None:
    done = firstbell("--json", "init", "-c", "other.ini", cwd=tmp_path)
    assert json.loads(done.stdout) == {"config": str(tmp_path / "other.ini")}


def test_check_says_what_would_be_done(config: Path) -> None:
    done = firstbell("check", cwd=config.parent, FB_TEST_PASSWORD="pl4nted-3")
    assert done.returncode == 0, done.stderr
    said = done.stdout
    for words in (
        "sell IRO1FOLD0001",
        "user فروشنده",
        "price: 5,860",
        "quantity: 1,000",
        "at most 9,000,000 rials",
        "password from env:FB_TEST_PASSWORD",
        "(disabled)",
        "2 would send orders, 1 disabled",
        "08:45:00+03:30 at XTEH",
        "SQLite",
        "max_order_value 1,000,000",
        "[broker.shahr] api_url = http://127.0.0.1:8001",
        str(config.parent / ".firstbell"),
    ):
        assert words in said
    # Others may follow, when the calendar's known days come to their end.
    assert done.stderr.startswith("Warning: order_side (Order_Seller): an older name; write side instead\n")
    assert "pl4nted" not in said
    assert list(config.parent.iterdir()) == [config]


def test_check_for_programs(config: Path) -> None:
    document = checked(config, "check", "--json")
    assert document["bell"].startswith(document["trading_day"])
    assert document["bell"].endswith("T08:45:00.000+03:30")
    assert document["warnings"][0].startswith("order_side")
    assert document["overrides"] == {"shahr": {"api_url": "http://127.0.0.1:8001", "min_interval_ms": "400"}}
    assert document["limits"] == {"max_order_value": 1_000_000, "max_attempts_per_order": 100}
    assert (document["journal"], document["captcha"]) == ("sqlite", "prompt")
    assert [account["enabled"] for account in document["accounts"]] == [True, True, False]
    assert document["accounts"][1] == {
        "account": "Order_Seller",
        "enabled": True,
        "broker_code": "gs",
        "broker": "Ganjineh Sepehr",
        "username": "فروشنده",
        "password_from": "env:FB_TEST_PASSWORD",
        "instrument": "IRO1FOLD0001",
        "side": "sell",
        "price": 5860,
        "price_rule": "5,860",
        "quantity": 1000,
        "quantity_rule": "1,000",
        "max_value": 9_000_000,
        "orders": "all",
    }


def test_the_config_may_be_named_anywhere(config: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    surroundings = {"cwd": elsewhere, "FB_TEST_PASSWORD": "pl4nted-3"}
    before = firstbell("-c", str(config), "check", "--json", **surroundings)
    after = firstbell("--json", "check", "-c", str(config), **surroundings)
    named = firstbell("check", "--json", FIRSTBELL_CONFIG=str(config), **surroundings)
    assert before.returncode == 0, before.stderr
    assert before.stdout == after.stdout == named.stdout
    assert json.loads(before.stdout)["state_dir"] == str(tmp_path / ".firstbell")


@pytest.mark.parametrize(
    ("order_time", "said"),
    [
        ("08:30:00", "order_time is 08:30:00, but XTEH takes orders from 08:45:00: no orders are taken then"),
        ("09:00", "order_time is 09:00:00, but XTEH takes orders from 08:45:00: that is later"),
    ],
)
def test_another_time_than_the_bell_is_warned_of(config: Path, order_time: str, said: str) -> None:
    config.write_text(config.read_text().replace("[firstbell]", f"[firstbell]\norder_time = {order_time}"))
    assert said in checked(config, "check", "--json")["warnings"]


def test_a_config_that_cannot_be_used(config: Path) -> None:
    config.write_text(config.read_text().replace("= shahr", "= shar").replace("5,860", "5.8"))
    done = firstbell("check", "--json", cwd=config.parent, FB_TEST_PASSWORD="pl4nted-3")
    assert (done.returncode, done.stdout) == (2, "")
    first, second = done.stderr.splitlines()
    assert first.startswith("config.ini: [Order_Account1_Shahr] broker_code: found 'shar'; did you mean shahr?")
    assert second.startswith("config.ini: [Order_Seller] price: found '5.8'; write a whole number")


def test_a_config_that_others_can_read(config: Path) -> None:
    config.chmod(0o644)
    done = firstbell("check", cwd=config.parent)
    assert done.returncode == 2
    assert "chmod 600 config.ini" in done.stderr


def test_no_config(tmp_path: Path) -> None:
    done = firstbell("check", cwd=tmp_path)
    assert done.returncode == 2
    assert "firstbell -c config.ini init" in done.stderr


@pytest.mark.parametrize("command", ["init", "check"])
def test_help(command: str, tmp_path: Path) -> None:
    done = firstbell(command, "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "--config" in done.stdout


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql://fb:pl4nted-2@127.0.0.1", "[firstbell] journal: write postgresql://user:password@host"),
        ("postgresql://fb:pl4nted-2@127.0.0.1/fb?sslmod=x", "[firstbell] journal: behind the ? stand only sslmode"),
    ],
)
def test_check_refuses_a_journal_that_cannot_be(config: Path, url: str, told: str) -> None:
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("[firstbell]\n", f"[firstbell]\njournal = {url}\n"), encoding="utf-8")
    done = firstbell("check", cwd=config.parent, FB_TEST_PASSWORD="pl4nted-3")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{config}: {told}" in done.stderr
    assert "pl4nted" not in done.stderr


def test_check_says_which_database_keeps_the_journal(config: Path) -> None:
    text = config.read_text(encoding="utf-8")
    url = "journal = postgresql://fb:pl4nted-2@db.example/fb"
    config.write_text(text.replace("[firstbell]\n", f"[firstbell]\n{url}\n"), encoding="utf-8")
    done = firstbell("check", cwd=config.parent, FB_TEST_PASSWORD="pl4nted-3")
    assert done.returncode == 0
    assert "Journal   PostgreSQL: fb at db.example:5432 (sslmode verify-full)" in done.stdout
    assert "pl4nted" not in done.stdout + done.stderr


def test_a_folder_in_the_default_configs_place_hinders_nobody_who_names_another(config: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "config.ini").mkdir(parents=True)
    done = firstbell("check", "-c", str(config), cwd=elsewhere, FB_TEST_PASSWORD="pl4nted-3")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("old", "bad"), [("order_side", "1"), ("order_price", "0"), ("order_volume", "x")])
def test_a_mistake_under_an_older_key_is_told_under_that_key(tmp_path: Path, old: str, bad: str) -> None:
    path = tmp_path / "config.ini"
    fields = "username = u\npassword = p\nbroker_code = gs\nisin = IRO1MHRN0001"
    path.write_text(f"[Order_A]\n{fields}\n{old} = {bad}\n", encoding="utf-8")
    path.chmod(0o600)
    done = firstbell("check", cwd=tmp_path)
    assert done.returncode == 2
    assert f"[Order_A] {old}: found '{bad}'" in done.stderr
