"""The table of an order's life, written a second time, and read by somebody who has only its prose."""

from __future__ import annotations

import pytest

from firstbell.model.order_status import TRANSITIONS, IllegalMove, OrderStatus, ReportKind, next_status

# From each status: report → status, as the field has them.
WORKING = {
    **dict.fromkeys(("ACCEPTED", "TRIGGERED", "REPLACED"), "PARTIALLY_FILLED"),
    "PARTIALLY_FILLED": "PARTIALLY_FILLED",
    "FILLED": "FILLED",
    "PENDING_CANCEL": "PENDING_CANCEL",
    "PENDING_REPLACE": "PENDING_REPLACE",
    "CANCELED": "CANCELED",
    "EXPIRED": "EXPIRED",
}
LATE = ("ACCEPTED", "PARTIALLY_FILLED", "REPLACED", "REPLACE_REJECTED")
MOVES = {
    "INITIALIZED": {
        "DENIED": "DENIED",
        "SUBMITTED": "SUBMITTED",
        "UNRESOLVED": "SUBMITTED",
        **dict.fromkeys(("REPLACED", "TRIGGERED", "HANDED_OVER"), "INITIALIZED"),
        **dict.fromkeys(("WITHDRAWN", "TAKEN_OVER"), "DENIED"),
    },
    "SUBMITTED": {
        **dict.fromkeys(("SUBMITTED", "REFUSED", "UNRESOLVED", "REPLACED"), "SUBMITTED"),
        **{each: each for each in ("ACCEPTED", "REJECTED", "DENIED")},
        **{each: each for each in ("PARTIALLY_FILLED", "FILLED", "CANCELED", "EXPIRED")},
    },
    "ACCEPTED": {
        **WORKING,
        **dict.fromkeys(("ACCEPTED", "TRIGGERED", "REPLACED"), "ACCEPTED"),
        "REJECTED": "REJECTED",
    },
    "PARTIALLY_FILLED": WORKING,
    "PENDING_CANCEL": {
        **dict.fromkeys(("PENDING_CANCEL", "PARTIALLY_FILLED", "ACCEPTED", "TRIGGERED"), "PENDING_CANCEL"),
        "CANCEL_REJECTED": "ACCEPTED",
        **dict.fromkeys(("REPLACED", "REPLACE_REJECTED"), "PENDING_CANCEL"),
        **{each: each for each in ("FILLED", "CANCELED", "EXPIRED")},
    },
    "PENDING_REPLACE": {
        **dict.fromkeys(("PENDING_REPLACE", "PARTIALLY_FILLED", "ACCEPTED", "TRIGGERED"), "PENDING_REPLACE"),
        "PENDING_CANCEL": "PENDING_CANCEL",
        "REPLACED": "ACCEPTED",
        "REPLACE_REJECTED": "ACCEPTED",
        **{each: each for each in ("FILLED", "CANCELED", "EXPIRED")},
    },
    "CANCELED": {**dict.fromkeys(LATE, "CANCELED"), "FILLED": "FILLED"},
    "EXPIRED": {**dict.fromkeys(LATE, "EXPIRED"), "FILLED": "FILLED"},
    "FILLED": {**dict.fromkeys(LATE, "FILLED"), "FILLED": "FILLED"},
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
