"""What processes use, read from /proc: CPU seconds, and memory as their proportional share (PSS)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

_TICKS_A_SECOND: Final = os.sysconf("SC_CLK_TCK")
_CHILDREN_MAX: Final = 256
STORE: Final = ("valkey", "redis")


class Use(NamedTuple):
    """Of the server's own processes, and of the store's beside them."""

    cpu_s: float
    pss_kb: int
    store_cpu_s: float
    store_pss_kb: int


def use(pid: int) -> Use:
    """Of a process and all that came of it. What has ended meanwhile counts nothing."""
    own = [0.0, 0.0]
    store = [0.0, 0.0]
    for each in family(pid):
        into = store if _name(each).startswith(STORE) else own
        into[0] += _cpu_s(each)
        into[1] += _pss_kb(each)
    return Use(own[0], int(own[1]), store[0], int(store[1]))


def family(pid: int) -> list[int]:
    found, asked = [pid], 0
    while asked < len(found) <= _CHILDREN_MAX:
        for path in Path(f"/proc/{found[asked]}/task").glob("*/children"):
            found += [int(child) for child in _read(path).split()]
        asked += 1
    return found


def _name(pid: int) -> str:
    return _read(Path(f"/proc/{pid}/comm")).strip()


def _cpu_s(pid: int) -> float:
    fields = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND if len(fields) > 12 else 0.0


def _pss_kb(pid: int) -> int:
    for line in _read(Path(f"/proc/{pid}/smaps_rollup")).splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
