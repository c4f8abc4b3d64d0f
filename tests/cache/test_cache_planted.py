"""Whoever can write into the cache's folder gets nothing executed, opened or removed."""

import json
import logging
import math
import os
import pickle
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from firstbell.cache import Kind, TtlCache
from firstbell.cache.rows import row_key
from firstbell.errors import CacheError

KEY = row_key(Kind.TOKEN, "a")


class Payload:
    """Unpickled, it leaves a mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.mark,)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def mark(tmp_path: Path) -> Iterator[Path]:
    """Appears if anything planted is executed."""
    mark = tmp_path / "executed"
    pickle.loads(pickle.dumps(Payload(mark)))  # noqa: S301 - the payload is shown to work
    assert mark.exists()
    mark.unlink()
    yield mark
    assert not mark.exists()


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Path]:
    """A file that planted rows name; it must survive unread."""
    victim = tmp_path / "victim"
    victim.write_text('"stolen"')
    yield victim
    assert victim.read_text() == '"stolen"'


def plant(folder: Path, sql: str, *values: object) -> None:
    """Write into the database behind the cache's back."""
    connection = sqlite3.connect(folder / "cache.db", isolation_level=None)
    try:
        connection.execute(sql, values)
    finally:
        connection.close()


def plant_row(folder: Path, **columns: object) -> None:
    now = time.time()
    row: dict[str, object] = {
        "key": KEY,
        "raw": 1,
        "store_time": now,
        "expire_time": now + 60,
        "access_time": now,
        "mode": 1,
        "filename": None,
        "value": '"planted"',
        **columns,
    }
    marks = ",".join("?" * len(row))
    plant(folder, f"INSERT OR REPLACE INTO Cache ({','.join(row)}) VALUES ({marks})", *row.values())  # noqa: S608


def rows(folder: Path) -> int:
    connection = sqlite3.connect(folder / "cache.db")
    try:
        count: int = connection.execute("SELECT COUNT(*) FROM Cache WHERE key NOT LIKE '%:token'").fetchone()[0]
        return count
    finally:
        connection.close()


def damaged(folder: Path) -> list[Path]:
    return sorted(folder.parent.glob("cache.damaged-*"))


def fresh(folder: Path) -> None:
    with TtlCache(folder) as cache:
        cache.put(Kind.TOKEN, "a", "ours")


def test_a_row_like_ours_is_read(folder: Path) -> None:
    """The other tests plant damage; this one shows that what they plant would otherwise be read."""
    fresh(folder)
    plant_row(folder)
    with TtlCache(folder) as cache:
        assert cache.get(Kind.TOKEN, "a") == "planted"


BAD_ROWS: list[Callable[[Path, Path], dict[str, object]]] = [
    lambda mark, victim: {"mode": 4, "value": pickle.dumps(Payload(mark))},  # noqa: ARG005
    lambda mark, victim: {"mode": 4, "value": None, "filename": str(victim)},  # noqa: ARG005
    lambda mark, victim: {"mode": 2, "value": None, "filename": str(victim)},  # noqa: ARG005
    lambda mark, victim: {"mode": 3, "value": None, "filename": str(victim)},  # noqa: ARG005
    lambda mark, victim: {"mode": 3, "value": None, "filename": "../victim"},  # noqa: ARG005
    lambda mark, victim: {"filename": str(victim)},  # noqa: ARG005
    lambda mark, victim: {"filename": 7},  # noqa: ARG005
    lambda mark, victim: {"value": pickle.dumps(Payload(mark))},  # noqa: ARG005
    *[
        (lambda mark, victim, value=value: {"value": value})  # noqa: ARG005
        for value in (
            None,
            1.5,
            7,
            b'"bytes"',
            "",
            "{",
            "null",
            "NaN",
            "1.5",
            '{"a":1,"a":2}',
            "Infinity",
            "[" * 100_000,
            '"x" trailing',
            "1" * 5000,
            '"' + "x" * (2 << 20) + '"',
        )
    ],
    lambda mark, victim: {"mode": None},  # noqa: ARG005
    lambda mark, victim: {"mode": "raw"},  # noqa: ARG005
    lambda mark, victim: {"expire_time": None},  # noqa: ARG005
    lambda mark, victim: {"expire_time": "for ever"},  # noqa: ARG005
]


