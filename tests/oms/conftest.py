"""What most tests of the order manager begin with."""

from __future__ import annotations

import pytest
from oms_desk import Desk


@pytest.fixture
def desk(tmp_path, stepped_clock):
    """A desk on a market that has traded, quoted around that price."""
    made = Desk(tmp_path, stepped_clock)
    made.quote(4860, 4870)
    made.trade(4865, 10)
    yield made
    made.close()
