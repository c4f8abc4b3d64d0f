"""Every reader for a moment with a fixed seed; the long run is `scripts/fuzz`."""

from __future__ import annotations

import contextlib
import json
import resource
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from fuzzing import __main__ as command  # noqa: E402 - it stands beside the scripts
from fuzzing import session, shrinking, trial  # noqa: E402
from fuzzing.targets import TARGETS  # noqa: E402
from fuzzing.targets.base import Plain  # noqa: E402

CASES = {
    "order": 1500,
    "answers": 1000,
    "http": 300,
    "transport": 15,
    "journal": 15,
    "cache": 15,
    "config": 100,
    "redaction": 60,
}


@pytest.mark.parametrize("name", TARGETS)
def test_no_reader_gives_way(name):
    with contextlib.closing(TARGETS[name]()) as target:
        tally = session.run(target, 20261121, cases=CASES.get(name, 200), patience_s=1)
    assert not [(finding.failure.words, finding.data[:300]) for finding in tally.findings]


class Brittle(Plain):
    """Gives way to each case with an 'x' in it, in one manner."""

    name = "brittle"

    def make(self, rng):
        return bytes(rng.choice(b"abcx") for _ in range(20))

    def attempt(self, data):
        if b"x" in data:
            raise KeyError(data.decode())


def test_a_reader_that_gives_way_is_found_and_its_case_made_small():
    tally = session.run(Brittle(), 1, cases=50)
    (finding,) = tally.findings
    assert (finding.data, tally.cases) == (b"x", 50)
    assert "KeyError" in finding.failure.kind
    assert b"x" in trial.make(Brittle(), 1, finding.case)
    assert trial.make(Brittle(), 1, 7) == trial.make(Brittle(), 1, 7) != trial.make(Brittle(), 2, 7)


def test_what_takes_too_long_or_too_much_is_found():
    greedy, slow = Brittle(), Brittle()
    more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 + (100 << 20)
    greedy.attempt = lambda _: b"x" * more

    def work(_):
        until = time.process_time() + 1.2
        while time.process_time() < until:
            pass

    slow.attempt = work
    assert trial.attempt(greedy, b"").kind == "large"
    # Where the machine is busy with other things, seconds of work take so long that it seems to hang.
    assert trial.attempt(slow, b"").kind in {"slow", "hangs"}
    assert trial.attempt(Brittle(), b"abc") is None
    assert shrinking.smaller(Brittle(), b"aaaxaa", "another kind", patience_s=1) == b"aaaxaa"


def test_the_command_finds_keeps_and_plays_again(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(command.TARGETS, "brittle", Brittle)
    kept = ["--findings", str(tmp_path / "found")]
    assert command.main(["--target", "brittle", "--seed", "1", "--cases", "50", "--json", *kept]) == 1
    told = json.loads(capsys.readouterr().out)
    (finding,) = told["findings"]
    assert (told["seed"], told["cases"], told["targets"]["brittle"]["cases"]) == (1, 50, 50)
    assert Path(finding["file"]).read_bytes() == b"x"
    assert command.main(["--target", "brittle", "--replay", finding["file"]]) == 1
    assert command.main(["--target", "brittle", "--seed", "1", "--case", str(finding["case"])]) == 1
    assert command.main(["--target", "words", "--cases", "5", "--seed", "1", *kept]) == 0
    assert "5 cases" in capsys.readouterr().out
