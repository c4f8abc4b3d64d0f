"""What lies on disk: a journal whose cells have been changed, and a cache with planted rows."""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import sqlite3
import tempfile
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from diskcache.core import DBNAME

from firstbell.brokers import cached_instrument
from firstbell.brokers.ephoenix.fields import number_in
from firstbell.cache import Kind, TtlCache
from firstbell.clock import SystemClock
from firstbell.errors import CacheError, JournalDamaged, JournalError
from firstbell.journal import schema
from firstbell.journal.base import Intent, Note, Owner, RunLine, RunRecord
from firstbell.journal.digest import DIGEST, with_digest
from firstbell.journal.owner import this_process
from firstbell.journal.sqlite import SqliteJournal
from firstbell.model.identifiers import (
    AccountName,
    BrokerCode,
    ClientOrderId,
    InstrumentId,
    RunId,
    VenueOrderId,
)
from firstbell.model.instructions import PLAIN, Instructions
from firstbell.model.order import Order
from firstbell.model.order_status import ReportKind
from firstbell.model.report import Attempt, ExecutionReport, Fill
from firstbell.model.terms import AttemptOutcome, OrderRole, Side
from firstbell.oms.recovery import recover
from firstbell.sniper import results
from fuzzing import junk, spoiling
from fuzzing.targets.base import IN_MEMORY, expect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

_AT: Final = datetime(2026, 11, 21, 5, 15, tzinfo=UTC)
_RUN: Final = RunId("20261121-084500-ab12")
_TABLES: Final = ("runs", "orders", "reports", "notes")
_WHOLE: Final = frozenset({"round", "bell_ns", "owner_pid"})
_REAL: Final = frozenset({"owner_started"})
_MAY_BE_NULL: Final = frozenset({"known_ids", "text", "instructions"})

_FURTHER: Final = Instructions(
    trigger_price=Decimal(5850),
    trailing_offset=Decimal(10),
    expires_at=_AT,
    role=OrderRole.STOP_LOSS,
    parent_id=ClientOrderId("fb-20261121-0011aabbccdd-0"),
    group="g",
)


class Folder:
    """A template that each case gets a copy of."""

    def __init__(self) -> None:
        self.template = Path(tempfile.mkdtemp(prefix="fuzz-store-", dir=IN_MEMORY))

    @contextlib.contextmanager
    def copy(self) -> Iterator[Path]:
        """A copy for one case."""
        folder = Path(tempfile.mkdtemp(prefix="fuzz-case-", dir=IN_MEMORY))
        try:
            shutil.copytree(self.template, folder, dirs_exist_ok=True)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Remove the template."""
        shutil.rmtree(self.template, ignore_errors=True)


class JournalRows(Folder):
    """A real journal whose cells hold something else, with and without digests that fit."""

    name = "journal"

    def __init__(self) -> None:
        super().__init__()
        journal = SqliteJournal(self.template / "journal.db", SystemClock())
        _fill(journal)
        self._before = _all_of(journal)
        journal.close()
        with contextlib.closing(sqlite3.connect(self.template / "journal.db")) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            db.execute("PRAGMA journal_mode = DELETE")
            db.row_factory = sqlite3.Row
            self._rows = {table: [dict(row) for row in db.execute(f"SELECT * FROM {table}")] for table in _TABLES}  # noqa: S608 - our own names  # nosec B608

    def make(self, rng: Random) -> bytes:
        """A few cells: table, row, column, what is to stand there, and whether the digest is made to fit."""
        cells = []
        for _ in range(rng.choice((1, 1, 2, 4))):
            table = rng.choice(("orders", "reports", "reports", "runs", "notes", "notes"))
            number = rng.randrange(len(self._rows[table]))
            column = rng.choice([name for name in self._rows[table][number] if name not in {"seq", DIGEST}])
            if (table, column) == ("notes", "run_id"):
                # A note of another run is nobody's: no run asks for it, so nobody sees that it has changed.
                continue
            cell = self._cell(rng, column, self._rows[table][number][column])
            cells.append([table, number, column, cell, rng.randrange(4) > 0])
        return json.dumps(cells).encode()

    @staticmethod
    def _cell(rng: Random, column: str, before: Any) -> Any:
        if column in _WHOLE:
            return rng.choice((0, 1, -1, 2**62, -(2**63), 2**63 - 1))
        if column in _REAL:
            return rng.choice((0.0, -1.0, 1e308, 5e-324))
        if column in _MAY_BE_NULL and rng.randrange(5) == 0:
            return None
        wholes = [json.loads(before)] if isinstance(before, str) and before[:1] in {"{", "["} else [junk.text(rng)]
        data = spoiling.document(wholes, rng) if rng.randrange(3) else junk.text(rng).encode("utf-8", "surrogatepass")
        return {"text": base64.b64encode(data).decode("ascii")}

    def attempt(self, data: bytes) -> None:
        """Change the cells behind the journal's back, then read all of it."""
        cells = self._cells(data)
        if cells is not None:
            with self.copy() as folder:
                fits = self._change(folder / "journal.db", cells)
                self._read(folder / "journal.db", fits=fits)

    def _cells(self, data: bytes) -> list[Any] | None:
        """What a case says; None where it is none any more, as when it has been made smaller."""
        try:
            cells = list(json.loads(data))
            for table, number, column, cell, fit in cells:
                if column not in self._rows[table][number] or not isinstance(fit, bool):
                    return None
                _stored(cell)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError):
            return None
        return cells

    def _change(self, path: Path, cells: list[Any]) -> bool:
        unfit = set[tuple[str, int]]()
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("BEGIN")
            for table in _TABLES:
                for verb in ("update", "delete"):
                    db.execute(f"DROP TRIGGER {table}_never_{verb}")
            for table, number, column, cell, fit in cells:
                before, seq = self._rows[table][number][column], self._rows[table][number]["seq"]
                text = isinstance(cell, dict)
                value: Any = base64.b64decode(cell["text"]) if text else cell
                mark = "CAST(? AS TEXT)" if text else "?"
                with contextlib.suppress(sqlite3.IntegrityError):
                    db.execute(f"UPDATE {table} SET {column} = {mark} WHERE seq = ?", (value, seq))  # noqa: S608 - our own names  # nosec B608
                    if fit:
                        # It fits whatever stands in its row by then.
                        digest = with_digest(table, _now(db, table, seq))[DIGEST]
                        db.execute(f"UPDATE {table} SET {DIGEST} = ? WHERE seq = ?", (digest, seq))  # noqa: S608 - likewise  # nosec B608
                        unfit.discard((table, number))
                    elif value != (before.encode() if isinstance(before, str) else before):
                        unfit.add((table, number))
            for statement in schema.SCRIPT.split("\n"):
                if statement.startswith("CREATE TRIGGER"):
                    db.execute(statement)
            db.execute("COMMIT")
        return not unfit

    def _read(self, path: Path, *, fits: bool) -> None:
        journal = SqliteJournal(path, SystemClock())
        try:
            found = _all_of(journal)
            recover(journal, SystemClock(), _RUN)
            record = journal.run(_RUN)
            if record is not None:
                view = results.view(journal, record, ended=True, now_ns=time_ns())
                json.dumps(results.document(view, UTC), allow_nan=False)
        except JournalDamaged:
            return
        except JournalError as error:
            expect(len(str(error)) < 4000, "an error without an end")
            return
        finally:
            journal.close()
        expect(fits or found == self._before, "a changed cell is read as if it had been written")


