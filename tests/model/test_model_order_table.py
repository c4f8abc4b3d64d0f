"""The table of an order's life, written a second time, and read by somebody who has only its prose."""

from __future__ import annotations

import pytest

from firstbell.model.order_status import TRANSITIONS, IllegalMove, OrderStatus, ReportKind, next_status

# From each status: report → status, as the field has them.
WORKING = {
    "PARTIALLY_FILLED": "PARTIALLY_FILLED",
    "FILLED": "FILLED",
    "PENDING_CANCEL": "PENDING_CANCEL",
    "PENDING_REPLACE": "PENDING_REPLACE",
    "CANCELED": "CANCELED",
    "EXPIRED": "EXPIRED",
}
MOVES = {
    "INITIALIZED": {"DENIED": "DENIED", "SUBMITTED": "SUBMITTED", "UNRESOLVED": "SUBMITTED"},
    "SUBMITTED": {
        **dict.fromkeys(("SUBMITTED", "REFUSED", "UNRESOLVED"), "SUBMITTED"),
        **{each: each for each in ("ACCEPTED", "REJECTED", "DENIED")},
        **{each: each for each in ("PARTIALLY_FILLED", "FILLED", "CANCELED", "EXPIRED")},
    },
    "ACCEPTED": {**WORKING, "ACCEPTED": "ACCEPTED", "REJECTED": "REJECTED"},
    "PARTIALLY_FILLED": WORKING,
    "PENDING_CANCEL": {
        "PENDING_CANCEL": "PENDING_CANCEL",
        "PARTIALLY_FILLED": "PENDING_CANCEL",
        "CANCEL_REJECTED": "ACCEPTED",
        **{each: each for each in ("FILLED", "CANCELED", "EXPIRED")},
    },
    "PENDING_REPLACE": {
        "PARTIALLY_FILLED": "PENDING_REPLACE",
        "REPLACED": "ACCEPTED",
        "REPLACE_REJECTED": "ACCEPTED",
        **{each: each for each in ("FILLED", "CANCELED", "EXPIRED")},
    },
    "CANCELED": {"PARTIALLY_FILLED": "CANCELED", "FILLED": "FILLED"},
    "EXPIRED": {"PARTIALLY_FILLED": "EXPIRED", "FILLED": "FILLED"},
    "FILLED": {"PARTIALLY_FILLED": "FILLED", "FILLED": "FILLED"},
    "REJECTED": {},
    "DENIED": {},
}


def test_the_table_holds_these_moves_and_no_other():
    assert {
        str(status): {str(kind): str(to) for kind, to in moves.items()} for status, moves in TRANSITIONS.items()
    } == MOVES


@pytest.mark.parametrize("status", OrderStatus)
def test_every_pair_moves_or_is_refused(status):
    for kind in ReportKind:
        if (to := MOVES[status].get(kind)) is not None:
            assert next_status(status, kind) == to
            continue
        with pytest.raises(IllegalMove, match=f"^a report {kind} does not fit an order that is {status}$"):
            next_status(status, kind)
