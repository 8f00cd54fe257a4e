"""Whole servers on a real store, spoken to through real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from redis.asyncio import Redis

from liveserver.app import Running, running
from liveserver.config import Settings

SECRET = "a secret of the tests, which is long enough for HS256"

StartServer = Callable[..., Awaitable[Running]]


@pytest.fixture
async def start_server(valkey: Redis, valkey_url: str) -> AsyncIterator[StartServer]:
    """``await start_server(**settings)``: another process's worth of server on the shared, emptied store."""
    async with AsyncExitStack() as stack:

        async def start(*, redis_url: str = valkey_url, clock: Any = None, **settings: Any) -> Running:
            made = Settings(port=0, redis_url=redis_url, secret=SECRET, **settings)
            return await stack.enter_async_context(running(made, clock=clock))

        yield start


@pytest.fixture
async def server(start_server: StartServer) -> Running:
    return await start_server()
