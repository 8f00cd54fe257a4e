"""Locust as a process of its own: gevent patches what it likes there, and nothing here."""

from __future__ import annotations

import asyncio
import csv
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
LOCUSTFILE = ROOT / "loadtest" / "locust" / "locustfile.py"
WAIT_SECONDS_MAX = 60


class Row(NamedTuple):
    requests: int
    failures: int


class Outcome(NamedTuple):
    code: int
    said: str
    rows: dict[tuple[str, str], Row]  # by how it ended and what was asked
    failures: dict[tuple[str, str], str]

    @property
    def names(self) -> set[str]:
        return {name for _, name in self.rows}


async def start(*arguments: str, secret: str) -> asyncio.subprocess.Process:
    """``locust -f OUR_FILE …``; whoever starts it ends it."""
    environment = os.environ | {"LIVESERVER_SECRET": secret, "PYTHONPATH": str(ROOT)}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), *arguments),
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


async def ended(running: asyncio.subprocess.Process, tables: Path | None = None) -> Outcome:
    """How it went; killed where it doesn't come to its end. ``tables``: the prefix given to ``--csv``."""
    try:
        said, _ = await asyncio.wait_for(running.communicate(), WAIT_SECONDS_MAX)
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()
    assert running.returncode is not None
    return Outcome(running.returncode, said.decode(), *_read(tables))


def _read(tables: Path | None) -> tuple[dict[tuple[str, str], Row], dict[tuple[str, str], str]]:
    if tables is None:
        return {}, {}
    rows = {
        (row["Type"], row["Name"]): Row(int(row["Request Count"]), int(row["Failure Count"]))
        for row in _table(f"{tables}_stats.csv")
        if row["Name"] != "Aggregated"
    }
    failures = {(row["Method"], row["Name"]): row["Error"] for row in _table(f"{tables}_failures.csv")}
    return rows, failures


def _table(path: str) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
