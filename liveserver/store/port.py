"""What the hub asks of the place where rooms live: the room's log and the relay between processes.

The store knows nothing of carts or sales: an event is bytes with an offset, state is a map of keys to
bytes. ``core.room`` decides what they mean. An append is a compare-and-set on the head, so the rules
stand once, in the pure core, and hold across processes: whoever loses reads the gap and decides again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from protocol.types import Listing


class Appended(msgspec.Struct, frozen=True):
    """The event stands at ``offset``. ``duplicate``: this command id was appended before, at ``offset``."""

    epoch: int
    offset: int
    duplicate: bool = False


class HeadMoved(msgspec.Struct, frozen=True):
    """Nothing was appended: the head is not where the caller thought. Read the gap, decide again."""

    epoch: int
    head: int


class StoredEvent(msgspec.Struct, frozen=True):
    offset: int
    payload: bytes


class LoadedRoom(msgspec.Struct, frozen=True):
    """A room as it stood in one instant. A room never written has epoch > 0, head 0 and no state."""

    epoch: int
    head: int
    state: dict[str, bytes]
    # The last events of this epoch, oldest first, gapless up to head. Where data was lost the epoch is new
    # and offsets go on under it: then head may be > 0 and the history empty.
    history: list[StoredEvent]


class Beat(msgspec.Struct, frozen=True):
    """The answer to a process's beat, once a second per room it holds."""

    epoch: int
    head: int
    viewers: int  # over all processes whose beat is fresh
    likes: int  # over all processes, ever
    demand: int  # over all processes whose beat is fresh: see ``core.shares``
    processes: int  # whose beat is fresh, this one included
    sales: list[str]  # ids of the sales that were announced for this room (see ``announce_sale``)


class RoomStore(Protocol):
    """A cancelled or timed-out ``append`` may have run: repeat it with the same command id."""

    async def append(
        self,
        room: str,
        *,
        epoch: int,
        expected_head: int,
        command_id: str,
        payload: bytes,
        changes: Mapping[str, bytes | None],
    ) -> Appended | HeadMoved:
        """In one atomic step: give the event the next offset, put it on the room's stream (id
        ``epoch-offset``), change the state keys (None deletes), remember the command id, and publish
        ``CRITICAL`` + offset + payload on the room's channel."""
        ...

    async def find(self, room: str, command_id: str) -> Appended | None:
        """Where this command id was appended (``duplicate`` is then true); None if it wasn't, as far as the
        store remembers."""
        ...

    async def load(self, room: str, *, history: int) -> LoadedRoom: ...

    async def read_after(self, room: str, *, epoch: int, offset: int, limit: int) -> list[StoredEvent] | None:
        """The events after ``offset``, gapless from offset + 1; None where the stream no longer (or not in
        this epoch) reaches back that far."""
        ...

    async def beat(self, room: str, *, process: str, viewers: int, likes: int, demand: int = 0) -> Beat:
        """``viewers``, ``likes`` and ``demand`` (``core.shares.Demand``) are absolute figures of this
        (process, boot): repeating is harmless."""
        ...

    async def announce_sale(self, room: str, sale_id: str) -> None:
        """Note, before the sale exists, that it will concern this room: every process that holds the room
        looks it up each beat, so a crash between opening a sale and telling the room loses nothing."""
        ...

    async def is_announced(self, room: str, sale_id: str) -> bool: ...

    async def ping(self) -> None:
        """Returns if the store answers, else raises as all of these do."""
        ...


SHELF = ""
"""The place outside of all rooms."""


class Place(msgspec.Struct, frozen=True):
    """How a sale is shown in one place."""

    listing: Listing  # on the shelf: the card, its number 0
    home: bool = False  # a room it was opened in, which steers it
    selling: bool = True  # False: detached; who bought there still hears what becomes of it


class Places(Protocol):
    """Where a sale is shown: room id, or ``SHELF``, to how."""

    async def put(self, sale_id: str, place: str, shown: Place, *, closes_at_ms: int) -> bool:
        """False: it is in as many rooms as one sale may be (``protocol.limits.ROOMS_PER_SALE_MAX``)."""
        ...

    async def of(self, sale_id: str) -> dict[str, Place]: ...

    async def shelf(self, sale_id: str) -> Place | None:
        """None: it is on no shelf, or there is no such sale."""
        ...


class Relay(Protocol):
    """Carries a room between processes. At most once, in order per publisher; a lost chunk is seen from
    the publisher's numbering, a lost critical event from the head in the next chunk or beat."""

    async def subscribe(self, room: str, receive: Callable[[RelayItem], None]) -> None:
        """Returns when the subscription is confirmed: what is published after that reaches ``receive``.
        Raises ``TimeoutError`` if the store is away; then, and when cancelled, nothing is subscribed."""
        ...

    async def unsubscribe(self, room: str) -> None: ...

    async def publish(self, room: str, chunk: bytes) -> bool:
        """One packed chunk; False (never an exception) if the store is away or too slow: it is dropped."""
        ...


class RelayCritical(msgspec.Struct, frozen=True):
    """A critical event somebody appended."""

    room: str
    epoch: int
    offset: int
    payload: bytes


class RelayChunk(msgspec.Struct, frozen=True):
    """A chunk some process (this one included) published."""

    room: str
    chunk: bytes


RelayItem = RelayCritical | RelayChunk
