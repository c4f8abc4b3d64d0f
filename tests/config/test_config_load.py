from __future__ import annotations

import os
import subprocess
import sys
from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from firstbell.config import AccountSettings, BrokerSettings, CaptchaSolverKind, OrdersMode, load
from firstbell.errors import ConfigError
from firstbell.log import redact
from firstbell.model.broker_codes import BROKER_CODES, PLANNED_CODES
from firstbell.model.identifiers import BrokerCode
from firstbell.model.terms import Side

if TYPE_CHECKING:
    from collections.abc import Callable

    Write = Callable[[str], Path]

FOUR = """
[Order_Account1_Shahr]
username = 0012345678
password = pl4nted
broker_code = shahr
isin = IRO1MHRN0001
"""
TODAY = date(2026, 11, 21)


def told(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as error:
        load(path, today=TODAY)
    assert all(line.startswith(f"{path}: ") for line in str(error.value).splitlines())
    return [str(problem) for problem in error.value.problems]


def test_four_fields_make_an_account(written: Write, tmp_path: Path) -> None:
    found = load(written(FOUR))
    (account,) = found.accounts
    assert found.enabled == found.accounts
    assert (account.name, account.username) == ("Order_Account1_Shahr", "0012345678")
    assert account.password.get_secret_value() == "pl4nted"
    assert account.password_from == "the config"
    assert (account.broker_code, account.isin) == ("shahr", "IRO1MHRN0001")
    assert (account.side, account.orders, account.enabled) == (Side.BUY, OrdersMode.ONE, True)
    assert (account.price, account.quantity, account.max_value) == (None, None, None)
    run = found.firstbell
    assert (run.market, run.order_time, run.give_up_after) == ("XTEH", time(8, 45), timedelta(seconds=30))
    assert (run.state_dir, run.results_dir, run.journal) == (tmp_path / ".firstbell", tmp_path / "order_results", None)
    assert found.captcha.solver is CaptchaSolverKind.PROMPT
    assert found.broker(BrokerCode("shahr")) == BrokerSettings()
    assert found.broker(BrokerCode("shahr")).min_interval_ms == 350
    assert load(str(found.file)) == found
    assert found.telegram.bot_token is None
    assert found.risk.max_attempts_per_order == 100
    assert [found.risk.attempts_per_run(accounts) for accounts in (1, 10, 11)] == [500, 500, 550]
    assert found.warnings == ()
    assert found.file == tmp_path / "config.ini"


def test_secrets_are_wrapped_and_remembered(written: Write) -> None:
    found = load(written(FOUR))
    assert "pl4nted" not in repr(found)
    assert "pl4nted" not in str(found.model_dump())
    assert redact("it was pl4nted there") == "it was *** there"


def test_settings_do_not_change(written: Write) -> None:
    found = load(written(FOUR))
    with pytest.raises(ValidationError):
        found.accounts[0].username = "other"  # type: ignore[misc]  # that is the point


def test_every_key(written: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FB_BOT", "110201543:bot")
    (tmp_path / "ca.pem").touch()
    text = f"""\ufeff{FOUR}
side = SELL
price = ۵,۸۶۰
quantity = 1,000
max_value = 10000000
orders = All
enabled = yes
[firstbell]
market = XTEH
order_time = 08:44:59.5
give_up_after = 1m30s
state_dir = ../state
results_dir = /results
journal = postgresql://fb:dbsekret@127.0.0.1/fb
[captcha]
solver = command
command = solve --fast
[broker.gs]
identity_url = http://127.0.0.1:8001
api_url = https://api.example:8443/
market_data_url = http://localhost:8003
backoffice_url = http://[::1]:8004
ca_file = ca.pem
min_interval_ms = 400
lead_ms = 4.5
[telegram]
bot_token = env:FB_BOT
chat_id = -100
api_url = http://127.0.0.1:8005
[risk]
max_order_value = 1
max_order_quantity = 2
max_total_value = 3
max_orders_per_account = 4
max_attempts_per_order = 5
max_attempts_per_run = 6
"""
    found = load(written(text))
    (account,) = found.accounts
    assert (account.side, account.orders) == (Side.SELL, OrdersMode.ALL)
    assert (account.price, account.quantity, account.max_value) == (Decimal(5860), Decimal(1000), Decimal(10_000_000))
    run = found.firstbell
    assert (run.order_time, run.give_up_after) == (time(8, 44, 59, 500_000), timedelta(seconds=90))
    assert (run.state_dir, run.results_dir) == (tmp_path.parent / "state", Path("/results"))
    assert run.journal is not None
    assert run.journal.get_secret_value().startswith("postgresql://")
    assert found.captcha.command == "solve --fast"
    broker = found.broker(BrokerCode("gs"))
    assert (broker.identity_url, broker.api_url) == ("http://127.0.0.1:8001", "https://api.example:8443")
    assert (broker.market_data_url, broker.backoffice_url) == ("http://localhost:8003", "http://[::1]:8004")
    assert (broker.ca_file, broker.min_interval_ms, broker.lead_ms) == (tmp_path / "ca.pem", 400, Decimal("4.5"))
    assert found.telegram.bot_token is not None
    assert (found.telegram.chat_id, found.telegram.api_url) == ("-100", "http://127.0.0.1:8005")
    assert [number for _, number in found.risk] == [1, 2, 3, 4, 5, 6]
    for secret in ("dbsekret", "110201543:bot"):
        assert redact(secret) == "***"
        assert secret not in repr(found)


PASSWORDS = (
    st.text(min_size=1)
    .map(lambda text: text.strip(" \t"))
    .filter(
        lambda text: (
            text
            and not any(ord(char) < 32 or 0x7F <= ord(char) < 0xA0 or 0xD800 <= ord(char) < 0xE000 for char in text)
            and not text.startswith(("env:", "file:", "keyring:", "YOUR_"))
        )
    )
)


@given(PASSWORDS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_password_may_hold_any_character(written: Write, password: str) -> None:
    (account,) = load(written(FOUR.replace("pl4nted", password))).accounts
    assert account.password.get_secret_value() == password


@pytest.mark.parametrize(
    "password", ["%", "%(x)s", "a;b # c", "#x", ";x", "=x=", '"q"', "'", "گذرواژه", "[x]", "\\n", "a  b", "\u00a0x"]
)
def test_strange_passwords(written: Write, password: str) -> None:
    (account,) = load(written(FOUR.replace("pl4nted", password))).accounts
    assert account.password.get_secret_value() == password


def test_secrets_elsewhere(written: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FB_PW", "  spaces ")
    (found,) = load(written(FOUR.replace("pl4nted", "env:FB_PW"))).accounts
    assert (found.password.get_secret_value(), found.password_from) == ("  spaces ", "env:FB_PW")
    (tmp_path / "pw").write_text(" x \n")
    (tmp_path / "pw").chmod(0o600)
    (found,) = load(written(FOUR.replace("pl4nted", "file:pw"))).accounts
    assert (found.password.get_secret_value(), found.password_from) == (" x ", "file:pw")


def test_a_disabled_accounts_secret_is_left_where_it_is(written: Write) -> None:
    text = FOUR + FOUR.replace("Account1", "Account2").replace("pl4nted", "env:FB_UNSET") + "enabled = no\n"
    found = load(written(text))
    assert [account.name for account in found.enabled] == ["Order_Account1_Shahr"]
    assert found.accounts[1].password_from == "env:FB_UNSET"


CHANGES = [
    ("isin = IRO1MHRN0001", "", "[Order_Account1_Shahr] isin: is missing: What to trade"),
    ("password = pl4nted", "password =", "[Order_Account1_Shahr] password - is empty"),
    ("username = 0012345678", "", "username: is missing"),
    ("username = 0012345678", "username = YOUR_USERNAME", "username: still the example's placeholder"),
    ("pl4nted", "env:FB_UNSET", "password - the environment variable FB_UNSET is not set"),
    ("pl4nted", "file:none", "password - "),
    ("= shahr", "= shar", "broker_code: found 'shar'; did you mean shahr?"),
    ("IRO1MHRN0001", "iro1mhrn0001", "isin: found 'iro1mhrn0001'; write an ISIN"),
    ("IRO1MHRN0001", "\u200fIRO1MHRN0001", "isin: found '\\u200fIRO1MHRN0001'; write an ISIN"),
    ("IRO1MHRN0001", "IRO1MHRN00011", "write an ISIN"),
    ("[Order_Account1_Shahr]", "[Order_1-A]", "[Order_1-A]: an account's section is Order_"),
    ("[Order_Account1_Shahr]", "[order_1]", "[order_1]: an account's section is Order_"),
    ("[Order_Account1_Shahr]", "[Ordre_1]", "[Ordre_1]: no such section; did you mean [Order_NAME]?"),
    (FOUR, "", "no account; a section [Order_NAME]"),
]
ADDITIONS = [
    ("enabled = no", "every account is disabled"),
    ("enabled = maybe", "enabled: found 'maybe'; write yes or no"),
    ("side = hold", "side: found 'hold'; write buy or sell"),
    ("side =", "side: is empty; write a value, or delete the line"),
    ("orders = two", "orders: found 'two'; write one or all"),
    ("price = 5.8", "price: found '5.8'; write a whole number"),
    ("quantity = 0", "quantity: found '0'; write a whole number"),
    ("max_value = -1", "max_value: found '-1'; write a whole number"),
    ("prise = 1", "prise: no such key; did you mean price?"),
    ("zzzz = pl4nted", "zzzz: no such key; the keys here are username, password,"),
    ("pl4n ted! = 1", "line 7: no such key; a key is letters, digits and _"),
    ("price = 1\nprice = 2", "price: found it on lines 7 and 8; keep one of them"),
    ("name = x", "name: no such key"),
    ("order_type = Market", "order_type: found 'Market'; only limit orders are sent"),
    ("order_validity = GTC", "order_validity: found 'GTC'; orders are for one day only"),
    (
        "order_validity_date = 1405/09/01",
        "order_validity_date: found '1405/09/01'; delete it: orders are for one day only",
    ),
    ("order_validity_date = 2026-11-22", "order_validity_date: found '2026-11-22'; delete it"),
    ("order_validity_date = soon", "order_validity_date: found 'soon'; delete it"),
    ("order_validity_date = 1403/13/01", "order_validity_date: found '1403/13/01'; delete it"),
    ("disclosure = true", "disclosure: found 'true'; orders always show"),
    (
        "order_side = Sell\nside = buy",
        "order_side: found it beside side on line 8; order_side is the older name of side",
    ),
    ("order_price = abc", "price: found 'abc'; write a whole number"),
    ("[frstbell]", "[frstbell]: no such section; did you mean [firstbell]?"),
    ("[DEFAULT]", "[DEFAULT]: no such section; the sections are [firstbell]"),
    ("[broker.shar]", "[broker.shar]: no such broker; did you mean [broker.shahr]?"),
    ("[broker]", "[broker]: no such section; did you mean [broker.CODE]?"),
    ("[firstbell]\nmarket = NYSE", "[firstbell] market: found 'NYSE'; write XTEH"),
    ("[firstbell]\nmarket =", "[firstbell] market: is empty"),
    ("[firstbell]\norder_time = 8:45", "order_time: found '8:45'; write a time"),
    ("[firstbell]\ngive_up_after = 30", "give_up_after: found '30'; write a length of time"),
    ("[firstbell]\njournal = mysql://u:pl4nted@h/d", "[firstbell] journal: write postgresql://"),
    ("[firstbell]\njournal = env:FB_UNSET", "[firstbell] journal: the environment variable FB_UNSET"),
    ("[captcha]\nsolver = magic", "solver: found 'magic'; write prompt, command or url"),
    ("[captcha]\nsolver = command", "[captcha]: solver = command needs a command"),
    ("[captcha]\nsolver = url", "[captcha]: solver = url needs a url"),
    ("[captcha]\nsolver = url\nurl = http://h.example/pl4nted", "[captcha] url: write https://"),
    ("[broker.gs]\nmin_interval_ms = 299", "min_interval_ms: found '299'; the broker itself allows no less than 300"),
    (
        "[broker.gs]\nmin_interval_ms = 60001",
        "min_interval_ms: found '60001'; write a number of milliseconds up to 60000",
    ),
    ("[broker.gs]\nlead_ms = soon", "lead_ms: found 'soon'; write a number of milliseconds"),
    ("[broker.gs]\nca_file = none.pem", "ca_file: found 'none.pem'; there is no file"),
    (f"[broker.gs]\nca_file = {'long' * 100}.pem", "the file cannot be looked at: File name too long"),
    ("[broker.gs]\napi_url = http://h.example", "api_url: found 'http://h.example'; write https://"),
    ("[broker.gs]\napi_url = https://u:pl4nted@h.example", "[broker.gs] api_url: write the server's address alone"),
    (
        "[broker.gs]\napi_url = https://h.example/?token=pl4nted",
        "[broker.gs] api_url: write the server's address alone",
    ),
    ("[telegram]\nbot_token = env:FB_UNSET", "[telegram] bot_token - the environment variable FB_UNSET"),
    ("[telegram]\nbot_token = pl4nted b", "[telegram] bot_token - is no bot's token; write it as BotFather gives it"),
    ("[telegram]\nbot_token = 110201543:pl4n ted", "[telegram] bot_token - is no bot's token"),
    ("[telegram]\nchat_id = pl4nted def", "[telegram] chat_id: write the chat's id, a whole number such as"),
    ("[telegram]\nchat_id = 12 34", "[telegram] chat_id: write the chat's id"),
    ("[telegram]\nchat_id = @", "[telegram] chat_id: write the chat's id"),
    ("[risk]\nmax_orders_per_account = 0", "max_orders_per_account: found '0'; write a whole number"),
]


@pytest.mark.parametrize(("old", "new", "said"), CHANGES, ids=lambda value: str(value)[:30])
def test_a_mistake_is_told_once_and_clearly(written: Write, old: str, new: str, said: str) -> None:
    problems = told(written(FOUR.replace(old, new)))
    assert said in problems[0]
    assert len(problems) <= 2
    assert "pl4nted" not in "".join(problems)


@pytest.mark.parametrize(("added", "said"), ADDITIONS)
def test_an_added_mistake_is_told_once_and_clearly(written: Write, added: str, said: str) -> None:
    (problem,) = told(written(f"{FOUR}{added}\n"))
    assert said in problem
    assert "pl4n" not in problem


def test_all_mistakes_are_told_at_once_in_the_files_order(written: Write) -> None:
    several = "orders = two\nprice = 5.8\nquantity = 0\nmax_value = -1\nprise = 1"
    problems = told(written(f"{FOUR}{several}\n[captcha]\nsolver = x\n[firstbell]\nmarket = y\n"))
    assert [problem.split(":")[0].split()[-1] for problem in problems] == [
        "orders",
        "price",
        "quantity",
        "max_value",
        "prise",
        "solver",
        "market",
    ]


def test_the_same_order_twice_names_both(written: Write) -> None:
    (problem,) = told(written(FOUR + FOUR.replace("Account1", "Account2") + "price = 5\n"))
    assert problem.startswith("[Order_Account2_Shahr]: is the same order as [Order_Account1_Shahr]")
    twice = FOUR + FOUR.replace("Account1", "Account2")
    assert len(load(written(f"{twice}side = sell\n")).enabled) == 2
    assert len(load(written(f"{twice}enabled = no\n")).enabled) == 1
    assert len(load(written(FOUR + FOUR.replace("Account1", "A2").replace("MHRN", "FOLD"))).enabled) == 2
    (problem,) = told(written(FOUR + FOUR.replace("Account1", "A2").replace("0012345678", "۰۰۱۲۳۴۵۶۷۸")))
    assert "same order" in problem


def test_one_login_has_one_password(written: Write) -> None:
    other = FOUR.replace("Account1", "A2").replace("MHRN", "FOLD").replace("pl4nted", "0ther-sekret")
    (problem,) = told(written(FOUR + other))
    assert problem.startswith("[Order_A2_Shahr] password - differs from the password of [Order_Account1_Shahr]")
    assert "sekret" not in problem


def test_names_that_differ_in_case_only(written: Write) -> None:
    (problem,) = told(written(FOUR + FOUR.replace("Account1", "ACCOUNT1").replace("MHRN", "FOLD")))
    assert "differs from [Order_Account1_Shahr] in case only" in problem


@pytest.mark.parametrize("code", BROKER_CODES)
def test_every_code_is_taken_or_said_to_come(written: Write, code: BrokerCode) -> None:
    path = written(FOUR.replace("= shahr", f"= {code}"))
    if code in PLANNED_CODES:
        (problem,) = told(path)
        assert "not there yet" in problem
    else:
        assert load(path).accounts[0].broker_code == code


OLD = """
[Order_Account1_Shahr]
username = u
password = pl4nted
broker_code = shahr
isin = IRO1MHRN0001
order_url = /order/pl4nted
order_side = Sell
order_type = Limit
order_price = 5860
order_volume = 100000
order_validity = Day
order_validity_date = 1403/08/16
disclosure = false
"""


def test_the_brokers_own_interval_is_the_shortest(written: Write) -> None:
    found = load(written(f"{FOUR}[broker.gs]\nmin_interval_ms = 300\n[broker.paper]\nmin_interval_ms = 1\n"))
    assert [found.broker(BrokerCode(code)).min_interval_ms for code in ("gs", "paper", "bbi")] == [300, 1, 350]


def test_the_older_form_is_read_and_each_old_key_warns_once(written: Write) -> None:
    text = OLD + OLD.replace("Account1", "Account2").replace("MHRN", "FOLD")
    found = load(written(text), today=TODAY)
    account = found.accounts[0]
    assert (account.side, account.price, account.quantity) == (Side.SELL, Decimal(5860), Decimal(100_000))
    both = "(Order_Account1_Shahr, Order_Account2_Shahr)"
    assert sorted(found.warnings) == sorted(
        [
            f"order_side {both}: an older name; write side instead",
            f"order_price {both}: an older name; write price instead",
            f"order_volume {both}: an older name; write quantity instead",
            *(
                f"{key} {both}: has no successor and is ignored; delete it"
                for key in ("order_type", "order_validity", "order_validity_date", "order_url", "disclosure")
            ),
        ]
    )


@pytest.mark.parametrize(
    "day", ["1405/08/30", "1405-08-30", "۱۴۰۵/۰۸/۳۰", "2026/11/21", "2026-11-21", "2025-01-01", ""]
)
def test_today_and_the_past_are_ignored(written: Write, day: str) -> None:
    found = load(written(f"{FOUR}order_validity_date = {day}\n"), today=TODAY)
    assert len(found.warnings) == 1


def test_telegram_from_the_environment(written: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(f"{FOUR}[telegram]\nbot_token = env:TELEGRAM_BOT_TOKEN\n")
    assert load(path).telegram.bot_token is None
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", "1:sekret")
    assert "chat_id" in "".join(load(path).warnings)
    monkeypatch.setenv("TELEGRAM_CHAT_ID", "42")
    for config in (path, written(FOUR)):
        found = load(config).telegram
        assert found.bot_token is not None
        assert (found.bot_token.get_secret_value(), found.chat_id) == ("1:sekret", "42")
    assert redact("1:sekret") == "***"
    monkeypatch.delenv("TELEGRAM_BOT_TOKEN")
    assert "bot_token" in "".join(load(path).warnings)


def test_a_telegram_chat_may_have_a_name_and_persian_digits(written: Write) -> None:
    for chat, read in (("@firstbell_alerts", "@firstbell_alerts"), ("-۱۰۰", "-100"), ("42", "42")):
        assert load(written(f"{FOUR}[telegram]\nchat_id = {chat}\n")).telegram.chat_id == read


def test_what_the_environment_says_wrongly_of_telegram_is_warned_of_and_not_used(
    written: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", "sekret bot")
    monkeypatch.setenv("TELEGRAM_CHAT_ID", "abc def")
    found = load(written(FOUR))
    assert (found.telegram.bot_token, found.telegram.chat_id) == (None, None)
    token, chat = found.warnings
    assert token.startswith("the environment variable TELEGRAM_BOT_TOKEN is not used: is no bot's token")
    assert chat.startswith("the environment variable TELEGRAM_CHAT_ID is not used: write the chat's id")
    assert "sekret" not in token
    assert redact("sekret bot") == "***"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("password = pl4nted\n", ""),
        ("password = pl4nted", "password ="),
        ("pl4nted", "YOUR_PASSWORD"),
        ("pl4nted", "env:FB_UNSET"),
        ("pl4nted", "file:none"),
        ("password = pl4nted", "password = a\npassword = b"),
        ("isin = IRO1MHRN0001", "isin = IRO1MHRN0001\n[telegram]\nbot_token = x y"),
        ("isin = IRO1MHRN0001", "isin = IRO1MHRN0001\n[telegram]\nbot_token = env:FB_UNSET"),
    ],
)
def test_what_is_wrong_with_a_secret_can_be_read_where_secrets_are_removed(written: Write, old: str, new: str) -> None:
    assert old in FOUR
    (problem,) = told(written(FOUR.replace(old, new)))
    assert redact(problem) == problem


def test_files_that_cannot_be_a_config(written: Write, tmp_path: Path) -> None:
    assert "'firstbell -c" in told(tmp_path / "none.ini")[0]
    assert "no plain file" in told(tmp_path)[0]
    path = written(FOUR)
    for mode in (0o640, 0o604, 0o620, 0o601):
        path.chmod(mode)
        assert f"chmod 600 {path}" in told(path)[0]
    path.chmod(0o600)
    path.write_bytes(FOUR.encode() + b"x = \xff")
    assert told(path) == ["line 7: not UTF-8; save the file as UTF-8"]
    path.write_bytes(b"#" * (1024 * 1024 + 1))
    assert "longer than" in told(path)[0]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_config_that_cannot_be_read(written: Write) -> None:
    path = written(FOUR)
    path.chmod(0)
    assert "cannot be read" in told(path)[0]


@given(st.binary(max_size=300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_a_config_or_a_config_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "fuzzed.ini"
    path.write_bytes(FOUR.encode() + data)
    path.chmod(0o600)
    said = ""
    try:
        load(path)
    except ConfigError as error:
        said = str(error)
    assert "pl4nted" not in said


def test_settings_made_in_code_are_checked_too() -> None:
    good = {"name": "Order_1", "username": "u", "password": "p", "broker_code": "shahr", "isin": "IRO1MHRN0001"}
    assert AccountSettings.model_validate({**good, "price": Decimal(5860)}).price == 5860
    for wrong in ({"price": 1.5}, {"isin": "X"}, {"username": ""}, {"colour": "red"}):
        with pytest.raises(ValidationError):
            AccountSettings.model_validate({**good, **wrong})


def test_an_error_never_shows_its_input() -> None:
    with pytest.raises(ValidationError) as error:
        AccountSettings.model_validate({"name": "Order_1", "username": "u", "password": "pl4nted", "side": "pl4nted"})
    assert "pl4nted" not in str(error.value)


def test_nothing_is_read_at_import(tmp_path: Path) -> None:
    code = "import firstbell.config, os; assert os.listdir('.') == []"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, env=environment)


def test_the_budget_of_a_run_pays_for_every_account_once(written: Write) -> None:
    limit = "\n[risk]\nmax_attempts_per_run = 1\n"
    assert load(written(FOUR + limit)).risk.max_attempts_per_run == 1
    other = FOUR.replace("Account1", "Account2").replace("0012345678", "0012345679")
    (problem,) = told(written(FOUR + other + limit))
    assert problem.startswith("[risk] max_attempts_per_run: found 1; 2 accounts are enabled")
    assert load(written(f"{FOUR}{other}enabled = no\n{limit}")).risk.max_attempts_per_run == 1
