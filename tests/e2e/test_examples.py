"""Every example runs on paper, and those that place orders do at an exchange what they say; judged by what it saw."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from e2e_venue import environment

FOLDER = Path(__file__).parents[2] / "docs" / "examples"
EXAMPLES = sorted(path.stem for path in FOLDER.glob("*.py"))
FOLD = "IRO1FOLD0001"
PEOPLE = [
    {
        "username": name,
        "password": f"{name}-pl4nted",
        "broker_code": code,
        "money": 1_000_003_827,
        "holdings": {FOLD: 50_000},
        "isin": FOLD,
    }
    for name, code in (("mine", "gs"), ("other", "shahr"))
]
CANCEL = ("mine", "cancel", None, None, None)


def pairs(first, second, *prices):
    """Two that trade with each other, 1,500 at each price."""
    return [(who, "order", side, price, 1500) for price in prices for who, side in (first, second)]


SAID = {
    "bracket_fills": ["6,000 sold at the profit", "stop loss   0 of 6000 traded; DENIED"],
    "brackets": ["take_profit: INITIALIZED, held back: True", "Entry canceled: CANCELED", "Taken back: DENIED"],
    "configuration": ["base_delay=1.0", "[positions] max_daily_loss = 5000.0", "min_open_interest=Decimal('50')"],
    "data_models": ["No order: price: an order of type limit needs one", "50 at 105; at 110 they have earned 250"],
    "errors": [
        "VALIDATION_ERROR: DENIED, VALIDATION_ERROR",
        "MARKET_HOURS_ERROR: DENIED, MARKET_HOURS_ERROR",
        "SYMBOL_ERROR: DENIED, SYMBOL_ERROR",
        "PRICE_ERROR: DENIED, PRICE_ERROR",
        "QUANTITY_ERROR: DENIED, QUANTITY_ERROR",
        "POSITION_NOT_FOUND: Order_Mine has no position",
    ],
    "example_config": ["broker_code = paper"],
    "open_broker": ["the same again: True", "no broker is called mock", "'kraken2'", "api_key: no such key"],
    "order_logging": [
        "STOP LOSS   Order_Mine (paper) sell 1,500 IRO1FOLD0001 at 4,800",
        "\nentry paper IRO1FOLD0001 buy 2500\nmodify paper IRO1FOLD0001 buy 2500\ncancel paper IRO1FOLD0001 buy 2500\n",
        "\nexit paper IRO1FOLD0001 sell 1500\nstop_loss paper IRO1FOLD0001 sell 1500\ntake_profit paper IRO1FOLD0001 ",
        "\nfailed paper IRO1FOLD0001 buy 300000\n",
        "\nentry kraken BTC/USD buy 0.1\n",
    ],
    "order_manager": ["Order placed: fb-", "Changed: ACCEPTED, 5000 at 4810", "Canceled: CANCELED"],
    "partial_fills": ["time_based: after 10 s Wait", "The rest: CANCELED, 4000 traded at 4850"],
    "position_monitor": ["Total P&L: -", "15000 at 4868", "Trading is ACTIVE"],
    "retry": [
        "linear_backoff: [1.0, 2.0, 3.0, 4.0, 5.0]",
        "sent again: limit 25 at 4800 NOT_SENT; limit 25 at 4800 NOT_SENT; limit 25 at 4800 ACCEPTED",
        "never sent again: limit 25 at 4800 UNRESOLVED\n",
        "Convert to market: market 25 at 4870 REJECTED; limit 25 at 4928 ACCEPTED",
        "333334 at 4800 ACCEPTED; limit 333333 at 4800 ACCEPTED; limit 333333 at 4800 ACCEPTED",
    ],
    "stops": [
        "trailing_stop at 4860: held back",
        "the trailing stop followed it to 4900",
        "FILLED: 1500 sold at 4830\nFILLED: 1500 sold at 4830\n",
    ],
    "telegram_alerts": ["<b>Confirmed</b>", "<b>Rejected</b>", "buy 2,500 IRO1FOLD0001 at 4,870"],
    "validator": ["2500 at 4870: valid", "Validation failed:\nprice band: 9,000", "Placed all the same: DENIED"],
}
"""What each of them prints, among other things."""
SEEN = {
    # It goes first: it places nothing, whatever the exchange is doing.
    "errors": [],
    "order_manager": [
        ("mine", "order", "buy", 4800, 2500),
        ("mine", "edit", "buy", 4810, 5000),
        CANCEL,
    ],
    "brackets": [
        ("mine", "order", "buy", 4800, 2500),
        CANCEL,
        ("mine", "order", "buy", 4760, 1500),
        CANCEL,
    ],
    "bracket_fills": [
        ("mine", "order", "buy", 4870, 10_000),
        ("other", "order", "sell", 4870, 6000),
        ("mine", "order", "sell", 4980, 6000),
        ("other", "order", "buy", 4980, 6000),
        CANCEL,
    ],
    "stops": [
        *pairs(("other", "sell"), ("mine", "buy"), 4900, 4940, 4835),
        ("other", "order", "buy", 4830, 3000),
        # There are no market orders here: a limit, at most so far below the bid as the config allows.
        ("mine", "order", "sell", 4782, 1500),
        ("mine", "order", "sell", 4782, 1500),
    ],
    "order_logging": [
        ("mine", "order", "buy", 4800, 2500),
        ("mine", "edit", "buy", 4810, 2500),
        CANCEL,
        *pairs(("other", "buy"), ("mine", "sell"), 4870, 4800, 4950),
        ("mine", "order", "buy", 4870, 300_000),
    ],
    "partial_fills": [
        ("mine", "order", "buy", 4850, 10_000),
        ("other", "order", "sell", 4850, 4000),
        CANCEL,
    ],
}
"""What the exchange sees of those that place orders: whose, what, which way, at which price, how many."""
REFUSED = {"order_logging": [300_000]}
TRADED = {
    "bracket_fills": [(4870, 6000), (4980, 6000)],
    "partial_fills": [(4850, 4000)],
    "order_logging": [(4870, 1500), (4800, 1500), (4950, 1500)],
    "stops": [(4900, 1500), (4940, 1500), (4835, 1500), (4830, 1500), (4830, 1500)],
}


def run(name: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, str(FOLDER / f"{name}.py"), *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(),
        cwd=folder,
    )


def test_every_example_runs_on_paper(tmp_path):
    assert set(SAID) == set(EXAMPLES)
    folders = {name: tmp_path / name for name in EXAMPLES}
    for folder in folders.values():
        folder.mkdir()
    # They wait more than they work, for the interval between two orders.
    with ThreadPoolExecutor(4) as pool:
        found = dict(zip(EXAMPLES, pool.map(run, EXAMPLES, folders.values()), strict=True))
    failed = {name: ended.stderr for name, ended in found.items() if ended.returncode}
    assert failed == {}
    missing = {name: [each for each in SAID[name] if each not in found[name].stdout] for name in EXAMPLES}
    assert {name: words for name, words in missing.items() if words} == {}
    # They leave nothing behind.
    assert [path for folder in folders.values() for path in folder.iterdir()] == []


def test_the_lines_of_the_page_run(tmp_path):
    (lines,) = re.findall(r"```python\n(.*?)```", (FOLDER.parent / "orders.md").read_text(encoding="utf-8"), re.DOTALL)
    config = tmp_path / "config.ini"
    config.touch(0o600)
    config.write_text("[Order_A]\nusername = me\npassword = x\nbroker_code = paper\nisin = IRO1FOLD0001\n")
    ended = subprocess.run(
        [sys.executable, "-c", lines],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(),
        cwd=tmp_path,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("Order placed: fb-")


def test_the_examples_do_at_an_exchange_what_they_say(open_venue, tmp_path):
    accounts = tmp_path / "accounts.json"
    accounts.write_text(json.dumps(PEOPLE))
    # Six seconds after the bell it trades, for eighty: on a busy machine each example takes its time.
    venue = open_venue("--accounts-file", str(accounts), "--bell-in", "1s", "--speed", "150")
    more = "[partial_fills]\nstrategy = cancel_remaining\n\n[fallback]\nenabled = no\n"
    venue.edit("[orders]\n", f"{more}\n[orders]\nevery = 200ms\n")
    unasked = run("order_manager", tmp_path, str(venue.config))
    assert unasked.returncode == 1
    assert "call with --live" in unasked.stderr
    done, trades = 0, 0
    for name, wanted in SEEN.items():
        while wanted and venue.seen()["phase"] != "CONTINUOUS":
            time.sleep(0.1)
        ended = run(name, tmp_path, str(venue.config), "--live")
        assert ended.returncode == 0, ended.stderr
        seen = venue.seen()
        calls = seen["submissions"][done:]
        refused = [call["quantity"] for call in calls if call["decision"] != "accepted"]
        assert refused == REFUSED.get(name, []), name
        found = [tuple(call[key] for key in ("account", "kind", "side", "price", "quantity")) for call in calls]
        # Two logins do not wait for each other: only what each of them does has an order.
        assert sorted(found, key=lambda call: call[0]) == sorted(wanted, key=lambda call: call[0]), name
        assert [(each["price"], each["quantity"]) for each in seen["trades"][trades:]] == TRADED.get(name, []), name
        done, trades = len(seen["submissions"]), len(seen["trades"])
        assert {each["status"] for each in seen["orders"]} <= {"CANCELED", "FILLED"}, name


@pytest.mark.parametrize("url", ["https://api.example.com", "http://127.0.0.2:9"])
def test_an_example_places_no_orders_with_real_money(url, tmp_path):
    config = tmp_path / "config.ini"
    config.touch(0o600)
    config.write_text(
        "[Order_Real]\nusername = me\npassword = secret-pl4nted\nbroker_code = gs\nisin = IRO1FOLD0001\n"
        f"[broker.gs]\napi_url = {url}\n[orders]\nmode = live\n"
    )
    ended = run("order_manager", tmp_path, str(config), "--live")
    assert ended.returncode == 1
    assert "examples place no orders there" in ended.stderr
