"""A sale that is over, out of the store and into a file.

The feed is written as ``ledger export`` writes it, gzipped; read back from the disk and folded, every law
held; compared with the counters; and only then is the sale unlinked, in one step that looks once more
whether anything was written to it and whether every group has acknowledged all. What stands in the way is
said, and nothing is done. Feeds that a rebuild had put aside are written to files of their own, as they are:
that they don't fold is why they lie there. Where the sale was shown goes, too: no file has that.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import AsyncIterator, Collection, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import msgspec
from redis.asyncio import Redis

from liveserver.orders.aside import entries_of, groups_left, has_letters, put_aside
from liveserver.orders.keys import keys_of_group
from liveserver.orders.lag import Lag, lags
from liveserver.stock import compare
from liveserver.stock.export import entry_line, entry_of, feed_entries
from liveserver.stock.feed import Entry
from liveserver.stock.fold import BrokenLawError, Fold
from liveserver.stock.rows import parse_row
from liveserver.stock.scripts import feed_key, fence_key, keys_of, places_key
from liveserver.valkey.scripts import Script

QUIET_MS: Final = 86_400_000  # a sale's last change lies so far back: a day in which it could be asked about
GROUPS_MAX: Final = 200

_UNLINK: Final = Script.read(files("liveserver.orders") / "lua", "unlink.lua")


class Archived(msgspec.Struct, frozen=True):
    sale_id: str
    path: str
    rows: int


class Kept(msgspec.Struct, frozen=True):
    """It stays as it is. ``broken``: its ledger doesn't hold, and somebody has to look."""

    sale_id: str
    why: str
    broken: bool = False


class _Over(msgspec.Struct, frozen=True):
    epoch: int
    seq: int
    meta: dict[str, str]


async def archive(
    client: Redis,
    sale_id: str,
    folder: Path,
    *,
    quiet_ms: int = QUIET_MS,
    groups: Collection[str] = (),
    dry_run: bool = False,
) -> Archived | Kept:
    """``groups`` must have read it, be they there or not; those that are there must anyhow. The folder has
    to exist. ``dry_run``: writes and checks the sale's file, takes it away again, and leaves the sale. Raises
    redis-py's exceptions and ``OSError``; cancelled or failing, the sale is whole, or the file is. Memory:
    the sale's buyers and reservations."""
    over = await _over(client, sale_id, quiet_ms)
    if isinstance(over, Kept):
        return over
    behind = await lags(client, sale_id)
    held_up = _held_up(sale_id, behind, groups)
    if held_up is not None:
        return held_up
    asides = await put_aside(client, sale_id) if "base" in over.meta else []  # FEED.md: it was rebuilt
    gone = await groups_left(client, asides, [lag.group for lag in behind])
    for group in gone:
        if await has_letters(client, sale_id, group):
            return Kept(sale_id, f"the group {group} has dead letters of a feed that was put aside")
    path = folder / f"{sale_id}.{over.epoch}-{over.seq}.jsonl.gz"
    part = path.with_name(path.name + ".part")
    try:
        rows = await _write(sale_id, feed_entries(client, sale_id), part)
        broken = _checked(sale_id, part, over)
        if broken is not None:
            return broken
        if dry_run:
            return Archived(sale_id, str(path), rows)
        part.replace(path)
        for key in asides:
            await _write(sale_id, entries_of(client, key), part)
            part.replace(folder / f"{sale_id}.aside-{key.rpartition(':')[2]}.jsonl.gz")
        _to_disk(folder)
    finally:
        part.unlink(missing_ok=True)
    refusal = await _unlink(client, sale_id, over, asides, [*(lag.group for lag in behind), *gone])
    return refusal or Archived(sale_id, str(path), rows)


async def _over(client: Redis, sale_id: str, quiet_ms: int) -> _Over | Kept:
    got: Any = await client.hgetall(keys_of(sale_id)[0])
    if not got:
        return Kept(sale_id, "there is no such sale")
    meta = {field.decode(): text.decode("utf-8", "replace") for field, text in got.items()}
    if meta.get("status") != "closed":
        return Kept(sale_id, f"it is {meta.get('status')}, not closed")
    seconds, _ = await client.time()
    now_ms = int(meta.get("pinned_ms", seconds * 1000))  # FEED.md: a test's clock
    since_ms = now_ms - int(meta["now"])
    if since_ms < quiet_ms:
        hours = (quiet_ms - since_ms) / 3_600_000
        return Kept(sale_id, f"its last change is too young, for {hours:.1f} hours more")
    return _Over(int(meta["epoch"]), int(meta["seq"]), meta)


def _held_up(sale_id: str, behind: list[Lag], groups: Collection[str]) -> Kept | None:
    missing = sorted(set(groups) - {lag.group for lag in behind})
    if missing:
        return Kept(sale_id, f"the group {missing[0]} has never read it")
    if len(behind) > GROUPS_MAX:
        return Kept(sale_id, f"more than {GROUPS_MAX} groups read it")
    for lag in behind:
        if not lag.drained:
            return Kept(
                sale_id,
                f"the group {lag.group} has {lag.behind} entries to read, {lag.pending} to acknowledge and "
                f"{lag.again} dead letters under way",
            )
        if lag.dead:
            return Kept(
                sale_id, f"the group {lag.group} has {lag.dead} dead letters: `orders dead` retries or drops"
            )
    return None


async def _write(sale_id: str, entries: AsyncIterator[Entry], part: Path) -> int:
    rows = 0
    with part.open("wb") as raw:
        with gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as file:
            async for entry in entries:
                file.write(entry_line(sale_id, entry).encode())
                rows += 1
        raw.flush()
        os.fsync(raw.fileno())
    return rows


def _checked(sale_id: str, part: Path, over: _Over) -> Kept | None:
    """What stands on the disk, folded: is it the whole sale, and does every law hold?"""
    folded = Fold()
    try:
        for line in _lines(part):
            folded.take(parse_row(sale_id, *entry_of(line)))
    except (BrokenLawError, ValueError) as error:
        return Kept(sale_id, f"its feed does not fold: {error}", broken=True)
    if (folded.epoch, folded.seq) != (over.epoch, over.seq):
        ends = f"its feed ends at {folded.epoch}-{folded.seq}, its counters at {over.epoch}-{over.seq}"
        return Kept(sale_id, ends, broken=True)
    findings = [*compare.counters(folded, over.meta), *compare.status(folded, over.meta)]
    if findings:
        return Kept(sale_id, f"its counters are not what its feed says: {findings[0].where}", broken=True)
    if any(folded.held):
        return Kept(sale_id, "something is held in it; the next sweep ends that")
    return None


def _lines(path: Path) -> Iterator[str]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        yield from file


def _to_disk(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


async def _unlink(
    client: Redis, sale_id: str, over: _Over, asides: list[str], groups: list[str]
) -> Kept | None:
    feed = feed_key(sale_id)
    keys = [feed, *(key for key in keys_of(sale_id) if key != feed), *asides]
    keys += [places_key(sale_id), fence_key(sale_id)]
    for group in groups:
        keys += keys_of_group(sale_id, group)
    reply: Any = await _UNLINK.call(client, keys, (over.epoch, over.seq, *groups))
    match reply[0]:
        case b"changed":
            return Kept(sale_id, "it was written to meanwhile")
        case b"group":
            return Kept(sale_id, f"the group {reply[1].decode()} has something to do by now")
    return None
