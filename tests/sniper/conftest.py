"""What several tests of this folder use; and Locust is first imported here, whichever of them runs first or alone."""

from __future__ import annotations

import pytest
import sniper_locust as _sniper_locust  # noqa: F401 - for what importing it does
from sniper_house import House

from firstbell.journal.sqlite import SqliteJournal


@pytest.fixture
def house(tmp_path, stepped_clock):
    journal = SqliteJournal(tmp_path / "journal.db", stepped_clock)
    yield House(tmp_path, stepped_clock, journal)
    journal.close()
