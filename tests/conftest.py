"""What tests of several rooms share."""

from __future__ import annotations

import pytest
from hypothesis import settings

from postgres_server import PostgresServer, binaries
from stepped_clock import SteppedClock

# A machine that is busy with other tests is slow, and nothing is wrong.
settings.register_profile("firstbell", deadline=None)
settings.load_profile("firstbell")


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
