"""The audience of the demo: a process of its own, which dies with us whatever happens."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any, Final

import orjson

from liveserver.cli.demo_screen import Screen
from liveserver.cli.demo_wanted import Server, Stops, Wanted
from liveserver.edge.minting import Minting
from liveserver.store.tied import TiedProcess
from protocol.types import Role

ROOM: Final = "demo"
TOKEN_TTL_MS: Final = 12 * 3_600_000
LEAVE_S_MAX: Final = 20.0  # an audience that was told to stop says goodbye within this, or is killed
LATE_S_MAX: Final = 90.0  # beyond the night's own length
LINE_BYTES_MAX: Final = 1 << 20
POLL_S: Final = 0.05

NAMES: Final = ["老铁", "回头客", "小李", "阿梅", "山里人", "胖虎妈", "大刘", "阿珍", "北方的狼", "橙子"]


class Audience:
    """``figures``: what it had counted when the night was over."""

    def __init__(self, wanted: Wanted, screen: Screen, stops: Stops) -> None:
        self.figures: dict[str, Any] = {}
        self._wanted = wanted
        self._screen = screen
        self._stops = stops

    async def play(self, server: Server) -> int:
        """Its exit code. Cancelled or stopped: it is ended."""
        tokens = self._wanted.folder / "tokens.json"
        tokens.write_bytes(orjson.dumps(self._tokens(server)))
        wanted = self._wanted
        arguments = [
            *("--url", server.url, "--token-file", str(tokens), "--room", ROOM),
            *("--store", server.store_url, "--journal", str(wanted.journal)),
            *("--viewers", str(wanted.viewers), "--seconds", str(wanted.seconds), "--seed", str(wanted.seed)),
            *(("--replay", str(wanted.replay)) if wanted.replay is not None else ()),
            *(() if wanted.headless else ("--guests",)),
        ]
        reading, writing = os.pipe()
        with os.fdopen(writing, "wb", buffering=0) as log:
            process = TiedProcess([sys.executable, "-m", "loadtest", "audience", *arguments], log=log)
        try:
            with self._screen:
                await self._watch(process, reading)
        finally:
            process.kill()
        code = process.code
        return 1 if code is None else code

    async def _watch(self, process: TiedProcess, reading: int) -> None:
        """Show its progress until it ends; a stop of ours is passed on."""
        loop = asyncio.get_running_loop()
        lines = asyncio.StreamReader(limit=LINE_BYTES_MAX)
        pipe = os.fdopen(reading, "rb", buffering=0)  # the transport closes it
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), pipe)
        shown = asyncio.create_task(self._show(lines))
        stop = asyncio.create_task(self._stops.asked.wait())
        try:
            limit_s = self._wanted.seconds + LATE_S_MAX
            await asyncio.wait({shown, stop}, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
            if not shown.done():
                process.terminate()
            for _ in range(int(LEAVE_S_MAX / POLL_S)):
                if not process.alive or self._stops.count > 1:
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
                self._screen.say(line.decode(errors="replace").rstrip())  # what it says on stderr
                continue
            if progress.get("phase") == "over":
                self.figures = progress["figures"]
            else:
                self._screen.show(progress)

    def _tokens(self, server: Minting) -> dict[str, object]:
        def mint(role: Role, user: str, name: str) -> str:
            return server.mint(role, user, [ROOM], ttl_ms=TOKEN_TTL_MS, name=name)

        names = [f"{NAMES[k % len(NAMES)]}{k}" for k in range(self._wanted.viewers)]
        return {
            "streamer": mint(Role.STREAMER, "streamer", "主播"),
            "service": mint(Role.SERVICE, "service", "service"),
            "viewers": [mint(Role.VIEWER, f"v{k}", name) for k, name in enumerate(names)],
            "names": names,
        }
