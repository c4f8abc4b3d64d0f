"""Simulated histories: every promise is kept in hundreds of them, and planted bugs are caught."""

import os
import subprocess
import sys

import pytest
from simulation.history import play
from simulation.many import play_some
from simulation.mutants import MUTANTS, Mutant, Patch, planted

COUNT = 120
REPLAYED = (3, 20, 111)
# Bug → seeds among which one catches it.
CAUGHT = {
    "resend on time-out": range(8),
    "resend after 5xx": range(8),
    "claim after send": range(8),
    "HTTP 200 is accepted": range(8),
    "absent after one look": range(8),
    "recovery leaves the dead alone": range(8),
    "the interval is not kept": range(8),
}


@pytest.mark.parametrize("part", range(4))
def test_every_promise_is_kept(part):
    seeds = range(part * COUNT // 4, (part + 1) * COUNT // 4)
    tally = play_some(seeds)
    assert tally.histories == len(seeds)
    assert tally.broken == []
    # They are worth something only where much goes wrong and much is accepted all the same.
    assert tally.met["exchange: accepted"] > len(seeds) // 2
    assert tally.met["kills"] > len(seeds) // 10
    assert tally.met["faults"] > len(seeds)


@pytest.mark.parametrize("seed", REPLAYED)
def test_a_seed_gives_the_same_history_again(seed, tmp_path):
    once, again = (play(seed, tmp_path, recording=True) for _ in range(2))
    assert once.lines == again.lines
    assert len(once.lines) > 20


def test_a_seed_gives_the_same_history_in_another_process(tmp_path):
    seed = REPLAYED[0]
    here = play(seed, tmp_path, recording=True)
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "simulation", "--seed", str(seed)]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[:-1] == list(here.lines)


@pytest.mark.parametrize("name", CAUGHT)
def test_planted_bugs_are_caught(name):
    assert play_some(CAUGHT[name], name, until_broken=True).broken


def test_every_bug_can_be_planted_and_taken_out_again(tmp_path):
    before = play(0, tmp_path)
    for mutant in MUTANTS:
        with planted(mutant):
            pass
    assert play(0, tmp_path) == before


def test_a_bug_whose_place_is_gone_is_said():
    gone = Mutant("gone", (Patch("firstbell.oms.decision", "next_step", "no such code", ""),))
    with pytest.raises(LookupError, match="no such code"), planted(gone):
        pytest.fail("planted all the same")
    helpless = Mutant("helpless", (Patch("firstbell.oms.decision", "said", "return", "return nowhere and"),))
    with pytest.raises(LookupError, match="needs nowhere, which is not there"), planted(helpless):
        pytest.fail("planted all the same")
