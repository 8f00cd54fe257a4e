"""The fixtures every other test leans on are what they say."""

from __future__ import annotations

import asyncio

import uvloop
from redis.asyncio import Redis


async def test_async_tests_run_on_uvloop() -> None:
    assert isinstance(asyncio.get_running_loop(), uvloop.Loop)


async def test_the_shared_server_is_real_and_private(valkey: Redis) -> None:
    figures = await valkey.info("server")
    assert figures["tcp_port"] == 0
    assert int(figures["redis_version"].split(".")[0]) >= 7


async def test_the_shared_server_starts_empty_first(valkey: Redis) -> None:
    assert await valkey.dbsize() == 0
    await valkey.set("left", "behind")


async def test_the_shared_server_starts_empty_again(valkey: Redis) -> None:
    assert await valkey.dbsize() == 0
    await valkey.set("left", "behind")
