"""Does a test notice? One mutant in a copy of its own, its tests, and what came of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from tests.mutants.mutant import Mutant, copy_tree

TRIAL_S_MAX = 180
TESTS_FAILED = 1  # pytest's exit code; others mean that the tests could not be run
HEALTHY = 0


class Fate(StrEnum):
    KILLED = "killed"
    SURVIVED = "SURVIVED"
    STALE = "STALE"  # the patch applies no more
    BROKEN = "BROKEN"  # its tests could not be run, or didn't end


class Trial(msgspec.Struct, frozen=True):
    mutant: Mutant
    fate: Fate
    by: str  # the test that noticed; or what went wrong
    seconds: float


def try_mutant(mutant: Mutant) -> Trial:
    began = time.monotonic()
    with TemporaryDirectory(prefix=f"mutant-{mutant.name}-") as folder:
        tree = copy_tree(Path(folder))
        wrong = mutant.apply(tree)
        fate, by = (Fate.STALE, wrong) if wrong else _judge(tree, mutant.kills)
    return Trial(mutant, fate, by, time.monotonic() - began)


def try_healthy(tests: tuple[str, ...]) -> Trial:
    """The control: the same tests on the program as it is. It must survive."""
    began = time.monotonic()
    with TemporaryDirectory(prefix="mutant-none-") as folder:
        fate, by = _judge(copy_tree(Path(folder)), tests)
    return Trial(Mutant("none", "nothing: the control", tests, Path()), fate, by, time.monotonic() - began)


def _judge(tree: Path, tests: tuple[str, ...]) -> tuple[Fate, str]:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    env = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command, cwd=tree, env=env, capture_output=True, text=True, check=False, timeout=TRIAL_S_MAX
        )
    except subprocess.TimeoutExpired:
        return Fate.BROKEN, f"no end after {TRIAL_S_MAX} s"
    if done.returncode == HEALTHY:
        return Fate.SURVIVED, ""
    failed = re.findall(r"^FAILED (\S+)", done.stdout, re.MULTILINE)
    if done.returncode != TESTS_FAILED or not failed:
        return Fate.BROKEN, (done.stdout + done.stderr)[-600:]
    return Fate.KILLED, failed[0]
