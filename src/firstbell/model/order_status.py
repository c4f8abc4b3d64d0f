"""The life of an order as one table: which report may follow in which state, and where it leads.

Every change of state goes through `next_status`; there is no other door.
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import Final


class OrderStatus(StrEnum):
    """Where an order stands (FIX 39)."""

    INITIALIZED = "INITIALIZED"
    """Planned, checked and claimed; nothing has left."""
    DENIED = "DENIED"
    """We said no before anything left. Done."""
    SUBMITTED = "SUBMITTED"
    """An attempt has left. Not known to be accepted; it may need another attempt, or be unresolved."""
    ACCEPTED = "ACCEPTED"
    """The broker has it and it works."""
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    """Some of it has traded and the rest works."""
    FILLED = "FILLED"
    """All of it has traded. Done, but not each trade need have been told of yet."""
    REJECTED = "REJECTED"
    """The broker said no, for certain. Done."""
    PENDING_CANCEL = "PENDING_CANCEL"
    """We asked to cancel it; it may still trade."""
    PENDING_REPLACE = "PENDING_REPLACE"
    """We asked to change it; it may still trade on its old terms."""
    CANCELED = "CANCELED"
    """Taken off the book. Done, but a fill that happened before may still arrive and is counted."""
    EXPIRED = "EXPIRED"
    """Its time in force ended. Done, likewise."""


class ReportKind(StrEnum):
    """One thing that happened to an order (FIX 150)."""

    INITIALIZED = "INITIALIZED"
    DENIED = "DENIED"
    SUBMITTED = "SUBMITTED"
    REFUSED = "REFUSED"
    """An attempt was refused for certain and the order may be sent again."""
    UNRESOLVED = "UNRESOLVED"
    """An attempt left and nobody said what became of it."""
    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    PENDING_CANCEL = "PENDING_CANCEL"
    CANCEL_REJECTED = "CANCEL_REJECTED"
    CANCELED = "CANCELED"
    PENDING_REPLACE = "PENDING_REPLACE"
    REPLACE_REJECTED = "REPLACE_REJECTED"
    REPLACED = "REPLACED"
    """Its terms have changed: at the broker, or, of one that we hold back, here."""
    TRIGGERED = "TRIGGERED"
    """Its trigger price has traded; of one that we hold back: it may leave now."""
    WITHDRAWN = "WITHDRAWN"
    """One that we hold back was taken back: it fits only while nothing of it can have left."""
    TAKEN_OVER = "TAKEN_OVER"
    """One that a dead process held back goes on under its plan's next round, in another process. It fits likewise."""
    HANDED_OVER = "HANDED_OVER"
    """One that we hold back is left to whichever process makes rounds: this one makes none. It fits likewise."""
    EXPIRED = "EXPIRED"


_S = OrderStatus
_K = ReportKind

_WORKING_MOVES: Final = {
    # Late, as where the list of the day was quicker than the answer.
    _K.ACCEPTED: _S.PARTIALLY_FILLED,
    _K.TRIGGERED: _S.PARTIALLY_FILLED,
    # Changed by hand at the broker, or its answer came before our own word of having asked.
    _K.REPLACED: _S.PARTIALLY_FILLED,
    _K.PARTIALLY_FILLED: _S.PARTIALLY_FILLED,
    _K.FILLED: _S.FILLED,
    _K.PENDING_CANCEL: _S.PENDING_CANCEL,
    _K.PENDING_REPLACE: _S.PENDING_REPLACE,
    _K.CANCELED: _S.CANCELED,
    _K.EXPIRED: _S.EXPIRED,
}


def _late(status: OrderStatus) -> dict[ReportKind, OrderStatus]:
    """What may still arrive of an order that is done, and leaves it so."""
    return dict.fromkeys((_K.ACCEPTED, _K.PARTIALLY_FILLED, _K.REPLACED, _K.REPLACE_REJECTED), status)


