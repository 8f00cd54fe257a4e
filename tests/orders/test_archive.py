"""A sale that is over leaves the store: whole, proved, and never below a group that has not read it."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import pytest

from liveserver.orders import archive as archive_module
from liveserver.orders.archive import QUIET_MS, Archived, Kept, archive
from liveserver.orders.keys import keys_of_group
from liveserver.orders.letters import letters, move
from liveserver.stock.audit import audit
from liveserver.stock.export import entry_of
from liveserver.stock.fold import Fold, fold
from liveserver.stock.ids import reservation_id
from liveserver.stock.port import SaleStatus, UnknownSaleError
from liveserver.stock.rows import parse_row
from liveserver.stock.scripts import feed_key, keys_of
from tests.orders.conftest import MakeDeliverer, drained
from tests.orders.order_service import OK, OrderService, answer
from tests.stock.conftest import HOLD_MS, ValkeyBench
from tests.stock.history import busy


async def over(bench: ValkeyBench, sale_id: str = "s1") -> None:
    """Sold, closed, nothing held, and a day has passed."""
    await busy(bench, calls=8, sale_id=sale_id)
    await bench.ledger.close(sale_id, actor="eve", command_id="close-1")
    await bench.advance(HOLD_MS)
    await bench.ledger.expire(sale_id)
    await bench.advance(QUIET_MS)


def folded(path: Path, sale_id: str = "s1") -> Fold:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return fold(parse_row(sale_id, *entry_of(line)) for line in file)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def kept(bench: ValkeyBench, folder: Path, **how: object) -> str:
    """Why; and that the sale is as it was, and no file is left."""
    before = await bench.feed()
    ended = await archive(bench.client, "s1", folder, **how)  # type: ignore[arg-type]
    assert isinstance(ended, Kept), ended
    assert await bench.feed() == before
    assert names(folder) == []
    return ended.why


async def test_what_is_over_leaves_the_store_and_the_file_proves_it(
    bench: ValkeyBench, service: OrderService, deliverer: MakeDeliverer, tmp_path: Path
) -> None:
    await over(bench)
    await over(bench, "s2")
    await drained(await deliverer())
    report = await audit(bench.client, "s1")
    ended = await archive(bench.client, "s1", tmp_path)
    assert isinstance(ended, Archived)
    assert names(tmp_path) == [f"s1.{report.epoch}-{report.seq}.jsonl.gz"]
    assert Path(ended.path) == tmp_path / names(tmp_path)[0]
    whole = folded(Path(ended.path))
    assert (whole.rows, whole.seq, ended.rows) == (report.rows, report.seq, report.rows)
    assert dict(zip(report.confirmed, whole.confirmed, strict=True)) == report.confirmed
    assert [key async for key in bench.client.scan_iter(match="{sale:s1}:*")] == []
    assert len([key async for key in bench.client.scan_iter(match="{sale:s2}:*")]) > 0
    assert not (await audit(bench.client, "s2")).findings
    with pytest.raises(UnknownSaleError):
        await bench.ledger.view("s1")


async def test_what_is_not_over_stays(bench: ValkeyBench, tmp_path: Path) -> None:
    assert isinstance(await archive(bench.client, "nothing", tmp_path), Kept)
    await bench.open(bench.spec())
    await bench.buy("ann", "c1")
    assert await kept(bench, tmp_path) == "it is open, not closed"
    await bench.ledger.close("s1", actor="eve", command_id="close-1")
    assert "too young, for 24.0 hours more" in await kept(bench, tmp_path)
    await bench.advance(QUIET_MS - 1)
    assert "too young" in await kept(bench, tmp_path)
    await bench.advance(1)
    assert "something is held" in await kept(bench, tmp_path)
    await bench.ledger.expire("s1")
    assert "too young" in await kept(bench, tmp_path)
    await bench.advance(QUIET_MS)
    assert isinstance(await archive(bench.client, "s1", tmp_path), Archived)


async def test_nothing_goes_below_the_slowest_group(
    bench: ValkeyBench, service: OrderService, deliverer: MakeDeliverer, tmp_path: Path
) -> None:
    """Two groups, one of them somebody else's: it has read, but not acknowledged, one entry."""
    await over(bench)
    await drained(await deliverer())
    await bench.client.xgroup_create(feed_key("s1"), "theirs", id="0")
    assert (await kept(bench, tmp_path)).startswith("the group theirs has")
    read: Any = await bench.client.xreadgroup("theirs", "me", {feed_key("s1"): ">"}, count=10_000)
    ids = [entry_id for entry_id, _ in read[0][1]]
    await bench.client.xack(feed_key("s1"), "theirs", *ids[:-1])
    assert "theirs has 0 entries to read, 1 to acknowledge" in await kept(bench, tmp_path)
    await bench.client.xack(feed_key("s1"), "theirs", ids[-1])
    assert await kept(bench, tmp_path, groups=["third"]) == "the group third has never read it"
    assert isinstance(await archive(bench.client, "s1", tmp_path, groups=["theirs"]), Archived)


