from __future__ import annotations

import json
import subprocess
import sys

import pytest

import firstbell.oms


def imported_by(line: str) -> set[str]:
    """Which of our modules a fresh interpreter has imported after one line."""
    shown = "import json, sys; print(json.dumps([name for name in sys.modules if name.startswith('firstbell')]))"
    ended = subprocess.run([sys.executable, "-c", f"{line}; {shown}"], check=True, capture_output=True, text=True)
    return set(json.loads(ended.stdout))


@pytest.mark.parametrize("name", firstbell.oms.__all__)
def test_every_name_that_is_offered_is_there(name):
    assert getattr(firstbell.oms, name).__name__ == name
    assert name in dir(firstbell.oms)


def test_no_other_name_is():
    with pytest.raises(AttributeError, match="has no attribute 'OrderAction'"):
        _ = firstbell.oms.OrderAction
    assert firstbell.oms.__all__ == sorted(firstbell.oms._WHERE)


def test_nothing_is_imported_that_was_not_asked_for():
    assert imported_by("import firstbell.oms") == {"firstbell", "firstbell.oms"}
    found = imported_by("from firstbell.oms import OrderRequest")
    assert "firstbell.model.order_request" in found
    assert not any(name.startswith(("firstbell.oms.", "firstbell.brokers", "firstbell.journal")) for name in found)
