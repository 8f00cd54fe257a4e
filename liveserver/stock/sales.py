"""Which sales a store holds, found by their keys: it walks them all, so do it seldom."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any, Final

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


async def sales_with(client: Redis, part: str) -> AsyncIterator[list[str]]:
    """Pages of the sales that have this key (``feed``, ``meta``, ``due``, …); one may come twice.
    However many there are. Raises redis-py's exceptions."""
    cursor = 0
    while True:
        reply: Any = await client.scan(cursor, match=f"{{sale:*}}:{part}", count=_SCAN_COUNT)
        cursor, keys = reply
        named = [_KEY.fullmatch(key.decode("utf-8", "replace")) for key in keys]
        page = [one[1] for one in named if one and is_id(one[1])]
        if page:
            yield page
        if cursor == 0:
            return
