"""A demo's night, from its server's start to its verdict.

Order of things: server → audience → ``ledger verify`` → (headless: server stopped) → verdict → (else: open
until Ctrl-C).
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import orjson
from rich.console import Console

from liveserver.app import running
from liveserver.cli import collector
from liveserver.cli.demo_audience import Audience
from liveserver.cli.demo_join import how_to_join
from liveserver.cli.demo_judged import prove, verdict
from liveserver.cli.demo_screen import Screen, summary
from liveserver.cli.demo_wanted import Server, Stops, Wanted
from liveserver.cli.demo_workers import ExitNotes, kill_one, roll
from liveserver.cli.worker import COMMAND
from liveserver.config import Settings
from liveserver.workers.supervisor import Supervisor, supervised

NOT_STARTED: Final = 2  # the exit code of what was asked for something that can't be
STOPPED: Final = 130  # the exit code of a night that was broken off


class Night:
    def __init__(self, console: Console, wanted: Wanted) -> None:
        self.wanted = wanted
        self.journal = wanted.journal
        self.checks = wanted.folder / "verdict.json"
        self.exits = ExitNotes(wanted.journal)
        self.screen = Screen(console)
        self.stops = Stops()
        self.audience = Audience(wanted, self.screen, self.stops)

    async def run(self, settings: Settings) -> int:
        """The exit code. Raises what keeps a server from serving."""
        loop = asyncio.get_running_loop()
        for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(name, self.stops.stop)
        stop, headless = self.stops.asked, self.wanted.headless
        started_s = time.monotonic()
        async with AsyncExitStack() as stack:
            server = await self._server(settings, stack)
            self.screen.say(f"a live room at {server.http_url}, seed {self.wanted.seed}")
            if not headless:
                self.screen.say(how_to_join(server, self.wanted.folder, streaming=False))
            code = await self._audience(server)
            if stop.is_set():
                return STOPPED
            if code == NOT_STARTED:  # it has said why
                return NOT_STARTED
            self.exits.exited("audience", code)
            if isinstance(server, Supervisor):
                self.exits.workers(server)
            proved = await prove(self.stops, server.store_url)
            if headless:
                await self._end(server, stack)
            judged = await verdict(self.stops, self.journal, self.checks)
            if stop.is_set() and None in (proved, judged) and False not in (proved, judged):
                return STOPPED  # nothing was found by then, so nothing is kept
            holds = proved is True and judged is True
            self._write_report(holds)
            if not holds:
                self._keep_journal()
            if not headless and not stop.is_set():
                self.screen.say(how_to_join(server, self.wanted.folder, streaming=True))
                self.screen.say(
                    f"the room stays open ({time.monotonic() - started_s:.0f} s so far); Ctrl-C ends"
                )
                await stop.wait()
            return 0 if holds else 1

    async def _server(self, settings: Settings, stack: AsyncExitStack) -> Server:
        if self.wanted.workers:
            return await stack.enter_async_context(supervised(settings, self.wanted.workers, COMMAND))
        server = await stack.enter_async_context(running(settings))
        collector.settle()
        return server

    # -- the audience, and what happens to the workers meanwhile ---------------------------------------

    async def _audience(self, server: Server) -> int:
        """Its exit code. Cancelled or stopped: it is ended."""
        meanwhile = self._meanwhile(server)
        code = 1
        try:
            code = await self.audience.play(server)
        finally:
            if meanwhile is not None:
                await self._over(meanwhile, code == 0)
        return code

    def _meanwhile(self, server: Server) -> asyncio.Task[None] | None:
        if not isinstance(server, Supervisor):
            return None
        wanted, say = self.wanted, self.screen.say
        if wanted.kill_worker_at is not None:
            return asyncio.create_task(kill_one(server, wanted.kill_worker_at, wanted.seed, self.exits, say))
        if wanted.roll_at is not None:
            return asyncio.create_task(roll(server, wanted.roll_at, self.exits, say))
        return None

    async def _over(self, meanwhile: asyncio.Task[None], played: bool) -> None:
        """Where the night was ``played`` to its end, what was begun is done too: a worker that is relieved
        has counted by then all it will count."""
        stop = asyncio.create_task(self.stops.asked.wait())
        try:
            if played:
                await asyncio.wait({meanwhile, stop}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (meanwhile, stop):
                task.cancel()
            await asyncio.gather(meanwhile, stop, return_exceptions=True)

    # -- the end ---------------------------------------------------------------------------------------

    async def _end(self, server: Server, stack: AsyncExitStack) -> None:
        """Stop server and store before the verdict, so that it can judge how they ended."""
        try:
            await stack.aclose()
        except Exception as error:
            self.screen.say(f"the server did not stop cleanly: {error!r}")
            self.exits.exited("server", 1)
        else:
            self.exits.exited("server", 0)
        if isinstance(server, Supervisor):
            self.exits.workers(server)

    def _write_report(self, holds: bool) -> None:
        checks: dict[str, Any] = {}
        if self.checks.exists():
            checks = orjson.loads(self.checks.read_bytes())["checks"]
        if self.audience.figures:
            self.screen.say(summary(self.audience.figures))
        if self.wanted.report is not None:
            whole = {
                "ok": holds,
                "checks": checks,
                "figures": {**self.audience.figures, "seed": self.wanted.seed},
            }
            self.wanted.report.parent.mkdir(parents=True, exist_ok=True)
            self.wanted.report.write_bytes(orjson.dumps(whole, option=orjson.OPT_INDENT_2) + b"\n")

    def _keep_journal(self) -> None:
        """What went wrong stands in it."""
        if self.journal.is_relative_to(self.wanted.folder) and self.journal.exists():
            kept = Path(tempfile.mkdtemp(prefix="liveserver-journal-")) / "journal"
            shutil.move(self.journal, kept)
            self.journal = kept
        self.screen.say(f"the journal is kept in {self.journal}")
