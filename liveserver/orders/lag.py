"""How far a group is with a sale. It only reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from liveserver.orders.keys import keys_of_group
from liveserver.stock.scripts import feed_key


class Lag(msgspec.Struct, frozen=True):
    """Of one sale and group. ``behind`` and ``pending`` count entries of the feed, an entry has 1 to 128
    rows."""

    sale_id: str
    group: str
    behind: int  # entries not yet read; the end of the feed is at ``end``
    pending: int  # read, and not yet acknowledged: some row has found no end
    dead: int  # rows that could not be delivered
    again: int  # dead letters that are being tried once more
    deliverer: str  # the process at work; empty: none
    read_until: str  # "epoch-seq" of the last entry read
    end: str

    @property
    def drained(self) -> bool:
        return not (self.behind or self.pending or self.again)


async def lags(client: Redis, sale_id: str) -> list[Lag]:
    """One for each group of this sale, by name. Empty: there is no such sale, or no group. Raises redis-py's
    exceptions."""
    try:
        groups: Any = await client.xinfo_groups(feed_key(sale_id))
    except ResponseError as error:
        if "no such key" in str(error):
            return []
        raise
    newest: Any = await client.xrevrange(feed_key(sale_id), count=1)
    end = newest[0][0] if newest else b"0-0"
    return [await _lag(client, sale_id, group, end) for group in sorted(groups, key=lambda one: one["name"])]


async def _lag(client: Redis, sale_id: str, group: dict[str, Any], end: bytes) -> Lag:
    name = group["name"].decode()
    keys = keys_of_group(sale_id, name)
    read_until: bytes = group["last-delivered-id"]
    behind = 0 if read_until == end else max(1, group.get("lag") or 1)
    async with client.pipeline(transaction=False) as asked:
        asked.hlen(keys.dead)
        asked.hlen(keys.again)
        asked.get(keys.lease)
        dead, again, owner = await asked.execute()
    return Lag(
        sale_id=sale_id,
        group=name,
        behind=behind,
        pending=group["pending"],
        dead=dead,
        again=again,
        deliverer=(owner or b"").decode(),
        read_until=read_until.decode(),
        end=end.decode(),
    )


async def waiting(client: Redis, sale_ids: Sequence[str], group: str) -> list[str]:
    """Those of these sales in which this group has something to do, or which it does not have yet. One round
    trip. A sale that is gone meanwhile is left out. Raises redis-py's exceptions."""
    async with client.pipeline(transaction=False) as asked:
        for sale_id in sale_ids:
            feed = feed_key(sale_id)
            asked.xinfo_groups(feed)
            asked.xrevrange(feed, count=1)
            asked.hlen(keys_of_group(sale_id, group).again)
        replies = await asked.execute(raise_on_error=False)
    found = []
    for nth, sale_id in enumerate(sale_ids):
        groups, newest, again = replies[3 * nth : 3 * nth + 3]
        if isinstance(groups, Exception) or not newest:
            continue
        mine = [one for one in groups if one["name"].decode() == group]
        if not mine or mine[0]["pending"] or again or mine[0]["last-delivered-id"] != newest[0][0]:
            found.append(sale_id)
    return found
