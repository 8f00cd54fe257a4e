"""``python -m tests.mutants [NAME…]``: breaks the program in every way there is a patch for.

Prints a table. Exit code 1 if a mutant survives, a patch applies no more, or the tests fail without any.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from rich.console import Console
from rich.table import Table

from tests.mutants.mutant import Mutant, mutants
from tests.mutants.trial import Fate, Trial, try_healthy, try_mutant

WIDTH_MIN = 160


def main(names: Sequence[str]) -> int:
    chosen = [mutant for mutant in mutants() if not names or mutant.name in names]
    strangers = set(names) - {mutant.name for mutant in chosen}
    if strangers:
        print(f"no such mutant: {', '.join(sorted(strangers))}; they are named as their patches")
        return 2
    tests = tuple(sorted({test for mutant in chosen for test in mutant.kills}))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        control = pool.submit(try_healthy, tests)
        trials = list(pool.map(_told, chosen))
    healthy = control.result()
    console = Console(width=max(WIDTH_MIN, Console().width))
    console.print(_table(trials))
    survivors = [trial for trial in trials if trial.fate is not Fate.KILLED]
    for trial in survivors:
        console.print(f"{trial.mutant.name}: {trial.fate} {trial.by}", markup=False)
    if healthy.fate is not Fate.SURVIVED:
        console.print(f"the program as it is fails them too: {healthy.by}", markup=False)
    seconds = sum(trial.seconds for trial in trials)
    console.print(
        f"{len(trials) - len(survivors)} of {len(trials)} mutants killed, in {seconds:.0f} s of trials"
    )
    return int(bool(survivors) or healthy.fate is not Fate.SURVIVED)


def _told(mutant: Mutant) -> Trial:
    trial = try_mutant(mutant)
    print(f"{trial.fate:9} {mutant.name}", file=sys.stderr, flush=True)
    return trial


def _table(trials: Sequence[Trial]) -> Table:
    table = Table("mutant", "what it breaks", "", "killed by", "s", box=None)
    for trial in trials:
        by = trial.by.removeprefix("tests/") if trial.fate is Fate.KILLED else ""
        mutant = trial.mutant
        table.add_row(mutant.name, mutant.breaks, trial.fate.value, by, f"{trial.seconds:.1f}")
    return table


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
