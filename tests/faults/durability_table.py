"""The durability table of FAULTS.md, from its tests' figures: ``python -m tests.faults.durability_table``.

It runs ``test_durability_table.py`` and writes what each of its cells counted and measured between the two
marks in FAULTS.md."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from liveserver.stock.port import Durability
from liveserver.store.embedded import Fsync

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "FAULTS.md"
TESTS = "tests/faults/test_durability_table.py"
FIGURES = "LIVESERVER_TEST_FIGURES"  # where ``note`` writes, if it is set
BEGIN, END = "<!-- durability: begin -->", "<!-- durability: end -->"
SECONDS_MAX = 600
FAULTS = {
    "kill": "kill -9, disk slow",
    "crash": "the host crashes",
    "failover": "failover to a replica cut off before",
    "full": "the disk is full",
}


class Mode(msgspec.Struct, frozen=True):
    name: str
    fsync: Fsync
    replicated: bool
    text: str

    @property
    def asked(self) -> Durability:
        return Durability(self.name.partition("-")[0])

    @property
    def waits_for_disk(self) -> bool:
        return self.safe

    @property
    def safe(self) -> bool:
        """The next server may trust that it has all that was told, so the sale goes on."""
        return self.fsync == "always"


MODES = [
    Mode("memory", "everysec", False, "`memory` (`everysec`)"),
    Mode("fsynced", "always", False, "`fsynced` (`always`)"),
    Mode("replicated", "everysec", True, "`replicated`, both `everysec`"),
    Mode("replicated-always", "always", True, "`replicated`, both `always`"),
]


class Cell(msgspec.Struct, frozen=True):
    mode: str
    fault: str
    told: int  # reservations
    lost: int  # of them
    answered_ms: float
    goes_on: bool  # else the sale is frozen

    @property
    def text(self) -> str:
        then = "goes on" if self.goes_on else "frozen"
        return f"{self.lost} of {self.told} lost; {then} after {self.answered_ms:.0f} ms"


def note(cell: Cell) -> None:
    """Every cell is printed, and kept where somebody asks for it."""
    print(f"\n{cell.mode}, {FAULTS[cell.fault]}: {cell.text}")
    if path := os.environ.get(FIGURES):
        with open(path, "ab") as file:
            file.write(msgspec.json.encode(cell) + b"\n")


def table(cells: list[Cell]) -> str:
    """Raises ``KeyError`` where a cell is missing."""
    found = {(cell.mode, cell.fault): cell.text for cell in cells}
    lines = [
        "| durability | " + " | ".join(FAULTS.values()) + " |",
        "|---" * (1 + len(FAULTS)) + "|",
    ]
    for mode in MODES:
        lines.append(f"| {mode.text} | " + " | ".join(found[mode.name, fault] for fault in FAULTS) + " |")
    return "\n".join(lines)


def main() -> None:
    with tempfile.NamedTemporaryFile() as figures:
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", TESTS, "-k", "not in_the_docs"],
            cwd=ROOT,
            env={**os.environ, FIGURES: figures.name},
            check=True,
            timeout=SECONDS_MAX,
        )
        cells = [msgspec.json.decode(line, type=Cell) for line in figures]
    before, _, rest = DOCS.read_text("utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    DOCS.write_text(f"{before}{BEGIN}\n\n{table(cells)}\n\n{END}{after}", "utf-8")


if __name__ == "__main__":
    main()
