"""One sale's feed as one group has it: the lease, the entries, what became of each row.

A sale is delivered by one process at a time, so that a reservation's rows keep their order; who does is told
by a lease, and every script looks at it. There is one consumer name for all processes: what one of them left
unacknowledged, the next holder of the lease finds in its own list. (XAUTOCLAIM, the usual way, forgets
entries that were deleted; here they would be seen.)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import Any, Final

import msgspec
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from liveserver.orders import limits
from liveserver.orders.keys import GroupKeys, keys_of_group
from liveserver.orders.rows import OrderRow, changes, order_rows
from liveserver.orders.window import Under
from liveserver.stock.feed import Entry, read_entries
from liveserver.stock.packed import SaleFacts, parse_value
from liveserver.stock.rows import Opened, parse_row
from liveserver.stock.scripts import feed_key, keys_of
from liveserver.valkey.scripts import Script

CONSUMER: Final = "deliverer"
NEW: Final = ">"
DONE: Final = b"done"

_FOLDER: Final = files("liveserver.orders") / "lua"
_LEASE: Final = Script.read(_FOLDER, "lease.lua")
_READ: Final = Script.read(_FOLDER, "read.lua")
_SETTLE: Final = Script.read(_FOLDER, "settle.lua")
_ACKNOWLEDGE: Final = Script.read(_FOLDER, "acknowledge.lua")


class LeaseLostError(Exception):
    """Another process delivers this sale by now."""


class DeadFullError(Exception):
    """There are ``limits.DEAD_MAX`` dead letters of this sale: somebody has to look."""


class Letter(msgspec.Struct, frozen=True, rename="camel"):
    """A row that could not be delivered."""

    row: OrderRow
    attempts: int
    why: str
    at_ms: int


class Took(msgspec.Struct, frozen=True):
    """An entry with the rows it means, and what is known of them."""

    entry_id: str
    rows: tuple[OrderRow, ...]
    done: frozenset[str]
    attempts: dict[str, int]


class GroupFeed:
    """``owner`` names this process. Every call raises redis-py's exceptions; cancelled, it may have run.
    After any error give the lease up and begin anew: what was read and not acknowledged is read again."""

    def __init__(self, client: Redis, sale_id: str, group: str, owner: str) -> None:
        self._client = client
        self.sale_id = sale_id
        self.group = group
        self._owner = owner
        self._feed = feed_key(sale_id)
        self._keys: GroupKeys = keys_of_group(sale_id, group)
        self._facts: SaleFacts | None = None

    async def lease(self) -> bool:
        """Takes it, if nobody has it."""
        return bool(await self._client.set(self._keys.lease, self._owner, nx=True, px=limits.LEASE_MS))

    async def renew(self) -> None:
        if not await _LEASE.call(self._client, (self._keys.lease,), (self._owner, limits.LEASE_MS)):
            raise LeaseLostError(self.sale_id)

    async def give_back(self) -> None:
        await _LEASE.call(self._client, (self._keys.lease,), (self._owner, 0))

    async def unacknowledged(self, after: str) -> list[Took]:
        """A page of entries that were read before, by whomever, behind the entry ``after`` (``"0"`` at
        first), with what became of their rows. Raises ``ValueError`` for what can't be read as a feed."""
        entries = await self._read(after)
        return [await self._remembered(took) for took in await self._took(entries)]

    async def news(self) -> list[Took]:
        """A page of entries nobody of this group has read."""
        return await self._took(await self._read(NEW))

    async def redriven(self) -> list[OrderRow]:
        """Some of the dead letters that are to be tried once more."""
        page: Any = await self._client.hscan(self._keys.again, 0, count=limits.REDRIVEN_PAGE)
        letters = [msgspec.json.decode(text, type=Letter) for text in page[1].values()]
        return sorted((letter.row for letter in letters), key=lambda row: (row.epoch, row.seq))

    async def taken(self, one: Under, entry: Sequence[str]) -> None:
        """``entry``: places of the rows of its entry, if this row is its last one; then it is
        acknowledged."""
        await self._settle("taken", one, "", entry)

    async def failed(self, one: Under, attempts: int) -> None:
        await self._settle("failed", one, str(attempts), ())

    async def dead(self, one: Under, letter: Letter, entry: Sequence[str]) -> None:
        """Raises ``DeadFullError``: nothing was done."""
        await self._settle("dead", one, msgspec.json.encode(letter), entry)

    async def acknowledge(self, entries: Sequence[Took]) -> None:
        """Entries of which nothing is left to do."""
        ids = [took.entry_id for took in entries]
        rows = [f"{row.epoch}-{row.seq}" for took in entries for row in took.rows]
        arguments: list[str | bytes | int] = [self._owner, self.group, len(ids), *ids, *rows]
        keys = (self._keys.lease, self._feed, self._keys.rows)
        _hold(await _ACKNOWLEDGE.call(self._client, keys, arguments), self.sale_id)

    async def _settle(self, became: str, one: Under, text: str | bytes, entry: Sequence[str]) -> None:
        acknowledged = "again" if not one.entry_id else one.entry_id if entry else ""
        keys = (self._keys.lease, self._feed, self._keys.rows, self._keys.dead, self._keys.again)
        arguments = (self._owner, self.group, became, one.place, text, limits.DEAD_MAX, acknowledged, *entry)
        reply = await _SETTLE.call(self._client, keys, arguments)
        if reply == b"full":
            raise DeadFullError(self.sale_id)
        _hold(reply, self.sale_id)

    async def _read(self, after: str) -> list[Entry]:
        arguments = (self._owner, self.group, CONSUMER, after, limits.PAGE_ENTRIES)
        reply = await _READ.call(self._client, (self._keys.lease, self._feed), arguments)
        _hold(reply[0], self.sale_id)
        return [(entry_id, dict(_pairs(fields or []))) for entry_id, fields in reply[1]]

    async def _took(self, entries: Sequence[Entry]) -> list[Took]:
        if not entries:
            return []
        facts = self._facts = self._facts or await self._opened()
        rows = [parse_row(self.sale_id, entry_id, fields) for entry_id, fields in entries]
        users = sorted({change.ref.user_id for row in rows for change in changes(row)})
        values: Any = await self._client.hmget(keys_of(self.sale_id)[1], users) if users else []
        bought = {
            user: parse_value(facts, user, value or b"") for user, value in zip(users, values, strict=True)
        }
        return [
            Took(entry_id.decode(), order_rows(facts, row, bought), frozenset(), {})
            for (entry_id, _), row in zip(entries, rows, strict=True)
        ]

    async def _remembered(self, took: Took) -> Took:
        if not took.rows:
            return took
        places = [f"{row.epoch}-{row.seq}" for row in took.rows]
        known: Any = await self._client.hmget(self._keys.rows, places)
        pairs = list(zip(places, known, strict=True))
        return Took(
            took.entry_id,
            took.rows,
            frozenset(place for place, text in pairs if text == DONE),
            {place: int(text) for place, text in pairs if text and text != DONE},
        )

    async def _opened(self) -> SaleFacts:
        first = await read_entries(self._client, self.sale_id, entries_max=1)
        row = parse_row(self.sale_id, *first[0]) if first else None
        if not isinstance(row, Opened):
            raise ValueError(f"the feed of {self.sale_id} does not begin with its opening")
        return SaleFacts.of(row.spec, row.epoch)


async def make_group(client: Redis, sale_id: str, group: str) -> bool:
    """From the feed's beginning. One that is there stays as it is. False: the sale is gone. Raises redis-py's
    exceptions."""
    try:
        await client.xgroup_create(feed_key(sale_id), group, id="0")
    except ResponseError as error:
        if "requires the key to exist" in str(error):
            return False
        if "BUSYGROUP" not in str(error):
            raise
    return True


def _hold(reply: bytes, sale_id: str) -> None:
    if reply == b"lost":
        raise LeaseLostError(sale_id)


def _pairs(flat: Iterable[bytes]) -> Iterable[tuple[bytes, bytes]]:
    each = iter(flat)
    return zip(each, each, strict=True)
