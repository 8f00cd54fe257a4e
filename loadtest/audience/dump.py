"""What the store itself says at the end: the room's stream and each sale's feed, copied into the journal.

Key names are those of the published layout. Reads in pages; writes nothing into the store.
"""

from __future__ import annotations

from typing import Final

from redis.asyncio import Redis

from loadtest.journal import JournalWriter, pack_field

PAGE: Final = 500
ENTRIES_MAX: Final = 5_000_000


def feed_key(sale_id: str) -> str:
    return f"{{sale:{sale_id}}}:feed"


def stream_key(room: str) -> str:
    return f"{{room:{room}}}:log"


async def held_units(store: Redis, sale_id: str) -> int:
    """Units held now, from the sale's counters: only to know when it is worth dumping."""
    meta = await store.hgetall(f"{{sale:{sale_id}}}:meta")
    return sum(int(value) for name, value in meta.items() if name[:1] == b"h" and name[1:].isdigit())


async def dump(store: Redis, journal: JournalWriter, room: str, sales: list[str]) -> None:
    await _stream(store, journal, stream_key(room), kind="stream", room=room)
    for sale_id in sales:
        await _stream(store, journal, feed_key(sale_id), kind="feed", sale=sale_id)


async def _stream(store: Redis, journal: JournalWriter, key: str, *, kind: str, **whose: str) -> None:
    start, entries = "-", 0
    while entries < ENTRIES_MAX:
        page: list[tuple[bytes, dict[bytes, bytes]]] = await store.xrange(key, min=start, count=PAGE)  # type: ignore[assignment]
        if not page:
            return
        for entry_id, fields in page:
            packed = {name.decode(): pack_field(value) for name, value in fields.items()}
            journal.write(kind, id=entry_id.decode(), fields=packed, **whose)
        entries += len(page)
        start = f"({page[-1][0].decode()}"
