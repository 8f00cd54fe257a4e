"""``websockets``' own server and its ``broadcast()``, on uvloop, without compression."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import metadata
from typing import Final

from loadtest.bench.peers.port import Server, Where, line_server

PROGRAM: Final = "loadtest.bench.peers.websockets_server"


@asynccontextmanager
async def start(where: Where) -> AsyncIterator[Server]:
    argv = [sys.executable, "-m", PROGRAM]
    async with line_server("websockets", metadata.version("websockets"), where, argv) as server:
        yield server
