"""The figures: a table for people, a document for programs."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mutation.campaign import Verdict

_HEAD: Final = ("package", "mutants", "killed", "timed out", "survived", "not run", "score", "equivalent", "without")
NOTES: Final = (
    "Not mutated: docstrings, annotations, decorators, imports, protocols, log calls, the words of error messages. "
    "“survived” passed every test that runs its line; no test runs a line “not run”; both count against the score. "
    "“equivalent” are survivors that change nothing anybody can see (scripts/mutation/equivalent.toml); “without” is "
    "the score when they are left out."
)


def figures(verdicts: Sequence[Verdict], equivalent: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The figures of each package, and of all of them as ``all``."""
    rooms = list(dict.fromkeys(verdict.mutant.room for verdict in verdicts))
    found = {room: _figures([v for v in verdicts if v.mutant.room == room], equivalent) for room in rooms}
    if len(rooms) > 1:
        found["all"] = _figures(verdicts, equivalent)
    return found


def _figures(verdicts: Sequence[Verdict], equivalent: Mapping[str, str]) -> dict[str, Any]:
    counts = Counter(verdict.outcome for verdict in verdicts)
    noticed = sum(verdict.noticed for verdict in verdicts)
    same = sum(verdict.mutant.key in equivalent for verdict in verdicts if not verdict.noticed)
    return {
        "mutants": len(verdicts),
        "killed": counts["killed"] + counts["crashed"],
        "timed_out": counts["timed out"],
        "survived": counts["survived"],
        "not_run": counts["not run"],
        "score": _percent(noticed, len(verdicts)),
        "equivalent": same,
        "score_without_equivalent": _percent(noticed, len(verdicts) - same),
    }


def _percent(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 1) if whole else None


def table(found: Mapping[str, Mapping[str, Any]]) -> str:
    """The figures in columns."""
    rows = [_HEAD, *((room, *map(_cell, row.values())) for room, row in found.items())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.1f} %" if isinstance(value, float) else str(value)


def survivors(verdicts: Sequence[Verdict], equivalent: Mapping[str, str]) -> str:
    """Every mutant that nobody noticed, with its diff and its key."""
    parts = []
    for verdict in sorted(verdicts, key=_where):
        if verdict.noticed:
            continue
        mutant = verdict.mutant
        same = f"   equivalent: {equivalent[mutant.key]}" if mutant.key in equivalent else ""
        met = "no test runs it" if verdict.outcome == "not run" else f"{verdict.tests} tests"
        place = f"{mutant.file}:{mutant.change.first_line} {mutant.place.qualname}"
        parts.append(f"{place}   {mutant.change.kind}   {mutant.key}   ({met}){same}\n{mutant.diff}\n")
    return "\n".join(parts)


def document(
    verdicts: Sequence[Verdict], equivalent: Mapping[str, str], left_out: Sequence[str], *, complete: bool
) -> str:
    """All of it as JSON."""
    return json.dumps(
        {
            "complete": complete,
            "packages": figures(verdicts, equivalent),
            "tests_left_out": list(left_out),
            "mutants": [
                {
                    "key": verdict.mutant.key,
                    "file": verdict.mutant.file,
                    "line": verdict.mutant.change.first_line,
                    "place": verdict.mutant.place.qualname,
                    "kind": verdict.mutant.change.kind,
                    "diff": verdict.mutant.diff,
                    "outcome": verdict.outcome,
                    "killer": verdict.killer,
                    "tests": verdict.tests,
                    "seconds": round(verdict.seconds, 3),
                    "equivalent": equivalent.get(verdict.mutant.key),
                }
                for verdict in sorted(verdicts, key=_where)
            ],
        },
        indent=1,
        ensure_ascii=False,
    )


def _where(verdict: Verdict) -> tuple[str, int, int]:
    return verdict.mutant.file, verdict.mutant.change.start, verdict.mutant.change.end
