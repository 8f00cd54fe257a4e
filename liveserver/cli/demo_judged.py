"""Who judges the demo's night: modules in processes of their own, for nothing here imports the load test."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Final

from liveserver.cli.demo_wanted import Stops

VERDICT_S_MAX: Final = 300.0


async def prove(stops: Stops, store_url: str) -> bool | None:
    """Every sale from its own feed, as anybody could while it sells."""
    return await judged(stops, "liveserver", "ledger", "verify", "--redis-url", store_url)


async def verdict(stops: Stops, journal: Path, checks: Path) -> bool | None:
    """Judge the journal; ``checks`` is written."""
    return await judged(stops, "loadtest", "verdict", str(journal), "--report", str(checks))


async def judged(stops: Stops, *command: str) -> bool | None:
    """By a module in a process of its own that writes to our own output. ``None``: it did not finish."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", *command, start_new_session=True)
    judged, stop = asyncio.create_task(process.wait()), asyncio.create_task(stops.asked.wait())
    try:
        await asyncio.wait({judged, stop}, timeout=VERDICT_S_MAX, return_when=asyncio.FIRST_COMPLETED)
        return judged.result() == 0 if judged.done() else None
    finally:
        stop.cancel()
        if process.returncode is None:
            process.kill()
        await asyncio.gather(judged, stop, return_exceptions=True)