_MOVES: Final[dict[OrderStatus, dict[ReportKind, OrderStatus]]] = {
    _S.INITIALIZED: {
        _K.DENIED: _S.DENIED,
        _K.SUBMITTED: _S.SUBMITTED,
        # Found unfinished after its bell: it may have left without a word in the journal, so it is asked for.
        _K.UNRESOLVED: _S.SUBMITTED,
        # One that we hold back follows the market, or what its bracket has filled; and at last it may leave.
        _K.REPLACED: _S.INITIALIZED,
        _K.TRIGGERED: _S.INITIALIZED,
        _K.HANDED_OVER: _S.INITIALIZED,
        # Whoever is about to send it and whoever takes it back cannot both be right: the second one's report misfits.
        _K.WITHDRAWN: _S.DENIED,
        _K.TAKEN_OVER: _S.DENIED,
    },
    _S.SUBMITTED: {
        _K.SUBMITTED: _S.SUBMITTED,
        _K.REFUSED: _S.SUBMITTED,
        _K.UNRESOLVED: _S.SUBMITTED,
        # Its terms, told before anybody has said that it is there.
        _K.REPLACED: _S.SUBMITTED,
        _K.ACCEPTED: _S.ACCEPTED,
        _K.REJECTED: _S.REJECTED,
        # Every attempt failed before a byte left, so nobody but us has ended it.
        _K.DENIED: _S.DENIED,
        # The broker's list may be the first to answer, and it may show the order traded or gone already.
        _K.PARTIALLY_FILLED: _S.PARTIALLY_FILLED,
        _K.FILLED: _S.FILLED,
        _K.CANCELED: _S.CANCELED,
        _K.EXPIRED: _S.EXPIRED,
    },
    _S.ACCEPTED: {
        **_WORKING_MOVES,
        # The answer that accepted it may not have brought its name; the broker's list does.
        _K.ACCEPTED: _S.ACCEPTED,
        _K.TRIGGERED: _S.ACCEPTED,
        _K.REPLACED: _S.ACCEPTED,
        # Exchanges do reject what a broker has accepted.
        _K.REJECTED: _S.REJECTED,
    },
    _S.PARTIALLY_FILLED: dict(_WORKING_MOVES),
    _S.PENDING_CANCEL: {
        # A cancel that got lost is asked for again.
        _K.PENDING_CANCEL: _S.PENDING_CANCEL,
        _K.ACCEPTED: _S.PENDING_CANCEL,
        _K.TRIGGERED: _S.PENDING_CANCEL,
        _K.PARTIALLY_FILLED: _S.PENDING_CANCEL,
        _K.FILLED: _S.FILLED,
        _K.CANCELED: _S.CANCELED,
        _K.EXPIRED: _S.EXPIRED,
        _K.CANCEL_REJECTED: _S.ACCEPTED,
        # Of a change that was asked for before the cancel.
        _K.REPLACED: _S.PENDING_CANCEL,
        _K.REPLACE_REJECTED: _S.PENDING_CANCEL,
    },
    _S.PENDING_REPLACE: {
        _K.ACCEPTED: _S.PENDING_REPLACE,
        _K.TRIGGERED: _S.PENDING_REPLACE,
        # A change that got lost is asked for again.
        _K.PENDING_REPLACE: _S.PENDING_REPLACE,
        _K.PENDING_CANCEL: _S.PENDING_CANCEL,
        _K.PARTIALLY_FILLED: _S.PENDING_REPLACE,
        _K.FILLED: _S.FILLED,
        _K.CANCELED: _S.CANCELED,
        _K.EXPIRED: _S.EXPIRED,
        _K.REPLACED: _S.ACCEPTED,
        _K.REPLACE_REJECTED: _S.ACCEPTED,
    },
    # A done order never reopens, but what traded before it ended is still counted, and its name or the word of a change
    # may come late.
    _S.CANCELED: {**_late(_S.CANCELED), _K.FILLED: _S.FILLED},
    _S.EXPIRED: {**_late(_S.EXPIRED), _K.FILLED: _S.FILLED},
    # Trades may be told of in any order, the last one first; and twice.
    _S.FILLED: {**_late(_S.FILLED), _K.FILLED: _S.FILLED},
    _S.REJECTED: {},
    _S.DENIED: {},
}

TRANSITIONS: Final = MappingProxyType({state: MappingProxyType(moves) for state, moves in _MOVES.items()})
"""The whole table: ``TRANSITIONS[status][report kind]`` is the next status; a missing pair is an illegal move."""

DONE: Final = frozenset({_S.DENIED, _S.FILLED, _S.REJECTED, _S.CANCELED, _S.EXPIRED})
"""States in which an order no longer works."""

PLACED: Final = frozenset(
    {_S.ACCEPTED, _S.PARTIALLY_FILLED, _S.FILLED, _S.PENDING_CANCEL, _S.PENDING_REPLACE, _S.CANCELED, _S.EXPIRED}
)
"""States that an order reaches only through the broker's accepting it."""

IN_HAND: Final = frozenset({_S.INITIALIZED, _S.SUBMITTED})
"""States of an order that is being sent, or of which nobody has said what became of that."""

ASKED: Final = frozenset({_S.PENDING_CANCEL, _S.PENDING_REPLACE})
"""States in which it is not known yet what became of a cancel, or of a change."""

NEVER_PLACED: Final = DONE - PLACED
"""States in which an order is over, and certainly never was at its broker."""


class IllegalMove(ValueError):  # noqa: N818 - a move, and an illegal one
    """A report does not fit the order's state. The order keeps its state; the report is evidence, so keep it too."""


def next_status(status: OrderStatus, kind: ReportKind) -> OrderStatus:
    """The status after a report of `kind` reaches an order in `status`.

    Raises:
        IllegalMove: The table has no such move.
    """
    try:
        return TRANSITIONS[status][kind]
    except KeyError:
        raise IllegalMove(f"a report {kind} does not fit an order that is {status}") from None