@pytest.mark.parametrize("number", range(len(BAD_ROWS)))
def test_a_damaged_row_is_a_miss_and_goes(
    folder: Path, mark: Path, victim: Path, number: int, caplog: pytest.LogCaptureFixture
) -> None:
    fresh(folder)
    plant_row(folder, **BAD_ROWS[number](mark, victim))
    with TtlCache(folder) as cache, caplog.at_level(logging.WARNING):
        assert cache.get(Kind.TOKEN, "a") is None
        assert cache.stats().misses == 1
    assert rows(folder) == 0
    assert damaged(folder) == []
    assert "damaged" in caplog.text


@pytest.mark.parametrize("number", range(len(BAD_ROWS)))
def test_a_damaged_row_is_removed_by_whatever_meets_it(folder: Path, mark: Path, victim: Path, number: int) -> None:
    for meet in (
        TtlCache.stats,
        TtlCache.clear,
        lambda cache: cache.put(Kind.TOKEN, "a", "new", ttl_s=0),
        lambda cache: cache.forget(Kind.TOKEN, "a"),
    ):
        fresh(folder)
        plant_row(folder, **BAD_ROWS[number](mark, victim))
        with TtlCache(folder) as cache:
            meet(cache)
            assert cache.get(Kind.TOKEN, "a") is None
        assert rows(folder) == 0


@pytest.mark.parametrize("number", range(len(BAD_ROWS)))
def test_a_damaged_row_is_overwritten(folder: Path, mark: Path, victim: Path, number: int) -> None:
    fresh(folder)
    plant_row(folder, **BAD_ROWS[number](mark, victim))
    with TtlCache(folder) as cache:
        cache.put(Kind.TOKEN, "a", "new")
        assert cache.get(Kind.TOKEN, "a") == "new"


def test_text_that_is_no_utf_8_is_damage(folder: Path) -> None:
    fresh(folder)
    plant_row(folder)
    plant(folder, "UPDATE Cache SET value = CAST(x'22ff22' AS TEXT)")
    with TtlCache(folder) as cache:
        assert cache.get(Kind.TOKEN, "a") is None
    assert rows(folder) == 0


def test_a_row_that_would_live_too_long_is_damage(folder: Path) -> None:
    """Buying power of last week, or the clock set back: either way it is not the buying power of this minute."""
    fresh(folder)
    plant_row(folder, key=row_key(Kind.BUYING_POWER, "a"), expire_time=time.time() + 3600)
    with TtlCache(folder) as cache:
        assert cache.get(Kind.BUYING_POWER, "a") is None


@pytest.mark.parametrize("key", [b"pickle", 7, 1.5, "no colon", "token", "hits:nobody", "other:kind", ""])
def test_keys_that_are_not_ours_go_without_being_read(folder: Path, mark: Path, key: object) -> None:
    fresh(folder)
    planted = pickle.dumps(Payload(mark)) if key == b"pickle" else key
    plant_row(folder, key=planted, raw=0)
    plant_row(folder, key=planted, raw=1)
    with TtlCache(folder) as cache:
        assert cache.stats().entries == 1
        assert cache.clear() == 1


def test_expiry_and_culling_delete_no_file(folder: Path, victim: Path) -> None:
    fresh(folder)
    for number in range(30):
        plant_row(folder, key=f"token:{number}", expire_time=1.0, filename=str(victim), size=1 << 40)
    with TtlCache(folder) as cache:
        cache.put(Kind.TOKEN, "b", "put culls what has expired")
        cache.clean()
        assert cache.stats().entries == 2
    assert victim.exists()


