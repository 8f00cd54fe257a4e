"""Words to one buyer, through every room of his sale: those held here, those held by other processes only,
and, for a sale of the shelf, wherever he is connected here.

A session hears each notice once, by whichever way it comes first. At most once: what the relay loses is lost,
and the truth behind it is ``me`` in every join's answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from liveserver.commands.ports import NoticeKind
from liveserver.stock.port import Reservation
from liveserver.store.port import SHELF
from protocol.errors import CommandError

from .chunks import Personal
from .places import KnownPlaces
from .rooms import SHELVES, Rooms
from .tasks import Tasks

ELSEWHERE_MAX = 100_000  # notices of one sale that wait for the names of its rooms


class Notices:
    def __init__(self, rooms: Rooms, places: KnownPlaces, tasks: Tasks) -> None:
        self._rooms = rooms
        self._places = places
        self._tasks = tasks
        self._elsewhere: dict[str, list[Personal]] = {}  # sale id -> what other processes must hear

    def tell(
        self, kind: NoticeKind, reservation: Reservation, held_rooms: Sequence[str], *, anywhere: bool
    ) -> None:
        """``anywhere``: also in sessions of this process that are in none of the sale's rooms."""
        personal = self._rooms.notice(kind, reservation)
        self._rooms.tell_in(held_rooms, personal)
        if anywhere:
            self._rooms.tell_anywhere(personal)
        sale_id = reservation.sale_id
        waiting = self._elsewhere.setdefault(sale_id, [])
        if len(waiting) < ELSEWHERE_MAX:
            waiting.append(personal)
        if len(waiting) == 1 and self._tasks.start(self._go_on(sale_id), name=f"notices {sale_id}") is None:
            del self._elsewhere[sale_id]

    async def _go_on(self, sale_id: str) -> None:
        try:
            places = await self._places.lately(sale_id)
        except CommandError:  # the store is away, and so is the relay
            places = {}
        finally:
            personals = self._elsewhere.pop(sale_id, [])
        for place in places:
            channel = SHELVES if place == SHELF else place
            if self._rooms.held(channel) is None:
                await self._rooms.tell_elsewhere(channel, personals)
