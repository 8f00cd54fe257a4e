"""The servers whose doors are measured, each started and ended by a context: ours, a control with the
library's Sans-I/O protocol, and the peers."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Final

from loadtest.bench import cpu
from loadtest.bench.child import Child
from loadtest.bench.peers.all import PEERS
from loadtest.bench.peers.port import Where

OURS: Final = "ours"
SANSIO: Final = "sansio"
OTHERS: Final = ("c", "bun", "nchan", "ws", "websockets")
CONTROLS: Final = (SANSIO, *OTHERS)


class Door:
    """A server that listens at ``port``. ``tokens`` are those of its viewers, where it knows any."""

    def __init__(
        self,
        name: str,
        version: str,
        port: int,
        pids: list[int],
        *,
        path: str = "/v1/live",
        tokens: list[str] | None = None,
        streamer: str = "",
        child: Child | None = None,
    ) -> None:
        self.name = name
        self.version = version
        self.port = port
        self.path = path
        self.tokens = tokens or []
        self.streamer = streamer
        self._pids = pids
        self._child = child

    def cpu_s(self) -> float:
        """Of the process that serves, since it began."""
        return cpu.used_s(self._pids[0])

    async def pss_kb(self) -> int:
        """Resident memory of all its processes, shared pages by their share (Linux), once what lies in dead
        cycles is gone."""
        if self._child is not None:
            await self._child.ask({})
        return sum(map(_pss_kb, self._pids))


def door(
    name: str, where: Where, *, tokens: int = 0, algorithm: str = "HS256"
) -> AbstractAsyncContextManager[Door]:
    """Raises ``NotComparedError`` when entered, if it can't be had here."""
    if name == OURS:
        return _of_ours(where, "loadtest.bench.doors.ours", OURS, algorithm, str(tokens))
    if name == SANSIO:
        return _of_ours(where, "loadtest.bench.doors.sansio", SANSIO)
    return _of_peer(name, where)


@asynccontextmanager
async def _of_ours(where: Where, module: str, name: str, *arguments: str) -> AsyncIterator[Door]:
    child = await Child.run([sys.executable, "-m", module, *arguments], where.core)
    try:
        told = await child.answer()
        version = "as shipped" if name == OURS else "websockets' Sans-I/O protocol"
        yield Door(
            name,
            version,
            told["port"],
            told["pids"],
            tokens=told.get("tokens"),
            streamer=told.get("streamer", ""),
            child=child,
        )
    finally:
        await child.end()


@asynccontextmanager
async def _of_peer(name: str, where: Where) -> AsyncIterator[Door]:
    async with PEERS[name](where) as server:
        record = next(iter(server.records(1)))
        path = record.request.split(b" ", 2)[1].decode()
        yield Door(name, server.version, server.port, [server.pid], path=path)


def _pss_kb(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise OSError(f"the kernel tells no Pss of process {pid}; this one is {os.getpid()}")