def time_ns() -> int:
    """Now, for a view of results."""
    return SystemClock().wall_ns()


def _stored(cell: Any) -> Any:
    return base64.b64decode(cell["text"]).decode("utf-8", "replace") if isinstance(cell, dict) else cell


def _now(db: sqlite3.Connection, table: str, seq: int) -> dict[str, Any]:
    db.row_factory = sqlite3.Row
    db.text_factory = lambda raw: raw.decode("utf-8", "replace")
    return dict(db.execute(f"SELECT * FROM {table} WHERE seq = ?", (seq,)).fetchone())  # noqa: S608 - our own names  # nosec B608


def _fill(journal: SqliteJournal) -> None:
    line = RunLine(AccountName("Order_A"), BrokerCode("gs"), InstrumentId("IRO1MHRN0001"), Side.BUY)
    lines = (line, replace(line, account=AccountName("Order_B")))
    journal.begin_run(RunRecord(_RUN, _AT, lines, "order_results"))
    attempt = Attempt(1, _AT, 412, _AT, 8120, 200, None, "ok", AttemptOutcome.ACCEPTED, '{"serialNumber":77}', 5, 6)
    known = frozenset({VenueOrderId("1"), VenueOrderId("2")})
    for number in range(3):
        name = ClientOrderId(f"fb-20261121-0011aabbccdd-{number}")
        order = Order(
            name,
            line.account,
            line.broker_code,
            line.instrument,
            line.side,
            Decimal(5860),
            Decimal(100),
            date(2026, 11, 21),
            instructions=_FURTHER if number == 1 else PLAIN,
        )
        owner = this_process() if number else Owner("elsewhere#1", 1, 1.0)
        journal.claim(Intent(order, f"login-{number}", name, 2**62, known if number else None), _RUN, owner)
        kinds: list[tuple[ReportKind, dict[str, Any]]] = [(ReportKind.SUBMITTED, {})]
        if number == 1:
            fill = Fill("t1", Decimal(40), Decimal(5850), Decimal("868.60"))
            kinds += [
                (ReportKind.ACCEPTED, {"attempt": attempt, "venue_order_id": VenueOrderId("77")}),
                (ReportKind.REPLACED, {"price": Decimal(5855), "trigger_price": Decimal(5840)}),
                (ReportKind.PARTIALLY_FILLED, {"fill": fill}),
                (ReportKind.CANCELED, {"cum_qty": Decimal(40), "reason": "canceled, as asked"}),
            ]
        elif number == 2:
            kinds += [(ReportKind.UNRESOLVED, {"attempt": attempt, "reason": "no answer"})]
        journal.append([ExecutionReport(name, _RUN, kind, _AT, **facts) for kind, facts in kinds])
    other = replace(line, account=AccountName("Order_B"))
    clock = '{"url": "https://h", "offset_ms": 1.5, "uncertainty_ms": 0.5, "lead_ms": 4.0}'
    would = '{"quantity": 5, "price": 5860, "reason": "dry run"}'
    notes = [(line, "warning", "words"), (line, "finished", None), (other, "dry", would), (other, "clock", clock)]
    journal.note(_RUN, [Note(each.account, kind, text) for each, kind, text in notes])


