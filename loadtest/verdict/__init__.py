"""The verdict: was the night right? Judged from the journal alone, by checks that know nothing of the
server but its wire and the published form of its store. One check, one file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypedDict

from loadtest.verdict import (
    adjusts,
    clean_exit,
    conservation,
    critical_gapless,
    freeze,
    late_payments,
    line,
    no_oversell,
    nothing_stranded,
    one_outcome,
    returns,
    state_equal,
    user_limit,
)
from loadtest.verdict.case import Case, load
from loadtest.verdict.tally import Finding

CHECKS: Final[dict[str, Callable[[Case], Finding]]] = {
    "no_oversell": no_oversell.check,
    "nothing_stranded": nothing_stranded.check,
    "one_outcome": one_outcome.check,
    "user_limit": user_limit.check,
    "adjusts": adjusts.check,
    "line": line.check,
    "late_payments": late_payments.check,
    "returns": returns.check,
    "freeze": freeze.check,
    "state_equal": state_equal.check,
    "critical_gapless": critical_gapless.check,
    "conservation": conservation.check,
    "clean_exit": clean_exit.check,
}


class Verdict(TypedDict):
    ok: bool
    checks: dict[str, Finding]


def judge(case: Case) -> Verdict:
    """Every check, in the order above. Pure."""
    checks = {name: check(case) for name, check in CHECKS.items()}
    return Verdict(ok=all(finding["ok"] for finding in checks.values()), checks=checks)


__all__ = ["CHECKS", "Case", "Finding", "Verdict", "judge", "load"]
