"""No advisory concerns a pinned version, or one that the lower bounds of what firstbell itself uses admit."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
ROW = re.compile(
    r"^\| (?P<package>[\w-]+) \| (?P<advisory>(?:CVE|GHSA|PYSEC)-[\w-]+) \| (?P<fixed>\S+) \| .+ \| (?P<answer>.+) \|$",
    re.MULTILINE,
)
ROWS = [match.groupdict() for match in ROW.finditer((ROOT / "docs" / "advisories.md").read_text(encoding="utf-8"))]
PINNED = {
    canonicalize_name(name): Version(version)
    for name, _, version in (
        line.partition("==")
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line
    )
}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOWEST = {
    canonicalize_name(each.name): Version(next(iter(each.specifier)).version)
    for each in map(Requirement, PROJECT["dependencies"])
}


def test_the_table_is_read():
    assert len(ROWS) > 40
    assert {row["package"] for row in ROWS if row["fixed"] == "none"} == {"diskcache"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["advisory"])
def test_what_is_pinned_is_not_concerned(row):
    package = canonicalize_name(row["package"])
    assert package in PINNED, "not a dependency: take it off the table"
    assert row["answer"].strip()
    if row["fixed"] != "none":
        assert PINNED[package] >= Version(row["fixed"])
        if package in LOWEST:
            assert LOWEST[package] >= Version(row["fixed"]), "raise the lower bound in pyproject.toml"
