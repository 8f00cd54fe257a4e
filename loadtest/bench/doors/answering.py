"""What each server's process says of itself, by lines of JSON."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
from pathlib import Path
from typing import Any

import orjson


async def answer(told: dict[str, Any], also: list[int]) -> None:
    """Say that we listen, then tell CPU and memory whenever a line comes; returns when the input ends.
    ``also``: other processes of this server's, whose memory counts too. Cancelled, it leaves nothing."""
    _say(pids=[os.getpid(), *also], **told)
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):
        gc.collect()  # what lies in dead cycles is nobody's viewer
        began = time.process_time()
        kb = sum(map(_pss_kb, [os.getpid(), *also]))
        _say(cpu_s=began, pss_kb=kb, spent_s=time.process_time() - began)


def _pss_kb(pid: int) -> int:
    """Resident memory, shared pages by their share (Linux)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise RuntimeError(f"the kernel tells no Pss of {pid}")


def _say(**what: object) -> None:
    sys.stdout.buffer.write(orjson.dumps(what) + b"\n")
    sys.stdout.buffer.flush()
