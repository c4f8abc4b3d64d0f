from __future__ import annotations

import json
import stat
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from firstbell.errors import RunError
from firstbell.sniper.measured import Measured, MeasuredHost, load, save

HOST = MeasuredHost(
    broker_codes=("gs", "bbi"),
    url="https://api.example",
    offset_ms=Decimal("-800.25"),
    uncertainty_ms=Decimal("20.5"),
    round_trips_ms=(Decimal("40.125"), Decimal(43)),
    expected_delay_ms=Decimal("5.9"),
)
MEASURED = Measured(measured_at=datetime(2026, 11, 20, 20, 0, tzinfo=UTC), hosts=(HOST,))

NO_TRIPS = """{"schema": 1, "measured_at": "2026-11-20T20:00:00Z", "hosts": [
    {"broker_codes": ["gs"], "url": "x", "offset_ms": 0.5, "uncertainty_ms": 1, "round_trips_ms": []}]}"""


def test_what_is_saved_is_read_again(tmp_path):
    path = save(tmp_path / "state", MEASURED)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load(tmp_path / "state") == MEASURED
    document = json.loads(path.read_text())
    assert document["schema"] == 1
    assert document["hosts"][0] == {
        "broker_codes": ["gs", "bbi"],
        "url": "https://api.example",
        "offset_ms": -800.25,
        "uncertainty_ms": 20.5,
        "round_trips_ms": [40.125, 43.0],
        "expected_delay_ms": 5.9,
    }
    save(tmp_path / "state", MEASURED.model_copy(update={"hosts": ()}))
    assert load(tmp_path / "state").hosts == ()
    assert [each.name for each in (tmp_path / "state").iterdir()] == ["measured.json"]


def test_nothing_measured_is_nothing(tmp_path):
    assert load(tmp_path) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"schema": 2, "measured_at": "2026-11-20T20:00:00Z", "hosts": []}',
        '{"schema": 1, "measured_at": "2026-11-20T20:00:00", "hosts": []}',
        '{"schema": 1, "measured_at": "2026-11-20T20:00:00Z", "hosts": [{"url": "x"}]}',
        NO_TRIPS,
        NO_TRIPS.replace("[]}", "[1]}").replace("0.5", "NaN"),
        NO_TRIPS.replace("[]}", "[-1]}"),
    ],
)
def test_a_damaged_file_is_told_with_its_remedy(tmp_path, text):
    (tmp_path / "measured.json").write_text(text)
    with pytest.raises(RunError, match="it is damaged; `firstbell preflight` writes it anew"):
        load(tmp_path)


def test_what_cannot_be_read_or_written_is_told(tmp_path):
    (tmp_path / "measured.json").mkdir()
    with pytest.raises(RunError, match="measured.json cannot be read"):
        load(tmp_path)
    with pytest.raises(RunError, match="measured.json cannot be written"):
        save(tmp_path, MEASURED)
    assert [each.name for each in tmp_path.iterdir()] == ["measured.json"]
