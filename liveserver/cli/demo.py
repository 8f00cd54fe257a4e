"""``liveserver demo``: a whole sale night on this machine, judged.

It starts the embedded store and the server in this process (with workers: the server's processes beneath
it), and the audience in one of its own, which dies with us whatever happens; shows what goes on; then has the
verdict judge the journal, in a process of its own too (nothing here imports the load test). Ctrl-C at any
time ends all of it, in order; a second Ctrl-C does not wait.

Order of things: server → audience → ``ledger verify`` → (headless: server stopped) → verdict → (else: open
until Ctrl-C).
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import typer
import uvloop
from rich.console import Console

from liveserver.app import Running, StoreUnfitError, running
from liveserver.cli import collector
from liveserver.cli.demo_folders import check_folder, check_writable, private_folder
from liveserver.cli.demo_screen import Screen, summary
from liveserver.cli.demo_workers import ExitNotes, kill_one, roll
from liveserver.cli.logs import configure_logging
from liveserver.cli.serve_faults import why
from liveserver.cli.settings import settings
from liveserver.cli.worker import COMMAND
from liveserver.config import Settings
from liveserver.edge.minting import Minting
from liveserver.store.binary import NoStoreError
from liveserver.store.datadir import DataDirInUseError
from liveserver.store.embedded import StoreStartError
from liveserver.store.tied import TiedProcess
from liveserver.workers.process import WorkerFailedError
from liveserver.workers.supervisor import WORKERS_MAX, Supervisor, supervised
from protocol.types import Role

ROOM: Final = "demo"
VIEWERS_MIN, VIEWERS_MAX = 10, 5_000
SECONDS_MIN, SECONDS_MAX = 5, 3_600
TOKEN_TTL_MS: Final = 12 * 3_600_000
LEAVE_S_MAX: Final = 20.0  # an audience that was told to stop says goodbye within this, or is killed
LATE_S_MAX: Final = 90.0  # beyond the night's own length
VERDICT_S_MAX: Final = 300.0
LINE_BYTES_MAX: Final = 1 << 20
NOT_STARTED: Final = 2  # the exit code of what was asked for something that can't be
STOPPED: Final = 130  # the exit code of a night that was broken off
POLL_S: Final = 0.05

CANNOT_START: Final = (
    NoStoreError,
    DataDirInUseError,
    StoreStartError,
    StoreUnfitError,
    WorkerFailedError,
    OSError,
)

NAMES: Final = ["老铁", "回头客", "小李", "阿梅", "山里人", "胖虎妈", "大刘", "阿珍", "北方的狼", "橙子"]


def demo(
    viewers: Annotated[int, typer.Option(min=VIEWERS_MIN, max=VIEWERS_MAX, help="How many watch.")] = 300,
    seconds: Annotated[
        float, typer.Option(min=SECONDS_MIN, max=SECONDS_MAX, help="How long the night is.")
    ] = 30,
    seed: Annotated[int | None, typer.Option(help="Same seed, same plan; else a new one.")] = None,
    replay: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="A recording to play (.jsonl or .jsonl.gz)."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(dir_okay=False, help='Write {"ok", "checks", "figures"} here.')
    ] = None,
    journal: Annotated[
        Path | None, typer.Option(file_okay=False, help="Keep the journal in this new directory.")
    ] = None,
    headless: Annotated[bool, typer.Option("--headless", help="End after the verdict.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 takes any free one.")] = 0,
    data_dir: Annotated[
        Path | None, typer.Option(file_okay=False, help="Keep the store here; else it is gone at the end.")
    ] = None,
    workers: Annotated[
        int, typer.Option(min=0, max=WORKERS_MAX, help="Serve from so many processes; 0: from this one.")
    ] = 0,
    kill_worker_at: Annotated[
        float | None,
        typer.Option(min=0, help="So many seconds into the night, kill a worker with -9."),
    ] = None,
    roll_at: Annotated[
        float | None,
        typer.Option(min=0, help="So many seconds into the night, relieve every worker, as SIGHUP does."),
    ] = None,
) -> None:
    """Play a sale night on this machine and judge it: store, server, audience, verdict.

    Exit codes: 0 every check holds, 1 one does not, 2 it could not start, 130 broken off.

    Example:  liveserver demo --viewers 300 --seconds 30

    Example:  liveserver demo --headless --seconds 20 --report r.json --journal journal/

    Example:  liveserver demo --seconds 30 --workers 2 --kill-worker-at 12

    Example:  liveserver demo --seconds 30 --workers 2 --roll-at 10
    """
    configure_logging(level="warning")
    if journal is not None and journal.exists() and any(journal.iterdir()):
        raise typer.BadParameter("is not empty: a journal is written into a new one", param_hint="--journal")
    for hint, at_s in (("--kill-worker-at", kill_worker_at), ("--roll-at", roll_at)):
        if at_s is not None and not workers:
            raise typer.BadParameter("needs --workers: the demo's own process can't", param_hint=hint)
        if at_s is not None and at_s >= seconds:
            raise typer.BadParameter(f"the night is over after {seconds:g} s", param_hint=hint)
    if kill_worker_at is not None and roll_at is not None:
        raise typer.BadParameter("one night, one of them: not with --kill-worker-at", param_hint="--roll-at")
    if report is not None:
        check_writable(report, "--report")
    if journal is not None:
        check_folder(journal, "--journal")
    console = Console(highlight=False)
    with private_folder() as folder:
        night = _Demo(
            console=console,
            folder=folder,
            journal=journal or folder / "journal",
            viewers=viewers,
            seconds=seconds,
            seed=secrets.randbelow(1_000_000) if seed is None else seed,
            replay=replay,
            report=report,
            headless=headless,
            workers=workers,
            kill_worker_at=kill_worker_at,
            roll_at=roll_at,
        )
        chosen = settings(
            port=port, data_dir=data_dir, redis_url="", secret=secrets.token_urlsafe(48), log_level="warning"
        )
        try:
            code = uvloop.run(night.run(chosen))
        except CANNOT_START as error:
            typer.echo(f"the demo can't start: {why(error, chosen.host, port)}", err=True)
            code = 2
    raise typer.Exit(code)


class _Demo:
    def __init__(
        self,
        *,
        console: Console,
        folder: Path,
        journal: Path,
        viewers: int,
        seconds: float,
        seed: int,
        replay: Path | None,
        report: Path | None,
        headless: bool,
        workers: int,
        kill_worker_at: float | None,
        roll_at: float | None,
    ) -> None:
        self.console = console
        self.folder = folder
        self.journal = journal
        self.viewers = viewers
        self.seconds = seconds
        self.seed = seed
        self.replay = replay
        self.report = report
        self.headless = headless
        self.workers = workers
        self.kill_worker_at = kill_worker_at
        self.roll_at = roll_at
        self.exits = ExitNotes(journal)
        self.screen = Screen(console)
        self.stops = 0
        self.stop = asyncio.Event()
        self.figures: dict[str, Any] = {}

    async def run(self, settings: Settings) -> int:
        loop = asyncio.get_running_loop()
        for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(name, self._stopped)
        started_s = time.monotonic()
        async with AsyncExitStack() as stack:
            server = await self._server(settings, stack)
            self.screen.say(f"a live room at {server.http_url}, seed {self.seed}")
            if not self.headless:
                self._join_yourself(server, "watch")
            code = await self._audience(server)
            if self.stop.is_set():
                return STOPPED
            if code == NOT_STARTED:  # it has said why
                return NOT_STARTED
            self.exits.exited("audience", code)
            if isinstance(server, Supervisor):
                self.exits.workers(server)
            proved = await self._prove(server)
            if self.headless:
                await self._end(server, stack)
            verdict = await self._verdict()
            if self.stop.is_set() and None in (proved, verdict) and False not in (proved, verdict):
                return STOPPED  # nothing was found by then, so nothing is kept
            holds = proved is True and verdict is True
            self._write_report(holds)
            if not holds:
                self._keep_journal()
            if not self.headless and not self.stop.is_set():
                self._join_yourself(server, "all")
                self.screen.say(
                    f"the room stays open ({time.monotonic() - started_s:.0f} s so far); Ctrl-C ends"
                )
                await self.stop.wait()
            return 0 if holds else 1

    async def _server(self, settings: Settings, stack: AsyncExitStack) -> Running | Supervisor:
        if self.workers:
            return await stack.enter_async_context(supervised(settings, self.workers, COMMAND))
        server = await stack.enter_async_context(running(settings))
        collector.settle()
        return server

    def _stopped(self) -> None:
        self.stops += 1
        self.stop.set()

    # -- the audience ----------------------------------------------------------------------------------

    async def _audience(self, server: Running | Supervisor) -> int:
        """Its exit code. Cancelled or stopped: it is ended."""
        tokens = self.folder / "tokens.json"
        tokens.write_bytes(orjson.dumps(self._tokens(server)))
        arguments = [
            *("--url", server.url, "--token-file", str(tokens), "--room", ROOM),
            *("--store", server.store_url, "--journal", str(self.journal)),
            *("--viewers", str(self.viewers), "--seconds", str(self.seconds), "--seed", str(self.seed)),
            *(("--replay", str(self.replay)) if self.replay is not None else ()),
            *(() if self.headless else ("--guests",)),
        ]
        reading, writing = os.pipe()
        with os.fdopen(writing, "wb", buffering=0) as log:
            process = TiedProcess([sys.executable, "-m", "loadtest", "audience", *arguments], log=log)
        meanwhile = self._meanwhile(server)
        try:
            with self.screen:
                await self._watch(process, reading)
        finally:
            process.kill()
            if meanwhile is not None:
                await self._over(meanwhile, process.code == 0)
        code = process.code
        return 1 if code is None else code

    def _meanwhile(self, server: Running | Supervisor) -> asyncio.Task[None] | None:
        """What happens to the workers while the night goes on."""
        if not isinstance(server, Supervisor):
            return None
        say = self.screen.say
        if self.kill_worker_at is not None:
            return asyncio.create_task(kill_one(server, self.kill_worker_at, self.seed, self.exits, say))
        if self.roll_at is not None:
            return asyncio.create_task(roll(server, self.roll_at, self.exits, say))
        return None

    async def _over(self, meanwhile: asyncio.Task[None], played: bool) -> None:
        """Where the night was ``played`` to its end, what was begun is done too: a worker that is relieved
        has counted by then all it will count."""
        stop = asyncio.create_task(self.stop.wait())
        try:
            if played:
                await asyncio.wait({meanwhile, stop}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (meanwhile, stop):
                task.cancel()
            await asyncio.gather(meanwhile, stop, return_exceptions=True)

    async def _watch(self, process: TiedProcess, reading: int) -> None:
        """Show its progress until it ends; a stop of ours is passed on."""
        loop = asyncio.get_running_loop()
        lines = asyncio.StreamReader(limit=LINE_BYTES_MAX)
        pipe = os.fdopen(reading, "rb", buffering=0)  # the transport closes it
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), pipe)
        shown = asyncio.create_task(self._show(lines))
        stop = asyncio.create_task(self.stop.wait())
        try:
            limit_s = self.seconds + LATE_S_MAX
            await asyncio.wait({shown, stop}, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
            if not shown.done():
                process.terminate()
            for _ in range(int(LEAVE_S_MAX / POLL_S)):
                if not process.alive or self.stops > 1:
                    break
                await asyncio.sleep(POLL_S)
        finally:
            for task in (shown, stop):
                task.cancel()
            await asyncio.gather(shown, stop, return_exceptions=True)
            transport.close()

    async def _show(self, lines: asyncio.StreamReader) -> None:
        """Until the pipe ends."""
        while line := await lines.readline():
            try:
                progress = orjson.loads(line)
            except orjson.JSONDecodeError:
                self.screen.say(line.decode(errors="replace").rstrip())  # what it says on stderr
                continue
            if progress.get("phase") == "over":
                self.figures = progress["figures"]
            else:
                self.screen.show(progress)

    def _tokens(self, server: Minting) -> dict[str, object]:
        def mint(role: Role, user: str, name: str) -> str:
            return server.mint(role, user, [ROOM], ttl_ms=TOKEN_TTL_MS, name=name)

        names = [f"{NAMES[k % len(NAMES)]}{k}" for k in range(self.viewers)]
        return {
            "streamer": mint(Role.STREAMER, "streamer", "主播"),
            "service": mint(Role.SERVICE, "service", "service"),
            "viewers": [mint(Role.VIEWER, f"v{k}", name) for k, name in enumerate(names)],
            "names": names,
        }

    # -- the end ---------------------------------------------------------------------------------------

    async def _end(self, server: Running | Supervisor, stack: AsyncExitStack) -> None:
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

    async def _prove(self, server: Running | Supervisor) -> bool | None:
        """Every sale from its own feed, as anybody could while it sells."""
        return await self._judged("liveserver", "ledger", "verify", "--redis-url", server.store_url)

    async def _verdict(self) -> bool | None:
        """Judge the journal."""
        return await self._judged("loadtest", "verdict", str(self.journal), "--report", str(self._checks))

    async def _judged(self, *command: str) -> bool | None:
        """By a module in a process of its own that writes to our own output. ``None``: it did not finish."""
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", *command, start_new_session=True)
        judged, stop = asyncio.create_task(process.wait()), asyncio.create_task(self.stop.wait())
        try:
            await asyncio.wait({judged, stop}, timeout=VERDICT_S_MAX, return_when=asyncio.FIRST_COMPLETED)
            return judged.result() == 0 if judged.done() else None
        finally:
            stop.cancel()
            if process.returncode is None:
                process.kill()
            await asyncio.gather(judged, stop, return_exceptions=True)

    @property
    def _checks(self) -> Path:
        return self.folder / "verdict.json"

    def _write_report(self, holds: bool) -> None:
        checks: dict[str, Any] = {}
        if self._checks.exists():
            checks = orjson.loads(self._checks.read_bytes())["checks"]
        if self.figures:
            self.screen.say(summary(self.figures))
        if self.report is not None:
            whole = {"ok": holds, "checks": checks, "figures": {**self.figures, "seed": self.seed}}
            self.report.parent.mkdir(parents=True, exist_ok=True)
            self.report.write_bytes(orjson.dumps(whole, option=orjson.OPT_INDENT_2) + b"\n")

    def _keep_journal(self) -> None:
        """What went wrong stands in it."""
        if self.journal.is_relative_to(self.folder) and self.journal.exists():
            kept = Path(tempfile.mkdtemp(prefix="liveserver-journal-")) / "journal"
            shutil.move(self.journal, kept)
            self.journal = kept
        self.screen.say(f"the journal is kept in {self.journal}")

    def _join_yourself(self, server: Running | Supervisor, which: str) -> None:
        guest = server.mint(Role.VIEWER, "you", [ROOM], ttl_ms=TOKEN_TTL_MS, name="你")
        (self.folder / "you.token").write_text(guest)
        ours = sys.argv[0] if Path(sys.argv[0]).name == "liveserver" else "liveserver"
        lines = [
            "join yourself:",
            f"  page      {server.http_url}/r/{ROOM}#token={guest}",
            f"  watch     {ours} watch {ROOM} --url {server.url} --token-file {self.folder}/you.token",
        ]
        if which == "all":
            streamer = server.mint(Role.STREAMER, "you-streamer", [ROOM], ttl_ms=TOKEN_TTL_MS, name="主播")
            (self.folder / "streamer.token").write_text(streamer)
            to = f"--url {server.url} --token-file {self.folder}/streamer.token"
            lines.append(
                f'  streamer  {ours} streamer {ROOM} {to} list --title "手工皂" --item "one:9.90:20"'
            )
        self.screen.say("\n".join(lines))
