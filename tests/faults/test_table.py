"""FAULTS.md names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parent.parent
TABLE = (TESTS.parent / "FAULTS.md").read_text("utf-8")


def test_every_test_named_in_the_table_exists() -> None:
    rows = [line for line in TABLE.splitlines() if re.match(r"\| \d+ \|", line)]
    assert [int(row.split("|")[1]) for row in rows] == list(range(1, len(rows) + 1))
    for row in rows:
        cell = row.split("|")[4]
        named = re.findall(r"`([\w/]*)((?:\w+\.py)?)(?:::(\w+))?`", cell)
        path = ""
        tests = 0
        for folder, file, test in named:
            path = f"{folder}{file}" if file else path
            if not test and not path.endswith(".py"):
                continue
            source = (TESTS / path).read_text("utf-8")
            assert not test or f"def {test}(" in source, f"{path}::{test}"
            tests += 1
        assert tests or "no test yet" in cell, row


def test_every_fault_test_is_in_the_table() -> None:
    for path in (TESTS / "faults").glob("test_*.py"):
        if path == Path(__file__):
            continue
        for name in re.findall(r"^async def (test_\w+)", path.read_text("utf-8"), re.MULTILINE):
            assert f"`faults/{path.name}::{name}`" in TABLE, name
