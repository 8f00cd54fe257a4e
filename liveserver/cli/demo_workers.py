"""What the demo does to a server of several processes, and what the journal hears of their ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import orjson

from liveserver.workers.supervisor import Supervisor

EXITS: Final = "exits.jsonl"  # of the journal

Say = Callable[[str], None]


class ExitNotes:
    """How processes ended, and which were killed on purpose: lines of the journal."""

    def __init__(self, journal: Path) -> None:
        self._path = journal / EXITS
        self._noted: set[str] = set()

    def exited(self, name: str, code: int) -> None:
        self._write({"k": "exit", "name": name, "code": code})

    def killed(self, name: str, process: str) -> None:
        """Before it is done: what breaks off afterwards is explained by it."""
        self._write({"k": "kill", "ms": time.time() * 1000, "name": name, "process": process})

    def workers(self, supervisor: Supervisor) -> None:
        """Of those that have ended by now, each once: how, and what they had counted."""
        for exited in supervisor.exits:
            if exited.name not in self._noted:
                self._noted.add(exited.name)
                self.exited(exited.name, exited.code)
                if counted := supervisor.last_word(exited):
                    self._write({"k": "counted", "process": exited.process, "text": counted})

    def _write(self, line: dict[str, Any]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab") as file:
            file.write(orjson.dumps(line) + b"\n")


async def kill_one(supervisor: Supervisor, after_s: float, place: int, notes: ExitNotes, say: Say) -> None:
    """With -9, as the kernel would when memory runs out: no goodbye, no last words. Cancelled, nothing has
    happened."""
    await asyncio.sleep(after_s)
    worker = supervisor.places[place % len(supervisor.places)].worker
    if worker is None or worker.ended.is_set():
        return
    notes.killed(worker.name, worker.process)
    worker.kill()
    say(f"killed {worker.name} (pid {worker.pid}) with -9: its viewers go on at the others")


async def roll(supervisor: Supervisor, after_s: float, notes: ExitNotes, say: Say) -> None:
    """Relieve every worker, as SIGHUP does. Cancelled while it waits, nothing has happened."""
    await asyncio.sleep(after_s)
    say("relieving the workers, one by one: nobody is refused, and their viewers go on at the others")
    relieved = await supervisor.roll()
    notes.exited("roll", 0 if relieved else 1)
    say("every worker is relieved" if relieved else "not every worker could be relieved: see the log")
