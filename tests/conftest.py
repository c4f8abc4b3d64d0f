"""What tests of several rooms share."""

from __future__ import annotations

import logging
import os
from itertools import islice

import pytest
from hypothesis import settings

from postgres_server import PostgresServer, binaries
from stepped_clock import SteppedClock

# A machine that is busy with other tests is slow, and nothing is wrong.
settings.register_profile("firstbell", deadline=None)
settings.load_profile("firstbell")


_WAITING = {"e2e", "kills"}
"""Rooms whose tests wait for a bell most of their time."""
_OTHERS = 2
"""So many of seven processes and more have work for the processor meanwhile, and leave it to those that wait."""


def pytest_collection_modifyitems(items):
    """Where several processes run the tests, those that wait come first: one process would end with all of them."""
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    waiting = [item for item in items if _WAITING & {*item.path.parts}]
    others = iter([item for item in items if not _WAITING & {*item.path.parts}])
    if processes > 1 and len(waiting) < len(items):
        begin = processes - _OTHERS if processes > 3 * _OTHERS else processes
        shares = [waiting[number::begin] if number < begin else [] for number in range(processes)]
        if int(os.environ["PYTEST_XDIST_WORKER"].removeprefix("gw")) >= begin:
            os.nice(2)
        length = len(items) // processes
        ordered = [item for share in shares for item in (*share, *islice(others, length - len(share)))]
        items[:] = [*ordered, *others]


@pytest.fixture(autouse=True)
def _the_log_stays_as_it_was():
    """A test that silences a logger for good is found itself, not by whichever test listens after it."""
    before = _silenced()
    yield
    assert _silenced() == before


def _silenced():
    loggers = [
        (name, logger.level, logger.disabled, logger.propagate)
        for name, logger in logging.root.manager.loggerDict.items()
        if name.startswith("firstbell") and isinstance(logger, logging.Logger)
    ]
    return logging.root.manager.disable, [entry for entry in loggers if entry[1:] != (logging.NOTSET, False, True)]


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
