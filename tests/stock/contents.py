"""All a store holds, as values: DUMP tells the same hash in another order once it was read."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis


async def contents(client: Redis) -> dict[str, Any]:
    found: dict[str, Any] = {}
    async for key in client.scan_iter():
        kind: Any = await client.type(key)
        match kind:
            case b"hash":
                value: Any = await client.hgetall(key)
            case b"zset":
                value = await client.zrange(key, 0, -1, withscores=True)
            case b"stream":
                value = await client.xrange(key)
            case b"string":
                value = await client.get(key)
            case _:
                raise AssertionError(f"{key!r} is a {kind!r}")
        found[key.decode()] = (value, await client.pttl(key) > 0)
    return found
