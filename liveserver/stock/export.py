"""A sale's feed, and its orders as they now are, one by one: for spreadsheets, archives, an order service.

Streamed: at most one page of the feed is in memory. Both stop where the feed ended when they began, so an
export of a selling sale comes to an end.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec
from redis.asyncio import Redis

from liveserver.stock.feed import START, Entry, read_entries
from liveserver.stock.ids import reservation_id
from liveserver.stock.packed import SaleFacts, parse_value
from liveserver.stock.port import Line, ReservationState
from liveserver.stock.rows import Opened, Recovered, Reserved, Waited, parse_row
from liveserver.stock.scripts import feed_key, keys_of

PAGE_ENTRIES: Final = 100  # of at most 128 orders each


class OrderLine(msgspec.Struct, frozen=True):
    """One reservation in its present state."""

    sale_id: str
    reservation_id: str
    user_id: str
    command_id: str
    state: ReservationState
    lines: tuple[Line, ...]
    reserved_at_ms: int
    expires_at_ms: int  # of the hold; 0 while it waits
    epoch: int  # of the grant or the place in line, with its seq
    seq: int


async def feed_entries(client: Redis, sale_id: str) -> AsyncIterator[Entry]:
    """Every entry as it is written, unparsed. Raises redis-py's exceptions."""
    newest: Any = await client.xrevrange(feed_key(sale_id), count=1)
    until = _position(newest[0][0]) if newest else START
    after = START
    while after < until:
        page = await read_entries(client, sale_id, after=after, until=until, entries_max=PAGE_ENTRIES)
        if not page:
            return
        for entry in page:
            yield entry
        after = _position(page[-1][0])


async def orders(client: Redis, sale_id: str) -> AsyncIterator[OrderLine]:
    """In the order they were granted, or took their place in line. The state is the one at the moment its
    page is read.

    Raises redis-py's exceptions, and ``ValueError`` where feed and buyers disagree (``audit`` says why)."""
    buyers = keys_of(sale_id)[1]
    facts: SaleFacts | None = None
    async for entry_id, fields in feed_entries(client, sale_id):
        if fields.get(b"kind") not in (b"open", b"reserve", b"wait", b"recover"):
            continue
        row = parse_row(sale_id, entry_id, fields)
        if isinstance(row, Opened):
            facts = SaleFacts.of(row.spec, row.epoch)
        if not isinstance(row, Reserved | Waited | Recovered):
            continue
        if facts is None:
            raise ValueError(f"the feed of {sale_id} does not begin with its opening")
        refs = [order.ref for order in row.orders]
        values: Any = await client.hmget(buyers, [ref.user_id for ref in refs])
        for place, (ref, value) in enumerate(zip(refs, values, strict=True)):
            named = reservation_id(sale_id, ref.user_id, ref.place)
            bought = parse_value(facts, ref.user_id, value or b"")
            now = next((one for one in bought if one.reservation_id == named), None)
            if now is None:
                raise ValueError(f"{ref.user_id} has no reservation {ref.place} in {sale_id}")
            yield OrderLine(
                sale_id=sale_id,
                reservation_id=now.reservation_id,
                user_id=now.user_id,
                command_id=now.command_id,
                state=now.state,
                lines=now.lines,
                reserved_at_ms=row.at_ms,
                expires_at_ms=now.expires_at_ms,
                epoch=row.epoch,
                seq=row.first + place,
            )


def entry_line(sale_id: str, entry: Entry) -> str:
    """As it is kept, every field a text, on a line of JSON: it can be parsed and folded again."""
    entry_id, fields = entry
    texts = {field.decode(): text.decode() for field, text in fields.items()}
    return msgspec.json.encode({"sale_id": sale_id, "id": entry_id.decode(), **texts}).decode() + "\n"


def entry_of(line: str) -> Entry:
    """What ``entry_line`` wrote. Raises ``ValueError``."""
    texts = msgspec.json.decode(line, type=dict[str, str])
    if "id" not in texts:
        raise ValueError(f"a line without an id: {line[:100]!r}")
    fields = {field: text for field, text in texts.items() if field not in ("sale_id", "id")}
    return texts["id"].encode(), {field.encode(): text.encode() for field, text in fields.items()}


def _position(entry_id: bytes) -> tuple[int, int]:
    epoch, seq = entry_id.split(b"-")
    return int(epoch), int(seq)
