"""A mutant: the program with one rule broken, as a patch that says what it breaks and who must notice.

    Breaks: a buyer gets one unit more than the limit
    Kills: tests/stock/test_contract.py::test_the_limit_counts_all_items_held_and_confirmed
    --- a/liveserver/…
    +++ b/liveserver/…
    @@ …

``Kills`` may stand more than once: any of them is enough. Context is kept small, so that a patch outlives
edits near it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import msgspec

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent.parent
COPIED = ("liveserver", "protocol", "loadtest", "tests", "pyproject.toml", "FAULTS.md")
CONTEXT_LINES = 1  # that must still be there around a change


class Mutant(msgspec.Struct, frozen=True):
    name: str
    breaks: str
    kills: tuple[str, ...]  # ids of tests, as pytest takes them
    path: Path

    @classmethod
    def read(cls, path: Path) -> Mutant:
        """Raises ``ValueError`` for a patch that doesn't say what it breaks, or who should notice."""
        header, _, _ = path.read_text("utf-8").partition("\n--- ")
        breaks = re.findall(r"^Breaks: (.+)$", header, re.MULTILINE)
        kills = re.findall(r"^Kills: (\S+)$", header, re.MULTILINE)
        if len(breaks) != 1 or not kills:
            raise ValueError(f"{path.name}: say once what it 'Breaks:', and which tests it 'Kills:'")
        return cls(path.stem, breaks[0], tuple(kills), path)

    @property
    def changed(self) -> set[str]:
        """The files it changes."""
        return set(re.findall(r"^\+\+\+ b/(\S+)", self.path.read_text("utf-8"), re.MULTILINE))

    def apply(self, tree: Path) -> str:
        """Breaks the tree. Answers what is wrong with the patch, empty if nothing is."""
        command = ["git", "apply", f"-C{CONTEXT_LINES}", str(self.path)]
        done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
        return done.stderr.strip() if done.returncode else ""


def mutants() -> list[Mutant]:
    return [Mutant.read(path) for path in sorted(FOLDER.glob("*.patch"))]


def copy_tree(into: Path) -> Path:
    """A copy of the program and its tests, with no repository around it."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, into / name, ignore=shutil.ignore_patterns("__pycache__", "*.patch"))
        else:
            shutil.copy(source, into / name)
    return into
