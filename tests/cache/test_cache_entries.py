import os
import signal
import stat
import subprocess
import sys
import threading
from decimal import Decimal
from pathlib import Path

import pytest

from firstbell.cache import Kind, TtlCache
from firstbell.errors import CacheError

COUNTED = [Kind.TOKEN, Kind.BUYING_POWER, Kind.INSTRUMENT, Kind.PREPARED_ORDER]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "cache"


def test_what_was_put_is_got_by_another_opener(folder: Path) -> None:
    value = {"price": "5860.0", "quantity": 170018, "name": "مهرگان", "list": [1, None, True, "x"]}
    with TtlCache(folder) as cache:
        cache.put(Kind.INSTRUMENT, "IRO1MHRN0001", value)
    with TtlCache(folder) as cache:
        assert cache.get(Kind.INSTRUMENT, "IRO1MHRN0001") == value


def test_kinds_do_not_share_keys(folder: Path) -> None:
    with TtlCache(folder) as cache:
        cache.put(Kind.TOKEN, "a", "t")
        assert cache.get(Kind.BUYING_POWER, "a") is None


def test_forgotten_and_replaced_entries(folder: Path) -> None:
    with TtlCache(folder) as cache:
        cache.put(Kind.TOKEN, "a", "old")
        cache.put(Kind.TOKEN, "a", "new")
        assert cache.get(Kind.TOKEN, "a") == "new"
        cache.forget(Kind.TOKEN, "a")
        cache.forget(Kind.TOKEN, "never there")
        assert cache.get(Kind.TOKEN, "a") is None


def test_an_entry_ends_with_its_time(folder: Path) -> None:
    with TtlCache(folder) as cache:
        cache.put(Kind.TOKEN, "a", "t", ttl_s=1e-6)
        cache.put(Kind.TOKEN, "b", "t", ttl_s=0)
        cache.put(Kind.TOKEN, "c", "t", ttl_s=-5)
        assert [cache.get(Kind.TOKEN, key) for key in "abc"] == [None, None, None]
        assert cache.stats().entries == 0


def test_a_put_with_nothing_left_to_live_removes_the_old_entry(folder: Path) -> None:
    with TtlCache(folder) as cache:
        cache.put(Kind.TOKEN, "a", "t")
        cache.put(Kind.TOKEN, "a", "t2", ttl_s=0)
        assert cache.get(Kind.TOKEN, "a") is None


@pytest.mark.parametrize("kind", [Kind.COOLDOWN, Kind.REFUSED_LOGIN])
def test_some_kinds_must_be_given_their_life(folder: Path, kind: Kind) -> None:
    with TtlCache(folder) as cache:
        with pytest.raises(ValueError, match="needs a time to live"):
            cache.put(kind, "a", 1)
        cache.put(kind, "a", 1, ttl_s=7)
        assert cache.get(kind, "a") == 1


def test_no_kind_lives_longer_than_it_is_true(folder: Path) -> None:
    with TtlCache(folder) as cache:
        with pytest.raises(ValueError, match="60 s at most"):
            cache.put(Kind.BUYING_POWER, "a", "1", ttl_s=61)
        with pytest.raises(ValueError, match="needs a time to live"):
            cache.put(Kind.TOKEN, "a", "1", ttl_s=float("inf"))
        cache.put(Kind.TOKEN, "a", "1", ttl_s=90_000)


@pytest.mark.parametrize("value", [None, 1.5, {"a": [0.5]}, Decimal(1), b"x", (1,), {1: 2}, [[object()]]])
def test_values_that_text_cannot_carry_exactly_are_refused(folder: Path, value: object) -> None:
    with TtlCache(folder) as cache, pytest.raises(TypeError):
        cache.put(Kind.TOKEN, "a", value)  # type: ignore[arg-type] # on purpose


