"""The mutants themselves: each says what it breaks, its patch applies, its tests exist; a few are tried.

``make mutants`` tries them all.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.mutants.mutant import ROOT, Mutant, copy_tree, mutants
from tests.mutants.trial import Fate, try_mutant

MUTANTS_MIN = 24
TRIED = ("limit", "gather-reply-swapped", "latch-never-cleared")
ALL = mutants()


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_tree(tmp_path_factory.mktemp("tree"))


def test_there_are_enough_and_they_break_what_counts() -> None:
    assert len(ALL) >= MUTANTS_MIN
    changed = {file for mutant in ALL for file in mutant.changed}
    stock = "liveserver/stock"
    assert changed >= {
        f"{stock}/lua/parts/fences.lua",
        f"{stock}/lua/parts/finish.lua",
        f"{stock}/lua/reserve.lua",
        f"{stock}/ledger.py",
        f"{stock}/gather.py",
        f"{stock}/latch.py",
        f"{stock}/sweeper.py",
        f"{stock}/audit.py",
        "liveserver/hub/stock_desk.py",
    }
    assert not any(file.startswith("tests/") for file in changed)


@pytest.mark.parametrize("mutant", ALL, ids=lambda mutant: mutant.name)
def test_its_patch_applies_and_its_tests_exist(mutant: Mutant, tree: Path) -> None:
    before = {file: (tree / file).read_text("utf-8") for file in mutant.changed}
    assert mutant.apply(tree) == ""
    for file, text in before.items():
        assert (tree / file).read_text("utf-8") != text
        (tree / file).write_text(text, "utf-8")
    for test in mutant.kills:
        path, _, name = test.partition("::")
        functions = ast.walk(ast.parse((ROOT / path).read_text("utf-8")))
        named = {one.name for one in functions if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert not name or name.partition("[")[0] in named, test


@pytest.mark.slow
@pytest.mark.parametrize("name", TRIED)
def test_the_tests_notice(name: str) -> None:
    (mutant,) = (one for one in ALL if one.name == name)
    trial = try_mutant(mutant)
    assert trial.fate is Fate.KILLED, trial.by


def test_one_that_breaks_nothing_survives_and_one_that_no_longer_applies_is_stale(tmp_path: Path) -> None:
    """The control: the trial itself can tell."""
    change = "--- a/liveserver/stock/latch.py\n+++ b/liveserver/stock/latch.py\n@@ -1,2 +1,3 @@\n{}\n+\n {}\n"
    first, second = (ROOT / "liveserver/stock/latch.py").read_text("utf-8").split("\n")[:2]
    said = "Breaks: nothing\nKills: tests/stock/test_latch.py::test_too_few_is_not_none_at_all\n"
    harmless, stale = tmp_path / "harmless.patch", tmp_path / "stale.patch"
    harmless.write_text(said + change.format(" " + first, second), "utf-8")
    stale.write_text(said + change.format(" no such line", "none such"), "utf-8")
    assert try_mutant(Mutant.read(harmless)).fate is Fate.SURVIVED
    assert try_mutant(Mutant.read(stale)).fate is Fate.STALE


def test_a_patch_that_says_nothing_of_itself_is_refused(tmp_path: Path) -> None:
    silent = tmp_path / "silent.patch"
    silent.write_text("--- a/x\n+++ b/x\n", "utf-8")
    with pytest.raises(ValueError, match=r"silent\.patch: say once what it 'Breaks:'"):
        Mutant.read(silent)
