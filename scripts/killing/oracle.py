"""The oracle: what firstbell says, beside what the exchange saw."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from killing.venue import Account

    There = Mapping[str, Sequence[Mapping[str, Any]]]

_CLAIMED_BY_ANOTHER = "has claimed this order, in run"
OUTCOMES = ("accepted", "rejected", "unresolved", "not_sent")


def twice(there: There) -> list[str]:
    """Plans of which the exchange has accepted more than one order."""
    return [f"{section}: accepted {len(orders)} times" for section, orders in there.items() if len(orders) > 1]


def judge(document: Mapping[str, Any], accounts: Sequence[Account], there: There, *, known: bool) -> list[str]:
    """What is wrong with a run's results.

    Args:
        document: The ``orders.json``.
        accounts: Whom it has to tell of.
        there: What the exchange has accepted, by section.
        known: Whether nothing may be unresolved any more.
    """
    wrong = twice(there)
    rows = list(document["orders"])
    summary = dict(document["summary"])
    counted = {outcome: sum(row["outcome"] == outcome for row in rows) for outcome in OUTCOMES}
    if summary != {"configured": len(accounts), **counted} or sum(counted.values()) != len(accounts):
        wrong.append(f"the outcomes do not add up: {summary}")
    if sorted(row["account"] for row in rows) != sorted(account.section for account in accounts):
        wrong.append(f"its accounts are {[row['account'] for row in rows]}")
        return wrong
    for row in rows:
        wrong += _judge_row(row, there[row["account"]], known=known)
    return wrong


def _judge_row(row: Mapping[str, Any], there: Sequence[Mapping[str, Any]], *, known: bool) -> list[str]:
    name, outcome, reason = row["account"], row["outcome"], row["reason"]
    if outcome == "accepted":
        if not there:
            return [f"{name}: said to be accepted, and is not there"]
        seen = there[0]
        said = (row["venue_order_id"], row["price"], row["quantity"])
        if said != (str(seen["serial"]), seen["price"], seen["quantity"]):
            return [f"{name}: said to be {said}, and {seen['serial']} {seen['price']} {seen['quantity']} is there"]
        return []
    if outcome == "not_sent" and _CLAIMED_BY_ANOTHER in (reason or ""):
        # Another run's results tell of it.
        return []
    if outcome in {"rejected", "not_sent"}:
        wrong = [f"{name}: said to be {outcome} ({reason}), and is there"] if there else []
        return wrong if reason else [*wrong, f"{name}: {outcome} without a reason"]
    return [f"{name}: still unresolved ({reason})"] if known else []


def files(folder: Path, accounts: Sequence[Account]) -> list[str]:
    """What is wrong with the results on disk, at whatever moment: each is whole, and tells of every account."""
    wrong = []
    for path in folder.glob("order_results/*/orders.json"):
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            said = sorted(row["account"] for row in document["orders"])
            total = sum(document["summary"][outcome] for outcome in OUTCOMES)
        except (ValueError, KeyError) as error:
            wrong.append(f"{path} is not whole: {error!r}")
            continue
        if said != sorted(account.section for account in accounts) or total != len(accounts):
            wrong.append(f"{path} does not tell of every account: {said}")
    return wrong
