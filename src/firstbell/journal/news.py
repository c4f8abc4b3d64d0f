"""What has been written into a journal since somebody last looked, by whomever: each report once, none left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from firstbell.journal.store import Row, Session

_AT_ONCE: Final = 5_000
_LOOK_BACK: Final = 10_000
"""Where others are writing just now, the newest row without a gap before it is looked for among so many."""


def written_after(session: Session, seq: int) -> tuple[int, Sequence[Row]]:
    """The reports' rows behind the row `seq`, oldest first, and the last one's number; at most 5,000.

    A database may show a row before it shows one with a smaller number, whose transaction has not ended yet. What comes
    behind such a gap is left for the next time; so nobody ever looks past a row that he has not seen.
    """
    query = f"SELECT * FROM reports WHERE seq > ? ORDER BY seq LIMIT {_AT_ONCE}"  # noqa: S608 - a number of ours  # nosec B608
    rows = session.rows(query, (seq,))
    if not rows:
        return seq, rows
    whole, last = _unbroken(seq, [row["seq"] for row in rows]), int(rows[-1]["seq"])
    if whole != last and session.is_settled():
        # What was missing has come by now, or never will: the number of a transaction that was given up stays empty.
        rows = [row for row in session.rows(query, (seq,)) if row["seq"] <= last]
        whole = int(rows[-1]["seq"])
    return whole, [row for row in rows if row["seq"] <= whole]


def newest(session: Session) -> int:
    """The number of a report before which, and with which, all can be seen; 0 where there is none."""
    last = int(session.rows("SELECT coalesce(max(seq), 0) AS seq FROM reports")[0]["seq"])
    if last == 0 or session.is_settled():
        return last
    query = f"SELECT seq FROM reports WHERE seq <= ? ORDER BY seq DESC LIMIT {_LOOK_BACK}"  # noqa: S608 - likewise  # nosec B608
    seqs = [int(row["seq"]) for row in reversed(session.rows(query, (last,)))]
    return _unbroken(seqs[0] - 1, seqs)


def _unbroken(seq: int, seqs: Sequence[int]) -> int:
    """The last of the numbers behind `seq` before the first that is missing."""
    for each in seqs:
        if each != seq + 1:
            break
        seq = each
    return seq
