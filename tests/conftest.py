"""What tests of several rooms share."""

from __future__ import annotations

import pytest
from hypothesis import settings

from postgres_server import PostgresServer, binaries

# A machine that is busy with other tests is slow, and nothing is wrong.
settings.register_profile("firstbell", deadline=None)
settings.load_profile("firstbell")


class SteppedClock:
    """Both clocks, moved by whoever waits on them: a test's time, in which nothing happens by itself."""

    def __init__(self, wall_ns: int = 1_795_238_000_000_000_000) -> None:
        self.now_ns = 0
        self._start_ns = wall_ns

    def wall_ns(self) -> int:
        return self._start_ns + self.now_ns

    def monotonic_ns(self) -> int:
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)

    def move_to(self, monotonic_ns: int) -> None:
        self.now_ns = max(self.now_ns, monotonic_ns)


@pytest.fixture
def stepped_clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture(scope="session")
def postgres_server():
    """A real PostgreSQL server on loopback; one for each process that runs tests, made when a test first asks."""
    folder = binaries()
    if folder is None:
        pytest.skip("no PostgreSQL server on this machine (on Debian and Ubuntu: apt-get install postgresql)")
    server = PostgresServer(folder)
    yield server
    server.remove()


@pytest.fixture
def postgres_url(postgres_server):
    """The address of a fresh, empty database for a journal."""
    return postgres_server.url(postgres_server.make_database())
