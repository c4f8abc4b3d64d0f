"""Buys and sells over two brokers, and a section with three weighted instruments; judged by what the exchange saw."""

from __future__ import annotations

import json
from decimal import Decimal

from firstbell.market import fee_rate
from firstbell.model.terms import Side
from firstbell.oms.sizing import affordable, cost
from firstbell.simulator.listings import tehran_instruments

RATE = fee_rate("XTEH", Side.BUY)
LISTED = {each.id: each for each in tehran_instruments()}
MHRN, BORS, FOLD = "IRO1MHRN0001", "IRO1BORS0001", "IRO1FOLD0001"
IKCO, SIPA, MSMI, PTEH = "IRO1IKCO0001", "IRO1SIPA0001", "IRO1MSMI0001", "IRO1PTEH0001"
WEIGHTS = {MHRN: 60, BORS: 30, FOLD: 10}
MONEY = {"gs": 1_000_003_827, "shahr": 200_000_000}
PEOPLE = [
    {
        "username": "ali",
        "password": "ali-pl4nted",
        "broker_code": "gs",
        "money": MONEY["gs"],
        "holdings": {IKCO: 900_001, SIPA: 1_234},
        "isin": IKCO,
        "side": "sell",
    },
    {
        "username": "zahra",
        "password": "zahra-pl4nted",
        "broker_code": "shahr",
        "money": MONEY["shahr"],
        "holdings": {MSMI: 250_000, IKCO: 5},
        "isin": MSMI,
        "side": "sell",
    },
]
ALI = "username = ali\npassword = ali-pl4nted\nbroker_code = gs"
ZAHRA = "username = zahra\npassword = zahra-pl4nted\nbroker_code = shahr"
BASKET = f"""
[Order_Basket]
{ALI}
isin = {MHRN}, {BORS}, {FOLD}
weights = 60, 30, 10
"""
MORE = f"""
[Order_Few]
{ALI}
isin = {SIPA}
side = sell
quantity = 1000
[Order_Buy]
{ZAHRA}
isin = {PTEH}
"""
NOTHING_HELD = f"""
[Order_Nothing]
{ZAHRA}
isin = {SIPA}, {IKCO}
side = sell
quantity = 3
"""


def opened(open_venue, tmp_path, *options, **more):
    accounts = tmp_path / "accounts.json"
    accounts.write_text(json.dumps(PEOPLE))
    return open_venue("--accounts-file", str(accounts), *options, **more)


def add(venue, text):
    venue.config.write_text(venue.config.read_text() + text)


def test_buys_and_sells_over_two_brokers_and_three_weighted_instruments(open_venue, tmp_path):
    venue = opened(open_venue, tmp_path, bell_in_s=30)
    # The written section of the first one sells in one order; all of it takes three.
    venue.edit(f"isin = {IKCO}\nside = sell", f"isin = {IKCO}\nside = sell\norders = all")
    add(venue, BASKET + MORE + NOTHING_HELD)
    checked = json.loads(venue.firstbell("check", "--json").stdout)
    names = [account["account"] for account in checked["accounts"]]
    assert names == [
        "Order_Account1_Gs",
        "Order_Account2_Shahr",
        f"Order_Basket.{MHRN}",
        f"Order_Basket.{BORS}",
        f"Order_Basket.{FOLD}",
        "Order_Few",
        "Order_Buy",
        f"Order_Nothing.{SIPA}",
        f"Order_Nothing.{IKCO}",
    ]
    warm = venue.firstbell("warmup", "--json")
    assert warm.returncode == 1
    ready = {row["account"]: row["reason"] for row in json.loads(warm.stdout)["accounts"]}
    assert [name for name, why in ready.items() if why is not None] == [f"Order_Nothing.{SIPA}"]

    run = venue.firstbell("run", "--at", f"{venue.bell:%H:%M:%S}", "--json")
    assert run.returncode == 1, run.stderr
    document = json.loads(venue.firstbell("results", "--json").stdout)
    assert document == json.loads(run.stdout)
    assert document["summary"] == {"configured": 11, "accepted": 10, "rejected": 0, "unresolved": 0, "not_sent": 1}
    (nothing,) = (row for row in document["orders"] if row["outcome"] == "not_sent")
    assert (nothing["account"], nothing["reason"]) == (
        f"Order_Nothing.{SIPA}",
        f"nothing to sell: 0 shares of {SIPA} held",
    )

    seen = venue.accepted()
    # What is reported is what is there, order by order.
    there = {
        str(call["serial"]): (call["broker_code"], call["isin"], call["side"], call["price"], call["quantity"])
        for call in seen
    }
    assert there == {
        row["venue_order_id"]: (row["broker_code"], row["instrument"], row["side"], row["price"], row["quantity"])
        for row in document["orders"]
        if row["outcome"] == "accepted"
    }
    assert all(call["lateness_us"] >= 0 for call in seen)
    sold = sorted((call["isin"], call["price"], call["quantity"]) for call in seen if call["side"] == "sell")
    assert sold == sorted(
        [
            (IKCO, 2959, 400_000),
            (IKCO, 2959, 400_000),
            (IKCO, 2959, 100_001),
            (SIPA, 2340, 1_000),
            # Of 250,000 held, the largest order.
            (MSMI, 7100, 200_000),
            (IKCO, 2959, 3),
        ]
    )
    bought = {call["isin"]: call for call in seen if call["side"] == "buy"}
    assert len(bought) == 4
    for isin, weight in WEIGHTS.items():
        price, share = LISTED[isin].band.high, MONEY["gs"] * weight // 100 + (isin == FOLD)
        assert bought[isin]["price"] == price
        assert bought[isin]["quantity"] == affordable(Decimal(share), price, RATE)
    spent = sum(cost(Decimal(bought[isin]["quantity"]), LISTED[isin].band.high, RATE) for isin in WEIGHTS)
    assert MONEY["gs"] - 3 * LISTED[MHRN].band.high < spent <= MONEY["gs"]
    assert bought[PTEH]["quantity"] == affordable(Decimal(MONEY["shahr"]), LISTED[PTEH].band.high, RATE)

    # Started again, and without what nobody could sell: nothing is sent, and everything stands as it was.
    venue.edit(NOTHING_HELD, "")
    again = venue.firstbell("run", "--at", "now", "--json")
    assert again.returncode == 0, again.stderr
    rows = json.loads(again.stdout)["orders"]
    assert [(row["outcome"], row["attempts"]) for row in rows] == [("accepted", [])] * 9
    assert len(venue.submissions()) == len(seen) == 10
    assert venue.firstbell("results").returncode == 0


def test_holdings_that_cannot_be_read_stop_the_sells_alone(open_venue, tmp_path):
    venue = opened(open_venue, tmp_path, "--bell-in", "1s", "--fault", "list_fails:on=holdings")
    add(venue, BASKET)
    warm = json.loads(venue.firstbell("warmup", "--json").stdout)["accounts"]
    assert [row["ready"] for row in warm] == [False, False, True, True, True]
    run = venue.firstbell("run", "--at", venue.in_seconds(14), "--json")
    assert run.returncode == 1, run.stderr
    document = json.loads(run.stdout)
    assert [row["outcome"] for row in document["orders"]] == ["not_sent"] * 2 + ["accepted"] * 3
    sells = document["orders"][:2]
    assert sells[0]["reason"].startswith("what is held could not be read: ")
    assert "holdings" in sells[1]["reason"]
    assert {call["isin"] for call in venue.submissions()} == set(WEIGHTS)
