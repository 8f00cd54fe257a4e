"""Where a sale is shown: its rooms, and its card on the shelf outside of them. Kept in the store, in the
sale's own slot, so every process finds the rooms of a sale it never held.

Knows nothing of stock: which sale is sold where decides nothing about a unit. It goes by itself eight days
after the sale's close.
"""

from __future__ import annotations

from typing import Any

import msgspec
from redis.asyncio import Redis

from liveserver.stock.scripts import places_key
from liveserver.store.limits import PLACES_KEPT_MS
from liveserver.store.port import SHELF, Place
from liveserver.store.rooms import LUA
from liveserver.valkey.scripts import Script
from protocol.limits import ROOMS_PER_SALE_MAX

_PLACE = Script.read(LUA, "place.lua")
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Place)


class ValkeyPlaces:
    """``port.Places`` on a client of ``valkey.connect.call_client``. Raises redis-py's exceptions; all
    may be repeated as they are, also after they were cancelled."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def put(self, sale_id: str, place: str, shown: Place, *, closes_at_ms: int) -> bool:
        arguments = (place, _encoder.encode(shown), ROOMS_PER_SALE_MAX, closes_at_ms + PLACES_KEPT_MS)
        return bool(await _PLACE.call(self._client, (places_key(sale_id),), arguments))

    async def of(self, sale_id: str) -> dict[str, Place]:
        packed: Any = await self._client.hgetall(places_key(sale_id))
        return {place.decode(): _decoder.decode(shown) for place, shown in packed.items()}

    async def shelf(self, sale_id: str) -> Place | None:
        packed: Any = await self._client.hget(places_key(sale_id), SHELF)
        return None if packed is None else _decoder.decode(packed)