def _all_of(journal: SqliteJournal) -> Any:
    entries = journal.entries()
    reports = [journal.reports(entry.intent.order.client_order_id) for entry in entries]
    return entries, journal.open_entries(), reports, journal.run(_RUN), journal.newest_run(), journal.notes(_RUN)


_KEY: Final = "login"
_COLUMNS: Final = (
    "key",
    "raw",
    "store_time",
    "expire_time",
    "access_time",
    "access_count",
    "tag",
    "size",
    "mode",
    "filename",
    "value",
)


class CacheRows(Folder):
    """A real cache with rows that nobody of ours has written."""

    name = "cache"

    def __init__(self) -> None:
        super().__init__()
        with TtlCache(self.template / "cache") as cache:
            for kind in Kind:
                cache.put(kind, _KEY, {"token": "t", "ends_at_ms": 1, "until_ns": 1, "s": 2}, ttl_s=30)  # made up  # nosec B105
                cache.get(kind, _KEY)
            found = _instrument()
            cache.put(Kind.INSTRUMENT, "other", found)

    def make(self, rng: Random) -> bytes:
        """A few cells of some rows."""
        cells = [[rng.randrange(12), rng.choice(_COLUMNS), self._cell(rng)] for _ in range(rng.choice((1, 1, 2, 4)))]
        return json.dumps(cells).encode()

    @staticmethod
    def _cell(rng: Random) -> Any:
        kind = rng.randrange(8)
        if kind == 0:
            return rng.choice((None, 0, 1, 2, 3, 4, -1, 2**63 - 1, -(2**63)))
        if kind == 1:
            return rng.choice((0.0, -1.0, 1e308, 1e18, 1e12, "inf", "-inf"))
        data = spoiling.document([{"token": "t", "ends_at_ms": 1}, _instrument(), "1000003827"], rng)  # made up  # nosec B105
        if kind == 2:
            return {"blob": base64.b64encode(data).decode("ascii")}
        return {"text": base64.b64encode(data).decode("ascii")}

    def attempt(self, data: bytes) -> None:
        """Plant them, and use the cache in every way that there is."""
        try:
            cells = [(int(row), _COLUMNS.index(column), cell) for row, column, cell in json.loads(data)]
        except (ValueError, TypeError):
            return
        with self.copy() as folder:
            with contextlib.closing(sqlite3.connect(folder / "cache" / DBNAME)) as db, db:
                for row, column, cell in cells:
                    with contextlib.suppress(sqlite3.Error, ValueError, OverflowError):
                        value, mark = _planted(cell)
                        db.execute(
                            f"UPDATE Cache SET {_COLUMNS[column]} = {mark} WHERE rowid = "  # noqa: S608 - our own names  # nosec B608
                            "(SELECT rowid FROM Cache ORDER BY rowid LIMIT 1 OFFSET ?)",
                            (value, row),
                        )
            with contextlib.suppress(CacheError), TtlCache(folder / "cache") as cache:
                self._use(cache)

    @staticmethod
    def _use(cache: TtlCache) -> None:
        for kind in Kind:
            for key in (_KEY, "other"):
                for value in (cache.get(kind, key), cache.peek(kind, key)):
                    json.dumps(value, allow_nan=False)
                    found = cached_instrument.read(value)
                    expect(found is None or 0 < found.band.low <= found.band.high, "a band that is none")
                    number_in(value)
        json.dumps(cache.stats().as_json(), allow_nan=False)
        cache.put(Kind.BUYING_POWER, _KEY, "5")
        expect(cache.get(Kind.BUYING_POWER, _KEY) == "5", "what was just written is not there")
        cache.clean()
        cache.forget(Kind.TOKEN, _KEY)
        expect(cache.get(Kind.TOKEN, _KEY) is None, "what was just removed is there")
        cache.clear()
        expect(cache.stats().entries == 0, "something is left in an emptied cache")


def _planted(cell: Any) -> tuple[Any, str]:
    if isinstance(cell, dict):
        name, encoded = next(iter(cell.items()))
        return base64.b64decode(encoded), "CAST(? AS TEXT)" if name == "text" else "?"
    return (float(cell), "?") if cell in {"inf", "-inf"} else (cell, "?")


def _instrument() -> Any:
    names = {"id": "IRO1MHRN0001", "symbol": "مهرگان", "name": "گروه", "state": "A"}
    return {
        **names,
        "low": "5520",
        "high": "5860",
        "min": "1",
        "max": "200000",
        "lot": "1",
        "reference": "5690",
        "last": None,
    }
