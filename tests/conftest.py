"""What every test may ask for: a real Valkey, private to this run, and uvloop under every async test.

A test that kills, stops or restarts its store takes ``durable_valkey``; all others share one server
(``valkey_url``) that is emptied before each test that asks for ``valkey``. A package's own fixtures live
in its own ``conftest.py``. Nothing here ever touches ``LIVESERVER_REDIS_URL``: tests flush what they use.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest
import uvloop
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from liveserver.store.binary import ServerBinary, find_binary
from liveserver.store.embedded import EmbeddedValkey, Fsync


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop the server itself runs on. One factory: the test ids stay as they are."""
    return {"uvloop": uvloop.new_event_loop}


class StartValkey(Protocol):
    """``await durable_valkey(path)``: a store of the test's own; stopped (if it still runs) at the end."""

    def __call__(
        self, data_dir: Path | None = None, *, fsync: Fsync = "always"
    ) -> Awaitable[EmbeddedValkey]: ...


@pytest.fixture(scope="session")
def valkey_binary() -> ServerBinary:
    return find_binary(os.environ)


@pytest.fixture(scope="session")
def valkey_url(valkey_binary: ServerBinary) -> Iterator[str]:
    """One server for the whole run, without fsync. Tests that end it, stop it or flush it late: use
    ``durable_valkey``."""
    store = asyncio.run(EmbeddedValkey.start(binary=valkey_binary, fsync="no"))
    yield store.url
    store.kill()


@pytest.fixture
async def valkey(valkey_url: str) -> AsyncIterator[Redis]:
    """A client (bytes in, bytes out, no retries) on the shared server, which is empty."""
    client = Redis.from_url(valkey_url, retry=Retry(NoBackoff(), 0))
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
async def durable_valkey(valkey_binary: ServerBinary) -> AsyncIterator[StartValkey]:
    started: list[EmbeddedValkey] = []

    async def start(data_dir: Path | None = None, *, fsync: Fsync = "always") -> EmbeddedValkey:
        store = await EmbeddedValkey.start(data_dir, binary=valkey_binary, fsync=fsync)
        started.append(store)
        return store

    yield start
    for store in started:
        store.kill()  # works on a stopped one too
