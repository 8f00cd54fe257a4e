"""The command line against a real server. A command runs in a thread (it owns an event loop), the server here
in the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from redis.asyncio import Redis
from typer.testing import CliRunner, Result

from liveserver.app import Running, running
from liveserver.cli import streamer
from liveserver.config import Settings

ROOM = "r1"
Type = Callable[..., Awaitable[Result]]


@pytest.fixture
async def server(valkey: Redis, valkey_url: str) -> AsyncIterator[Running]:
    async with running(Settings(port=0, redis_url=valkey_url)) as started:
        yield started


@pytest.fixture
def type_streamer(server: Running) -> Type:
    """``await type_streamer("explain", "3")``: as a streamer of the room would, in his terminal."""
    token = server.mint("streamer", "anna", [ROOM])

    async def run(*words: str, url: str = server.http_url, token: str = token) -> Result:
        args = [ROOM, *words, "--url", url]
        environ = {"LIVESERVER_TOKEN": token, "LIVESERVER_URL": "", "COLUMNS": "200"}
        return await asyncio.to_thread(CliRunner().invoke, streamer.app, args, env=environ)

    return run
