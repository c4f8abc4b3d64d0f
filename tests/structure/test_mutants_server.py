"""The server behind `scripts/mutants` measures each test of a file, whatever becomes of the others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = """
def test_one_that_passes():
    pass

def test_one_that_fails_under_coverage():
    assert False

def test_one_that_passes_after_it():
    pass
"""


def test_one_test_that_fails_does_not_lose_the_others_of_its_file(tmp_path):
    (tmp_path / "test_some.py").write_text(TESTS)
    with subprocess.Popen(
        [sys.executable, "-m", "mutation.server", "hot", "-c", "pyproject.toml", str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "scripts"), str(ROOT / "src")])},
    ) as server:
        names = json.loads(server.stdout.readline())["tests"]
        job = {"id": "some", "kind": "measure", "tests": names, "include": [str(tmp_path / "*")]}
        server.stdin.write(json.dumps({**job, "wall_s": 60, "cpu_s": 60}) + "\n")
        server.stdin.flush()
        measured = json.loads(server.stdout.readline())
        server.stdin.close()
    assert measured["outcome"] == "measured"
    assert [measured["of"][name]["outcome"] for name in names] == ["passed", "failed", "passed"]
