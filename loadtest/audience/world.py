"""What all of the audience share: the server's address, the clocks, the journal, the figures."""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from loadtest.audience.figures import Figures
from loadtest.audience.heard import Hearing
from loadtest.journal import JournalWriter, Stopwatch

FAULTS_TOLD_MAX: Final = 10
SENT_MAX: Final = 20_000  # comments under way, the oldest forgotten first


@dataclass
class Options:
    url: str  # ws://host:port/path
    room: str
    store: str  # redis:// or unix://
    tokens: dict[str, Any]  # {"streamer": token, "service": token, "viewers": [token, …], "names": [name, …]}
    viewers: int
    seconds: float
    seed: int
    journal: Path
    replay: Path | None = None
    guests: bool = False  # others may be in the room too

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or "127.0.0.1"

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 80


@dataclass
class World:
    options: Options
    journal: JournalWriter
    rng: random.Random
    watch: Stopwatch = field(default_factory=Stopwatch)
    figures: Figures = field(default_factory=Figures)
    hearing: Hearing = field(default_factory=Hearing)
    connections: int = 0
    sent_ms: dict[tuple[str, str], float] = field(default_factory=dict)  # (user, text) of comments under way
    listed_ms: dict[str, float] = field(default_factory=dict)  # listing id -> when its publish was sent
    recent: list[str] = field(default_factory=list)  # the last comments seen, for whoever watches
    phase: str = "opening"
    ending: bool = False
    faults: int = 0

    @property
    def room(self) -> str:
        return self.options.room

    def sent(self, user: str, text: str) -> None:
        """A comment goes out now: whoever receives it knows for how long it was under way."""
        self.sent_ms[user, text] = self.watch.now_ms()
        if len(self.sent_ms) > SENT_MAX:
            del self.sent_ms[next(iter(self.sent_ms))]

    def fault(self, where: str, what: object) -> None:
        """Something nobody expected: the night goes on, ``clean_exit`` will say so."""
        self.journal.write("fault", ms=self.watch.now_ms(), where=where, what=str(what)[:500])
        self.faults += 1
        if self.faults <= FAULTS_TOLD_MAX:
            print(f"unexpected, {where}: {str(what)[:200]}", file=sys.stderr, flush=True)
