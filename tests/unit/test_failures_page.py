"""The page of failures is true of the tests at least: every one that it names is there."""

from __future__ import annotations

import re
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]


def test_every_row_names_tests_that_exist():
    page = (REPO / "docs" / "failures.md").read_text()
    tables = re.findall(r"^\| Failure .*\n\| ---.*\n((?:\|.*\n)+)", page, flags=re.MULTILINE)
    rows = [line.strip("| ").split(" | ") for table in tables for line in table.splitlines()]
    there = {
        name
        for path in (REPO / "tests").rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)", path.read_text())
    }

    assert len(rows) > 15
    for row in rows:
        named = re.findall(r"`(test_\w+)`", row[-1])
        assert named, f"no test for: {row[0]}"
        assert not set(named) - there, f"no such test: {set(named) - there}"
