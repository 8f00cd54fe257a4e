"""Reading a sale's feed: for an order service, for ``orders --follow``, for whoever wants proof.

Knows where the feed is and how to page through it; ``rows.py`` knows what a row says.
"""

from __future__ import annotations

from typing import Any, Final

from redis.asyncio import Redis

from liveserver.stock.rows import AnyRow, parse_row
from liveserver.stock.scripts import feed_key

PAGE_ROWS: Final = 500

START: Final = (0, 0)

Entry = tuple[bytes, dict[bytes, bytes]]
"""An entry id and its fields."""


async def read_feed(
    client: Redis, sale_id: str, *, after: tuple[int, int] = START, rows_max: int = PAGE_ROWS
) -> list[AnyRow]:
    """At most ``rows_max`` rows after ``(epoch, seq)``, oldest first. ``seq`` is the ``last`` of a row one
    has read. Raises redis-py's exceptions, and ``ValueError`` for what is no row. Safe to cancel."""
    entries = await read_entries(client, sale_id, after=after, entries_max=rows_max)
    return [parse_row(sale_id, entry_id, fields) for entry_id, fields in entries]


async def read_entries(
    client: Redis,
    sale_id: str,
    *,
    after: tuple[int, int] = START,
    until: tuple[int, int] | None = None,
    entries_max: int = PAGE_ROWS,
) -> list[Entry]:
    """As ``read_feed``, up to and including ``until``, not yet parsed: for whoever asks whether it can be."""
    epoch, seq = after
    highest = "+" if until is None else f"{until[0]}-{until[1]}"
    entries: Any = await client.xrange(
        feed_key(sale_id), min=f"({epoch}-{seq}", max=highest, count=entries_max
    )
    return list(entries)
