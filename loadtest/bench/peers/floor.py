"""A C loop of ``send()``: nobody who sends one frame to each socket costs less."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from loadtest.bench.native.build import NotBuiltError, built
from loadtest.bench.peers.port import SECONDS_MAX, NotComparedError, Server, Where, line_server


@asynccontextmanager
async def start(where: Where) -> AsyncIterator[Server]:
    try:
        program = built("floor")
    except NotBuiltError as error:
        raise NotComparedError(str(error)) from None
    async with line_server("c", "a send() loop", where, [program, str(SECONDS_MAX)]) as server:
        yield server
