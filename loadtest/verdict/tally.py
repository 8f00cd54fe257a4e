"""How a check reports: what it looked at, and the first things it found wrong."""

from __future__ import annotations

from typing import Final, TypedDict

DETAIL_LINES_MAX: Final = 12


class Finding(TypedDict):
    """``ok`` only if something was examined and nothing was wrong."""

    ok: bool
    examined: int
    violations: int
    detail: list[str]


class Tally:
    def __init__(self) -> None:
        self.examined = 0
        self._violations = 0
        self._detail: list[str] = []
        self._remarks: list[str] = []

    def expect(self, holds: bool, wrong: str) -> None:
        """One thing examined; ``wrong`` says what it was if it does not hold."""
        self.examined += 1
        if not holds:
            self.wrong(wrong)

    def wrong(self, what: str) -> None:
        self._violations += 1
        if len(self._detail) < DETAIL_LINES_MAX:
            self._detail.append(what)

    def remark(self, what: str) -> None:
        """Worth telling, nothing wrong."""
        self._remarks.append(what)

    def finding(self) -> Finding:
        detail = list(self._detail)
        if not self.examined:
            detail.insert(0, "nothing was examined")
        return Finding(
            ok=self.examined > 0 and not self._violations,
            examined=self.examined,
            violations=self._violations,
            detail=detail + self._remarks,
        )
