"""Where sales are shown, as the handlers ask it: ``commands.ports.Places``."""

from __future__ import annotations

from liveserver.core.clock import Clock
from liveserver.store.port import Place, Places
from protocol.errors import CommandError

from .store_errors import store_errors

LATELY_MS = 1_000
LATELY_MAX = 1_000  # sales


class KnownPlaces:
    def __init__(self, store: Places, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lately: dict[str, tuple[int, dict[str, Place]]] = {}

    async def put(self, sale_id: str, place: str, shown: Place, *, closes_at_ms: int) -> None:
        with store_errors():
            fits = await self._store.put(sale_id, place, shown, closes_at_ms=closes_at_ms)
        self._lately.pop(sale_id, None)
        if not fits:
            raise CommandError("sale_rooms_full", field="room")

    async def of(self, sale_id: str) -> dict[str, Place]:
        with store_errors(reading=True):
            return await self._store.of(sale_id)

    async def shelf(self, sale_id: str) -> Place | None:
        with store_errors(reading=True):
            return await self._store.shelf(sale_id)

    async def lately(self, sale_id: str) -> dict[str, Place]:
        """As of the last second: for what is said often, and needn't be right at once."""
        now_ms = self._clock.now_ms()
        known = self._lately.get(sale_id)
        if known is not None and now_ms - known[0] < LATELY_MS:
            return known[1]
        places = await self.of(sale_id)
        self._lately.pop(sale_id, None)
        self._lately[sale_id] = now_ms, places
        if len(self._lately) > LATELY_MAX:
            del self._lately[next(iter(self._lately))]
        return places