@pytest.mark.parametrize("value", ["text", 1.5, b"bytes", None, 2**63 - 1, -7])
def test_a_planted_counter_is_begun_anew(folder: Path, value: object) -> None:
    fresh(folder)
    plant_row(folder, key="hits:token", value=value, expire_time=None)
    with TtlCache(folder) as cache:
        assert cache.get(Kind.TOKEN, "a") == "ours"
        assert cache.get(Kind.TOKEN, "a") == "ours"
        assert 0 <= cache.stats().hits <= 2
        cache.get(Kind.TOKEN, "a")
        assert 0 <= cache.stats().hits <= 3


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("disk_remove", "x"),
        ("disk__directory", "/"),
        ("disk_compress_level", 9),
        ("_directory", "/"),
        ("_path", "/"),
        ("fetch", "x"),
        ("sqlite_writable_schema", 1),
        ("sqlite_journal_mode = OFF; --", "x"),
        ("__class__", "x"),
        ("count", "many"),
        ("size", None),
        (b"sqlite_x", 1),
        ("", 1),
    ],
)
def test_planted_settings_begin_a_fresh_cache(folder: Path, key: object, value: object) -> None:
    fresh(folder)
    plant(folder, "INSERT OR REPLACE INTO Settings VALUES (?, ?)", key, value)
    with TtlCache(folder) as cache:
        assert cache.get(Kind.TOKEN, "a") is None
        cache.put(Kind.TOKEN, "a", "new")
    assert len(damaged(folder)) == 1


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("eviction_policy", "no such policy"),
        ("size_limit", 0),
        ("cull_limit", 10**9),
        ("sqlite_journal_mode", "delete"),
        ("sqlite_mmap_size", 1 << 40),
        ("sqlite_synchronous", "0; DROP TABLE Cache"),
        ("disk_min_file_size", 0),
        ("disk_pickle_protocol", 0),
        ("statistics", 1),
        ("tag_index", 1),
    ],
)
def test_known_settings_are_ours_whatever_stands_there(folder: Path, key: str, value: object) -> None:
    fresh(folder)
    plant(folder, "INSERT OR REPLACE INTO Settings VALUES (?, ?)", key, value)
    with TtlCache(folder) as cache:
        cache.put(Kind.TOKEN, "b", "x" * 50_000)
        assert cache.get(Kind.TOKEN, "a") == "ours"
        assert cache.get(Kind.TOKEN, "b") == "x" * 50_000
    assert damaged(folder) == []
    assert [path.name for path in folder.iterdir()] == ["cache.db"]


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TRIGGER planted AFTER INSERT ON Cache BEGIN DELETE FROM Settings; END",
        "CREATE TABLE Other (x)",
        "CREATE VIEW Planted AS SELECT 1",
        "CREATE INDEX Planted ON Cache (value)",
        "DROP TRIGGER Settings_count_insert",
        "ALTER TABLE Cache ADD COLUMN more",
        "DROP TABLE Cache",
    ],
)
def test_a_planted_schema_is_found(folder: Path, sql: str) -> None:
    """What is missing is made again by diskcache; whatever is more or other begins a fresh cache."""
    fresh(folder)
    plant(folder, sql)
    with TtlCache(folder) as cache:
        cache.put(Kind.TOKEN, "c", "new")
        assert cache.get(Kind.TOKEN, "c") == "new"
    assert len(damaged(folder)) == (0 if sql.startswith("DROP") else 1)


def test_a_view_in_the_tables_place_is_found(folder: Path) -> None:
    fresh(folder)
    plant(folder, "ALTER TABLE Cache RENAME TO Other")
    plant(folder, "CREATE VIEW Cache AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT i FROM n")
    with TtlCache(folder) as cache:
        assert cache.get(Kind.TOKEN, "a") is None
    assert len(damaged(folder)) == 1


