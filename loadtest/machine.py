"""Which core does what, and what the figures were measured on."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any, Final

LIBRARIES: Final = ("redis", "hiredis", "uvloop", "msgspec", "orjson", "websockets")
GIT_TIMEOUT_S: Final = 5.0


def cores() -> list[int]:
    """Those we may run on. Read it before anything is pinned."""
    return sorted(os.sched_getaffinity(0))


def pin(pid: int, core: int) -> None:
    """``pid`` 0 is the caller."""
    os.sched_setaffinity(pid, {core})


def pin_all(cores: list[int]) -> None:
    os.sched_setaffinity(0, set(cores))


def facts(cores: list[int]) -> dict[str, Any]:
    return {
        "cpu": _cpu(),
        "cores": len(cores),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "libraries": {name: metadata.version(name) for name in LIBRARIES},
    }


def free_bytes() -> int | None:
    """Memory that can be had without swapping; None where nobody says."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(found[0]) * 1024 if found else None


def commit() -> str:
    """Of the working tree this runs from, ``+`` if something in it is changed; empty where it is none."""
    try:
        return _git("rev-parse", "--short=12", "HEAD") + ("+" if _git("status", "--porcelain") else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def _git(*arguments: str) -> str:
    here = Path(__file__).parent
    done = subprocess.run(
        ["git", "-C", str(here), *arguments],
        capture_output=True,
        check=True,
        text=True,
        timeout=GIT_TIMEOUT_S,
    )
    return done.stdout.strip()


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
