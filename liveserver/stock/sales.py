"""Which sales a store holds, found by their keys. For tools, not for the server: it walks all keys."""

from __future__ import annotations

import re
from typing import Final

from redis.asyncio import Redis

from liveserver.stock.ids import is_id
from liveserver.stock.scripts import keys_of

SALES_MAX: Final = 100_000
_KEY: Final = re.compile(r"\{sale:([^{}]+)\}:\w+")
_SCAN_COUNT: Final = 1_000


class TooManySalesError(Exception):
    pass


async def find_sales(client: Redis) -> list[str]:
    """Every sale of which any key is left, sorted. Raises ``TooManySalesError``, redis-py's exceptions."""
    found: set[str] = set()
    async for key in client.scan_iter(match="{sale:*", count=_SCAN_COUNT):
        text = key.decode("utf-8", "replace")
        named = _KEY.fullmatch(text)
        if named and is_id(named[1]) and text in keys_of(named[1]):
            found.add(named[1])
        if len(found) > SALES_MAX:
            raise TooManySalesError(f"more than {SALES_MAX} sales: name one")
    return sorted(found)
