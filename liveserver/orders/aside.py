"""Feeds that a rebuild put aside: they broke a law, so nobody folds them, and groups that read them went with
them. What is left of both leaves the store with the sale.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any, Final

from redis.asyncio import Redis

from liveserver.orders.keys import keys_of_group
from liveserver.stock.feed import Entry
from liveserver.stock.scripts import feed_key

PAGE_ENTRIES: Final = 100  # of at most 128 orders each
_SCAN_COUNT: Final = 1_000


async def put_aside(client: Redis, sale_id: str) -> list[str]:
    """Their keys, oldest first. Walks every key of the store. Raises redis-py's exceptions."""
    named = f"{feed_key(sale_id)}:aside:*"
    found = {key.decode() async for key in client.scan_iter(match=named, count=_SCAN_COUNT)}
    return sorted(found, key=lambda key: (len(key), key))


async def groups_left(client: Redis, asides: Sequence[str], but: Collection[str]) -> list[str]:
    """The groups that read them, and not the feed that came after."""
    found: set[str] = set()
    for key in asides:
        told: Any = await client.xinfo_groups(key)
        found.update(group["name"].decode() for group in told)
    return sorted(found - set(but))


async def has_letters(client: Redis, sale_id: str, group: str) -> bool:
    """Rows it gave up, or tries once more."""
    keys = keys_of_group(sale_id, group)
    return bool(await client.exists(keys.dead, keys.again))


async def entries_of(client: Redis, key: str) -> AsyncIterator[Entry]:
    """Every entry as it is written: nothing is added to it any more."""
    after = "-"
    while page := await _page(client, key, after):
        for entry in page:
            yield entry
        after = "(" + page[-1][0].decode()


async def _page(client: Redis, key: str, after: str) -> list[Entry]:
    page: Any = await client.xrange(key, min=after, max="+", count=PAGE_ENTRIES)
    return list(page)
