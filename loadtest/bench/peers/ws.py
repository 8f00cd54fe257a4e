"""Node's ``ws``, without compression."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from loadtest.bench.peers import npm
from loadtest.bench.peers.port import SECONDS_MAX, NotComparedError, Server, Where, line_server

PROGRAM: Final = Path(__file__).parent / "ws.js"


@asynccontextmanager
async def start(where: Where) -> AsyncIterator[Server]:
    node = shutil.which("node")
    if node is None:
        raise NotComparedError("no node on PATH")
    modules = await npm.package("ws", install=where.install)
    env = {"NODE_PATH": str(modules)}
    async with line_server("ws", npm.VERSIONS["ws"], where, [node, PROGRAM, str(SECONDS_MAX)], env) as server:
        yield server
