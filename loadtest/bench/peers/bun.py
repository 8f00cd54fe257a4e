"""Bun's WebSocket server (uWebSockets inside) and its ``publish``, without compression."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from loadtest.bench.peers import npm
from loadtest.bench.peers.port import SECONDS_MAX, NotComparedError, Server, Where, line_server

PROGRAM: Final = Path(__file__).parent / "bun.js"


@asynccontextmanager
async def start(where: Where) -> AsyncIterator[Server]:
    modules = await npm.package("bun", install=where.install)
    bun = next(iter(sorted(modules.glob("@oven/bun-*/bin/bun"))), None)
    if bun is None:
        raise NotComparedError("npm has no Bun for this machine")
    argv: list[str | Path] = [bun, "run", PROGRAM, str(SECONDS_MAX)]
    async with line_server("bun", npm.VERSIONS["bun"], where, argv) as server:
        yield server
