"""A replica for a private store, which has no port until it gets one."""

from __future__ import annotations

import asyncio
import socket

from redis.asyncio import Redis


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def replicate(primary: Redis, replica: Redis) -> None:
    """Returns when the replica has all the primary has."""
    port = free_port()
    await primary.config_set("bind", "127.0.0.1")
    await primary.config_set("port", port)
    await primary.config_set("repl-diskless-sync-delay", 0)
    await replica.replicaof("127.0.0.1", str(port))
    for _ in range(500):
        link = await replica.info("replication")
        if link.get("master_link_status") == "up" and await primary.wait(1, 100) == 1:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the replica never followed")


async def cut_off(replica: Redis) -> None:
    """It hears nothing of its primary from here on."""
    await replica.replicaof("127.0.0.1", "1")


async def promote(replica: Redis) -> None:
    await replica.replicaof("NO", "ONE")
