"""A journal for the tests of this folder, in each kind of database."""

from __future__ import annotations

import pytest
from journal_orders import Place


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request, tmp_path):
    """An empty place for a journal, once in SQLite and once in PostgreSQL."""
    server = request.getfixturevalue("postgres_server") if request.param == "postgresql" else None
    place = Place(tmp_path / "state" / "journal.db", server)
    yield place
    place.close()


@pytest.fixture
def postgres_place(postgres_server, tmp_path):
    """An empty place for a journal in PostgreSQL."""
    place = Place(tmp_path / "no.db", postgres_server)
    yield place
    place.close()


@pytest.fixture
def journal(place):
    return place.open()
