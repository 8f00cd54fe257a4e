"""A stock counter as it is often written, as a control: read how many are left, and if any, write one less.

Between the reading and the writing others read the same number, so more is sold than there was.
"""

from __future__ import annotations

import asyncio
from typing import Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

BUYERS_AT_ONCE: Final = 64
_KEY: Final = "naive:stock"


async def sold(store_url: str, *, stock: int, buyers: int) -> int:
    """How many of ``buyers`` were told they got one of ``stock`` units. Its key is taken away again."""
    client = Redis.from_url(store_url, retry=Retry(NoBackoff(), 0), max_connections=BUYERS_AT_ONCE)
    gate = asyncio.Semaphore(BUYERS_AT_ONCE)

    async def buy() -> bool:
        async with gate:
            left = int(await client.get(_KEY) or 0)
            if left <= 0:
                return False
            await client.set(_KEY, left - 1)
            return True

    try:
        await client.set(_KEY, stock)
        return sum(await asyncio.gather(*(buy() for _ in range(buyers))))
    finally:
        await client.delete(_KEY)
        await client.aclose()