async def test_dead_letters_are_not_thrown_away(
    bench: ValkeyBench, service: OrderService, deliverer: MakeDeliverer, tmp_path: Path
) -> None:
    await over(bench)
    bad: set[str] = set()

    def behave(row: dict[str, str], nth: int) -> bytes:
        if len(bad) < 2:
            bad.add(row["id"])
        return answer(400) if row["id"] in bad and nth == 1 else OK

    service.behave = behave
    await drained(await deliverer())
    assert "the group orders has 2 dead letters" in await kept(bench, tmp_path)
    places = [f"{one.row.epoch}-{one.row.seq}" async for one in letters(bench.client, "s1", "orders")]
    await move(bench.client, "s1", "orders", places[:1], "drop")
    await move(bench.client, "s1", "orders", places[1:], "again")
    assert "1 dead letters under way" in await kept(bench, tmp_path)
    await drained(await deliverer())
    assert isinstance(await archive(bench.client, "s1", tmp_path), Archived)


@pytest.mark.parametrize("what", ["a row deleted", "a counter changed", "the last row deleted"])
async def test_what_does_not_fold_stays_and_is_said(bench: ValkeyBench, tmp_path: Path, what: str) -> None:
    await over(bench)
    rows = await bench.feed()
    match what:
        case "a row deleted":
            await bench.client.xdel(feed_key("s1"), f"{rows[3].epoch}-{rows[3].last}")
        case "the last row deleted":
            await bench.client.xdel(feed_key("s1"), f"{rows[-1].epoch}-{rows[-1].last}")
        case _:
            await bench.client.hincrby(keys_of("s1")[0], "c0", 1)
    ended = await archive(bench.client, "s1", tmp_path)
    assert isinstance(ended, Kept) and ended.broken
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "what", ["a return", "a group", "an unread group", "an unacknowledged entry", "a lease", "a dead letter"]
)
async def test_what_happens_between_the_file_and_the_end_is_not_lost(
    bench: ValkeyBench,
    service: OrderService,
    deliverer: MakeDeliverer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
) -> None:
    """The last look is the script's own."""
    await bench.open(bench.spec())
    await bench.buy("ann", "c1")
    await bench.ledger.confirm(reservation_id("s1", "ann", 0), command_id="pay-1")
    await bench.ledger.close("s1", actor="eve", command_id="close-1")
    await bench.advance(QUIET_MS)
    await drained(await deliverer())
    keys = keys_of_group("s1", "orders")
    unlink = archive_module._unlink

    async def late(*given: object) -> object:
        match what:
            case "a return":
                named = reservation_id("s1", "ann", 0)
                await bench.ledger.return_order(named, command_id="back", limit_back=True)
            case "a group":
                await bench.client.xgroup_create(feed_key("s1"), "new", id="$")
            case "an unread group":
                await bench.client.xgroup_setid(feed_key("s1"), "orders", id="0")
            case "an unacknowledged entry":
                await bench.client.xgroup_setid(feed_key("s1"), "orders", id="0")
                await bench.client.xreadgroup("orders", "deliverer", {feed_key("s1"): ">"})
            case "a lease":
                await bench.client.set(keys.lease, "somebody")
            case _:
                await bench.client.hset(keys.dead, "1-1", "{}")
        return await unlink(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(archive_module, "_unlink", late)
    ended = await archive(bench.client, "s1", tmp_path)
    assert isinstance(ended, Kept) and not ended.broken
    assert (await bench.ledger.view("s1")).status is SaleStatus.CLOSED
    assert (await audit(bench.client, "s1")).findings == []


async def test_a_dry_run_changes_nothing(bench: ValkeyBench, tmp_path: Path) -> None:
    await over(bench)
    before = await bench.feed()
    assert isinstance(await archive(bench.client, "s1", tmp_path, dry_run=True), Archived)
    assert names(tmp_path) == [] and await bench.feed() == before


async def test_a_full_disk_leaves_the_sale(
    bench: ValkeyBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await over(bench)
    before = await bench.feed()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        await archive(bench.client, "s1", tmp_path)
    assert names(tmp_path) == [] and await bench.feed() == before


async def test_an_archived_id_may_name_a_new_sale(bench: ValkeyBench, tmp_path: Path) -> None:
    await over(bench)
    old = (await bench.feed())[0].epoch
    await archive(bench.client, "s1", tmp_path)
    await bench.open(bench.spec())
    assert (await bench.buy("ann", "c1")).reservation is not None
    assert (await bench.feed())[0].epoch > old