@pytest.mark.parametrize("content", [b"garbage", b"SQLite format 3\x00" + b"\xff" * 8192])
def test_a_file_that_is_no_database_is_moved_aside(
    folder: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    folder.mkdir()
    (folder / "cache.db").write_bytes(content)
    with caplog.at_level(logging.WARNING), TtlCache(folder) as cache:
        cache.put(Kind.TOKEN, "a", "new")
        assert cache.get(Kind.TOKEN, "a") == "new"
    (aside,) = damaged(folder)
    assert (aside / "cache.db").read_bytes() == content
    assert str(aside) in caplog.text


def test_damage_while_it_is_open_is_moved_aside(folder: Path) -> None:
    with TtlCache(folder) as cache:
        for number in range(200):
            cache.put(Kind.TOKEN, f"{number}", "x" * 200)
        cache.close()
        cache.get(Kind.TOKEN, "0")
        size = (folder / "cache.db").stat().st_size
        with (folder / "cache.db").open("r+b") as file:
            file.seek(4096)
            file.write(os.urandom(size - 4096))
        cache.put(Kind.TOKEN, "a", "new")
        for number in range(200):
            cache.get(Kind.TOKEN, f"{number}")
        cache.stats()
        cache.close()
        cache.put(Kind.TOKEN, "a", "newer")
        assert cache.get(Kind.TOKEN, "a") == "newer"
    assert damaged(folder)


def test_a_database_removed_under_an_open_cache_is_begun_again(folder: Path) -> None:
    with TtlCache(folder) as cache:
        plant(folder, "DROP TABLE Cache")
        cache.put(Kind.TOKEN, "a", "new")
        assert cache.get(Kind.TOKEN, "a") == "new"


@pytest.mark.parametrize("name", ["cache.db", "cache.db-wal", "cache.db-shm"])
def test_links_pipes_and_folders_in_a_files_place_are_never_opened(folder: Path, victim: Path, name: str) -> None:
    def link(path: Path) -> None:
        path.symlink_to(victim)

    for place in (link, Path.mkdir, os.mkfifo):
        fresh(folder)
        (folder / name).unlink(missing_ok=True)
        place(folder / name)
        with TtlCache(folder) as cache:
            assert cache.get(Kind.TOKEN, "a") is None
            cache.put(Kind.TOKEN, "a", "new")
    assert len(damaged(folder)) == 3


def test_a_rollback_journal_is_never_played_back(folder: Path, victim: Path) -> None:
    """SQLite would look for the super-journal that it names, and delete it."""
    fresh(folder)
    name = str(victim).encode()
    tail = name + len(name).to_bytes(4, "big") + sum(name).to_bytes(4, "big") + b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"
    (folder / "cache.db-journal").write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + bytes(504) + tail)
    with TtlCache(folder) as cache:
        assert cache.get(Kind.TOKEN, "a") is None
    assert len(damaged(folder)) == 1


def test_a_read_only_folder_is_an_error_and_no_damage(folder: Path) -> None:
    fresh(folder)
    if os.geteuid() == 0:
        pytest.skip("nothing is read-only to root")
    folder.parent.chmod(0o500)
    try:
        with pytest.raises(CacheError):
            TtlCache(folder / "below" / "cache")
    finally:
        folder.parent.chmod(0o700)
    assert damaged(folder) == []


@pytest.mark.parametrize("times", [{"store_time": -math.inf}, {"expire_time": math.inf}])
def test_what_was_stored_never_or_lives_for_ever_is_damage(folder: Path, times: dict[str, object]) -> None:
    fresh(folder)
    plant_row(folder, **times)
    with TtlCache(folder) as cache:
        stats = cache.stats()
        json.dumps(stats.as_json(), allow_nan=False)
        assert stats.entries == 0
        assert cache.get(Kind.TOKEN, "a") is None
