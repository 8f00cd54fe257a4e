"""The server's counters, read from the Prometheus text it serves. Several processes behind one address stand
in it with the label ``process``; beside it and ``fate``, labels are summed over."""

from __future__ import annotations

import re
from typing import Final

_LINE: Final = re.compile(r"^(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>[^}]*)\})?\s+(?P<value>\S+)")
_FATE: Final = re.compile(r'fate="([^"]*)"')
_PROCESS: Final = re.compile(r'process="([^"]*)"')


def by_process(text: str) -> dict[str, str]:
    """The lines of each process, by its name; all under "" where there is one alone, which has no label."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        match = _LINE.match(line)
        if match is not None:
            process = _PROCESS.search(match["labels"] or "")
            found.setdefault(process[1] if process else "", []).append(line)
    return {process: "\n".join(lines) for process, lines in found.items()}


def by_fate(text: str, name: str) -> dict[str, int]:
    """Every ``fate`` of one counter; empty if it is not there."""
    found: dict[str, int] = {}
    for line in text.splitlines():
        match = _LINE.match(line)
        if match is None or match["name"] != name:
            continue
        fate = _FATE.search(match["labels"] or "")
        if fate is not None:
            found[fate[1]] = found.get(fate[1], 0) + int(float(match["value"]))
    return found


def total(text: str, name: str) -> int | None:
    """One counter, summed over everything; None if it is not there."""
    found = [match for match in map(_LINE.match, text.splitlines()) if match and match["name"] == name]
    return sum(int(float(match["value"])) for match in found) if found else None