def test_too_deep_and_too_long_values_are_refused(folder: Path) -> None:
    deep: list[object] = []
    for _ in range(30):
        deep = [deep]
    with TtlCache(folder) as cache:
        with pytest.raises(TypeError, match="deep"):
            cache.put(Kind.TOKEN, "a", deep)  # type: ignore[arg-type] # on purpose
        with pytest.raises(TypeError, match="too many"):
            cache.put(Kind.TOKEN, "a", "x" * (1 << 20))


def test_hits_and_misses_are_counted_by_kind_and_kept(folder: Path) -> None:
    with TtlCache(folder) as cache:
        cache.get(Kind.TOKEN, "a")
        cache.put(Kind.TOKEN, "a", "t")
        cache.get(Kind.TOKEN, "a")
        cache.get(Kind.COOLDOWN, "a")
        assert cache.peek(Kind.TOKEN, "a") == "t"
        assert cache.peek(Kind.TOKEN, "b") is None
    with TtlCache(folder) as cache:
        cache.get(Kind.TOKEN, "a")
        cache.get(Kind.BUYING_POWER, "a")
        stats = cache.stats()
    assert (stats.entries, stats.hits, stats.misses, stats.expired) == (1, 2, 2, 0)
    assert (stats.kinds[Kind.TOKEN].hits, stats.kinds[Kind.TOKEN].misses) == (2, 1)
    assert stats.kinds[Kind.BUYING_POWER].misses == 1
    assert stats.kinds[Kind.COOLDOWN].misses == 0


def test_the_numbers_as_json(folder: Path) -> None:
    with TtlCache(folder) as cache:
        cache.put(Kind.BUYING_POWER, "a", "1000")
        cache.put(Kind.TOKEN, "b", "t", ttl_s=1e-6)
        document = cache.stats().as_json()
    assert {key: document[key] for key in ("entries", "expired", "hits", "misses")} == {
        "entries": 1,
        "expired": 1,
        "hits": 0,
        "misses": 0,
    }
    kinds = document["kinds"]
    assert isinstance(kinds, dict)
    assert set(kinds) == {kind.value for kind in Kind}
    assert set(kinds["token"]) == {"entries", "hits", "misses", "oldest_age_s", "next_expiry_s"}
    assert kinds["token"]["oldest_age_s"] is None
    assert 0 <= kinds["buying_power"]["oldest_age_s"] < 60
    assert 0 < kinds["buying_power"]["next_expiry_s"] <= 60


def test_clean_removes_what_has_expired_and_clear_all(folder: Path) -> None:
    with TtlCache(folder) as cache:
        cache.put(Kind.TOKEN, "living", "t")
        cache.put(Kind.TOKEN, "other", "t")
        cache.put(Kind.TOKEN, "expired", "t", ttl_s=1e-6)
        cache.get(Kind.TOKEN, "living")
        assert cache.clean() == 1
        assert cache.get(Kind.TOKEN, "living") == "t"
        assert cache.clear() == 2
        assert cache.clear() == 0
        stats = cache.stats()
    assert (stats.entries, stats.hits, stats.misses) == (0, 0, 0)


def test_neither_keys_nor_removed_values_stand_in_the_files(folder: Path) -> None:
    with TtlCache(folder) as cache:
        cache.put(Kind.TOKEN, "user-in-the-key", "value-that-goes")
        cache.clear()
        cache.put(Kind.TOKEN, "user-in-the-key", "value-that-stays")
    written = b"".join(path.read_bytes() for path in folder.parent.rglob("*") if path.is_file())
    assert b"value-that-stays" in written
    assert b"user-in-the-key" not in written
    assert b"value-that-goes" not in written


