"""A sale that a rebuild began afresh: its old feed was put aside, and every group that read it with it."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path

import pytest

from liveserver.orders.archive import QUIET_MS, Archived, Kept, archive
from liveserver.orders.keys import keys_of_group
from liveserver.orders.lag import lags
from liveserver.orders.letters import letters, move
from liveserver.stock.export import entry_of, feed_entries
from liveserver.stock.feed import Entry, read_feed
from liveserver.stock.port import Outcome
from liveserver.stock.rebuild_run import Notes, carry_out, look
from liveserver.stock.scripts import feed_key, keys_of
from liveserver.store.places import ValkeyPlaces
from liveserver.store.port import Place
from protocol.types import Item, Listing
from tests.orders.conftest import MakeDeliverer, drained, end, until
from tests.orders.order_service import OK, OrderService, answer
from tests.orders.shop import arrived, expected, in_order
from tests.stock.conftest import HOLD_MS, ValkeyBench

OIL = Listing(listing_id="oil", number=1, title="oil", items=[Item(item_id="i0", price_fen=990)])


async def sold(bench: ValkeyBench) -> None:
    """Three reservations, of which ann's is paid."""
    await bench.open(bench.spec((9,)))
    for user in ("ann", "bob", "cid"):
        await bench.buy(user, "c1")
    await bench.ledger.confirm("s1~ann~0", command_id="p")


async def begun_afresh(bench: ValkeyBench) -> list[Entry]:
    """A row in the middle is lost, so the feed is put aside. Answers what was left of it."""
    rows = await bench.feed()
    await bench.client.xdel(feed_key("s1"), f"{rows[3].epoch}-{rows[3].last}")
    await bench.ledger.freeze("s1", actor="eve", command_id="f1")
    old = [entry async for entry in feed_entries(bench.client, "s1")]
    plan = await look(bench.client, "s1", Notes([], []), [], now_ms=bench.clock.now_ms())
    report = await carry_out(bench.client, plan, actor="eve", command_id="r1")
    assert report.afresh
    assert [key async for key in bench.client.scan_iter(match="{sale:s1}:feed:aside:*")] != []
    return old


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def kept_entries(folder: Path, name: str) -> list[Entry]:
    with gzip.open(folder / name, "rt", encoding="utf-8") as lines:
        return [entry_of(line) for line in lines]


async def over(bench: ValkeyBench) -> None:
    await bench.ledger.close("s1", actor="eve", command_id="close-1")
    await bench.advance(HOLD_MS)
    await bench.ledger.expire("s1")
    await bench.advance(QUIET_MS)


@pytest.mark.parametrize("meanwhile", ["running", "away"])
async def test_every_row_of_the_new_feed_is_delivered_under_ids_of_its_own(
    bench: ValkeyBench, service: OrderService, deliverer: MakeDeliverer, meanwhile: str
) -> None:
    await sold(bench)
    delivering = asyncio.create_task((await deliverer()).run())
    before = expected("s1", await read_feed(bench.client, "s1"))
    await until(lambda: arrived(service.effects) == before)
    if meanwhile == "away":
        await end(delivering)
    await begun_afresh(bench)
    assert (await bench.buy("dan", "c1")).outcome is Outcome.RESERVED
    after = expected("s1", await read_feed(bench.client, "s1"))
    told = {named.rpartition("~")[0] for _, named in after.values()}
    assert {"s1~ann", "s1~bob", "s1~dan"} <= told
    assert not set(before) & set(after), "another epoch, so another id"
    if meanwhile == "away":
        await drained(await deliverer())
    else:
        await until(lambda: len(service.effects) == len(before) + len(after))
        await end(delivering)
    assert arrived(service.effects) == before | after
    assert in_order(list(service.effects.values()))
    assert [lag.drained for lag in await lags(bench.client, "s1")] == [True]


async def test_what_was_under_way_in_the_old_life_is_of_no_harm_in_the_new_one(
    bench: ValkeyBench, service: OrderService, deliverer: MakeDeliverer
) -> None:
    """It ended with rows read, tried, and not acknowledged."""
    await sold(bench)
    service.behave = lambda row, nth: OK if row["userId"] == "ann" else answer(503)
    delivering = asyncio.create_task((await deliverer()).run())
    rows = keys_of_group("s1", "orders").rows
    await until(lambda: _some(bench, rows))
    await end(delivering)
    await begun_afresh(bench)
    service.behave = lambda row, nth: OK
    await drained(await deliverer())
    after = expected("s1", await read_feed(bench.client, "s1"))
    assert arrived(service.effects).items() >= after.items()


async def _some(bench: ValkeyBench, key: str) -> bool:
    return bool(await bench.client.exists(key))


async def test_the_archive_takes_everything_along(
    bench: ValkeyBench, service: OrderService, deliverer: MakeDeliverer, tmp_path: Path
) -> None:
    """The feed put aside is in a file of its own, as it was; no key of the sale is left."""
    await sold(bench)
    await drained(await deliverer(group="was"))
    await bench.client.hset(keys_of_group("s1", "was").rows, "1-1", "done")
    old = await begun_afresh(bench)
    await drained(await deliverer())
    places = ValkeyPlaces(bench.client)
    await places.put("s1", "r1", Place(OIL, home=True), closes_at_ms=bench.clock.now_ms() + 10**12)
    await over(bench)
    await drained(await deliverer())
    assert isinstance(await archive(bench.client, "s1", tmp_path, dry_run=True), Archived)
    assert names(tmp_path) == []
    ended = await archive(bench.client, "s1", tmp_path)
    assert isinstance(ended, Archived), ended
    assert [key async for key in bench.client.scan_iter(match="{sale:s1}:*")] == []
    whole, aside = names(tmp_path)
    assert tmp_path / whole == Path(ended.path)
    assert aside.startswith("s1.aside-") and kept_entries(tmp_path, aside) == old


async def test_dead_letters_of_the_old_life_keep_the_sale(
    bench: ValkeyBench, service: OrderService, deliverer: MakeDeliverer, tmp_path: Path
) -> None:
    """Of a group that reads the sale no more, too."""
    await sold(bench)
    service.behave = lambda row, nth: answer(400)
    await drained(await deliverer(group="was"))
    service.behave = lambda row, nth: OK
    await begun_afresh(bench)
    await over(bench)
    await drained(await deliverer())
    kept = await archive(bench.client, "s1", tmp_path)
    assert isinstance(kept, Kept) and "the group was has dead letters" in kept.why
    assert await bench.client.exists(keys_of("s1")[0]) and names(tmp_path) == []
    places = [f"{one.row.epoch}-{one.row.seq}" async for one in letters(bench.client, "s1", "was")]
    await move(bench.client, "s1", "was", places, "drop")
    assert isinstance(await archive(bench.client, "s1", tmp_path), Archived)
