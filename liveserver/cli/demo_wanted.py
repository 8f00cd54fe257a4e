"""What the demo was asked for, and whether it was asked to stop."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from liveserver.app import Running
from liveserver.workers.supervisor import Supervisor

Server = Running | Supervisor


class Wanted(msgspec.Struct, frozen=True):
    folder: Path  # the demo's own, gone at its end
    journal: Path
    viewers: int
    seconds: float
    seed: int
    replay: Path | None
    report: Path | None
    headless: bool
    workers: int  # 0: served from the demo's own process
    kill_worker_at: float | None  # seconds into the night
    roll_at: float | None


class Stops:
    """Ctrl-C, or a signal like it. The first one ends the night in order, a second one doesn't wait."""

    def __init__(self) -> None:
        self.count = 0
        self.asked = asyncio.Event()

    def stop(self) -> None:
        self.count += 1
        self.asked.set()