def test_folder_and_files_are_their_owners_alone(folder: Path) -> None:
    old = os.umask(0)
    try:
        with TtlCache(folder) as cache:
            cache.put(Kind.TOKEN, "a", "t")
            modes = {path.name: stat.S_IMODE(path.lstat().st_mode) for path in folder.iterdir()}
    finally:
        os.umask(old)
    assert modes == {"cache.db": 0o600, "cache.db-wal": 0o600, "cache.db-shm": 0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(folder.with_name("cache.lock").stat().st_mode) == 0o600


def test_a_folder_left_open_is_closed(folder: Path) -> None:
    with TtlCache(folder) as cache:
        cache.put(Kind.TOKEN, "a", "t")
    folder.chmod(0o755)
    (folder / "cache.db").chmod(0o644)
    with TtlCache(folder) as cache:
        assert cache.get(Kind.TOKEN, "a") == "t"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "cache.db").stat().st_mode) == 0o600


def test_a_folder_that_is_a_link_is_refused(folder: Path, tmp_path: Path) -> None:
    folder.parent.mkdir()
    (tmp_path / "elsewhere").mkdir()
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CacheError, match="not a folder of its own"):
        TtlCache(folder)


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(CacheError, match="cannot be used"):
        TtlCache(tmp_path / "state" / "cache")


def test_a_folder_with_a_variables_name_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELSEWHERE", "x")
    with pytest.raises(CacheError, match="rename"):
        TtlCache(tmp_path / "$ELSEWHERE")
    assert list(tmp_path.iterdir()) == []


def test_the_cache_survives_a_fork(folder: Path) -> None:
    with TtlCache(folder) as cache:
        cache.put(Kind.TOKEN, "a", "of the parent")
        child = os.fork()
        if child == 0:
            try:
                ok = cache.get(Kind.TOKEN, "a") == "of the parent"
                cache.put(Kind.TOKEN, "b", "of the child")
                cache.close()
            finally:
                os._exit(0 if ok else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert cache.get(Kind.TOKEN, "b") == "of the child"


WRITER = """
import sys
import threading
from pathlib import Path
from firstbell.cache import Kind, TtlCache
with TtlCache(Path(sys.argv[1])) as cache:
    for number in range(100):
        cache.put(Kind.TOKEN, f"{sys.argv[2]}-{number}", number)
        assert cache.get(Kind.TOKEN, f"{sys.argv[2]}-{number}") == number
"""

GREENLETS = """
from gevent import monkey
monkey.patch_all()
import sys
import threading
from pathlib import Path
import gevent
from firstbell.cache import Kind, TtlCache
with TtlCache(Path(sys.argv[1])) as cache:
    def one(number):
        cache.put(Kind.TOKEN, f"{sys.argv[2]}-{number}", number)
        gevent.sleep(0)
        assert cache.get(Kind.TOKEN, f"{sys.argv[2]}-{number}") == number
    gevent.joinall([gevent.spawn(one, number) for number in range(100)], raise_error=True)
"""


def test_processes_threads_and_greenlets_share_it(folder: Path) -> None:
    """Four processes open it at the same moment, where nothing has been before, and lose no count."""
    programs = [WRITER, WRITER, GREENLETS, GREENLETS]
    running = [
        subprocess.Popen([sys.executable, "-c", program, str(folder), str(number)])
        for number, program in enumerate(programs)
    ]
    assert [process.wait(60) for process in running] == [0, 0, 0, 0]
    with TtlCache(folder) as cache:
        stats = cache.stats()
    assert (stats.entries, stats.hits, stats.misses) == (400, 400, 0)
    assert [path.name for path in folder.parent.iterdir() if "damaged" in path.name] == []


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_lock_that_another_thread_held_at_the_fork_holds_nobody_up(folder: Path) -> None:
    with TtlCache(folder) as cache:
        cache.put(Kind.TOKEN, "a", "t")
        taken, done = threading.Event(), threading.Event()

        def hold() -> None:
            with cache._held():
                taken.set()
                done.wait(30)

        holder = threading.Thread(target=hold)
        holder.start()
        taken.wait(30)
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            os._exit(0 if cache.get(Kind.TOKEN, "a") == "t" else 1)
        done.set()
        holder.join()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
