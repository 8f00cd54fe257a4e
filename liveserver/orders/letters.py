"""Dead letters: rows that could not be delivered, listed, tried once more, or dropped."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from importlib.resources import files
from typing import Final, Literal

import msgspec
from redis.asyncio import Redis

from liveserver.orders.keys import keys_of_group
from liveserver.orders.store import Letter
from liveserver.valkey.scripts import Script

_REDRIVE: Final = Script.read(files("liveserver.orders") / "lua", "redrive.lua")
_PAGE: Final = 128


async def letters(client: Redis, sale_id: str, group: str) -> AsyncIterator[Letter]:
    """In no order, each at least once while it stays. Raises redis-py's exceptions."""
    async for _, text in client.hscan_iter(keys_of_group(sale_id, group).dead, count=_PAGE):
        yield msgspec.json.decode(text, type=Letter)


async def move(
    client: Redis, sale_id: str, group: str, places: Sequence[str], how: Literal["again", "drop"]
) -> int:
    """``places``: ``epoch-seq`` of rows. Answers how many were dead letters. ``again``: the next deliverer
    of this sale tries them, with all attempts before them. Raises redis-py's exceptions; cancelled, some may
    have been moved."""
    keys = keys_of_group(sale_id, group)
    moved = 0
    for page in [places[at : at + _PAGE] for at in range(0, len(places), _PAGE)]:
        moved += int(await _REDRIVE.call(client, (keys.dead, keys.again), (how, *page)))
    return moved
