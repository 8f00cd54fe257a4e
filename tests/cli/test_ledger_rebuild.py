"""``liveserver ledger rebuild``: what it says, what it refuses, and how it exits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from typer.testing import CliRunner, Result

from liveserver.cli import ledger
from liveserver.stock.audit import audit
from liveserver.stock.feed import read_feed
from liveserver.stock.journal_files import JournalFiles
from liveserver.stock.journal_ledger import JournalLedger
from liveserver.stock.ledger import ValkeyLedger
from liveserver.stock.port import Outcome, ReservationState
from liveserver.stock.rows import Frozen, Rebuilding
from liveserver.stock.scripts import keys_of
from liveserver.store.kill_switch import KillSwitchStore
from liveserver.valkey.connect import call_client
from tests.faults.rush import WallClock, sale
from tests.stock.conftest import order
from tests.stock.contents import contents

ORDERS_HEAD = "sale_id,reservation_id,user_id,command_id,state,lines\n"


class Shop:
    """A ledger with a journal, on the store's own time."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.client = call_client(url)
        self.clock = WallClock()
        self.plain = ValkeyLedger(self.client, self.clock)
        self.journal = JournalFiles(folder / "journal", "test", self.clock.now_ms)
        self.ledger = JournalLedger(self.plain, self.journal, self.clock)

    async def buy(self, user: str) -> Outcome:
        verdicts, _ = await self.ledger.reserve("s1", [order(user, "c1")])
        return verdicts[0].outcome

    async def keys(self) -> dict[bytes, bytes | None]:
        return {key: await self.client.dump(key) async for key in self.client.scan_iter()}

    async def lose(self, keys: dict[bytes, bytes | None]) -> None:
        """Back to what it was."""
        await self.client.flushall()
        for key, value in keys.items():
            await self.client.restore(key, 0, value or b"")

    async def typed(self, *words: object) -> Result:
        more = ["--redis-url", self.url, *map(str, words)]
        if "--journal" not in words:
            more += ["--journal", str(self.folder / "journal")]
        return await asyncio.to_thread(
            CliRunner().invoke, ledger.app, ["rebuild", *more], env={"LIVESERVER_REDIS_URL": ""}
        )


@pytest.fixture
async def shop(valkey: Redis, valkey_url: str, tmp_path: Path) -> AsyncIterator[Shop]:
    made = Shop(valkey_url, tmp_path)
    await made.ledger.open(sale(10), command_id="open-1")
    yield made
    made.journal.close()
    await made.client.aclose()


async def test_with_nothing_lost_it_verifies_and_reopens(shop: Shop) -> None:
    await shop.buy("ann")
    await shop.ledger.freeze("s1", actor="eve", command_id="f1")
    done = await shop.typed("s1", "--yes")
    assert done.exit_code == 0, done.output
    assert "s1 (ordered) goes on from " in done.stdout and "0 recovered, 0 corrected, 0 lost" in done.stdout
    assert "i0: 9 available, 1 held, 0 confirmed" in done.stdout
    assert done.stdout.endswith("s1 is rebuilt and goes on\n")
    assert (await audit(shop.client, "s1")).findings == []
    assert await shop.buy("bob") is Outcome.RESERVED


async def test_what_was_lost_is_found_by_the_journal_told_and_put_back(shop: Shop) -> None:
    early = await shop.keys()
    await shop.buy("ann")
    await shop.ledger.confirm("s1~ann~0", command_id="p")
    await shop.lose(early)
    before = await contents(shop.client)
    dry = await shop.typed("s1", "--dry-run", "--json")
    report: Any = json.loads(dry.stdout)
    assert (dry.exit_code, report["done"], report["whole"]) == (0, False, True)
    assert [(one["reservation_id"], one["state"]) for one in report["report"]["recovered"]] == [
        ("s1~ann~0", "confirmed")
    ]
    assert await contents(shop.client) == before, "a dry run changes nothing"
    done = await shop.typed("s1", "--yes", "--actor", "ops")
    assert done.exit_code == 0, done.output
    rows = await read_feed(shop.client, "s1")
    assert [row.reason for row in rows if isinstance(row, Frozen)] == ["behind"]
    assert [row.actor for row in rows if isinstance(row, Rebuilding)] == ["ops"]
    assert (await shop.ledger.reservation("s1~ann~0")).state is ReservationState.CONFIRMED


async def test_orders_of_the_order_service_and_what_was_oversold(shop: Shop, tmp_path: Path) -> None:
    await shop.ledger.freeze("s1", actor="eve", command_id="f1")
    paid = tmp_path / "paid.csv"
    lines = [f"s1,s1~u{number}~0,u{number},c1,confirmed,i0=4,{number}" for number in range(3)]
    lines.append("s2,s2~u1~0,u1,c1,confirmed,i0=4,1")  # one file for all sales
    paid.write_text(f"\ufeff{ORDERS_HEAD[:-1]},seq\n" + "\n".join(lines) + "\n")
    done = await shop.typed("s1", "--orders", paid, "--yes")
    assert done.exit_code == 3, done.output
    assert ", 3 orders\n" in done.stdout
    assert "  oversold: 2 of i0, the latest are s1~u2~0\n" in done.stdout
    assert "i0: 0 available, 0 held, 12 confirmed" in done.stdout
    assert (await audit(shop.client, "s1")).findings == []
    assert await shop.buy("bob") is Outcome.SOLD_OUT


async def test_each_lost_hold_is_named(shop: Shop) -> None:
    early = await shop.keys()
    await shop.buy("ann")
    await shop.lose(early)
    path = next((shop.folder / "journal").iterdir())
    shop.journal.close()
    lines = path.read_bytes().splitlines(keepends=True)
    told = json.loads(lines[-1])
    told[8] = 1  # due long ago
    path.write_bytes(b"".join(lines[:-1]) + json.dumps(told).encode() + b"\n")
    done = await shop.typed("s1", "--yes")
    assert done.exit_code == 3, done.output
    assert "  lost: s1~ann~0, 1 of i0, command c1: its time has run out\n" in done.stdout
    late = await shop.plain.confirm("s1~ann~0", command_id="p")
    assert late.reservation.state is ReservationState.CONFIRMED


async def test_it_refuses_and_says_what_to_do(shop: Shop, tmp_path: Path) -> None:
    before = await shop.keys()
    selling = await shop.typed("s1", "--yes")
    assert selling.exit_code == 2 and "--freeze" in selling.stderr
    assert await shop.buy("ann") is Outcome.RESERVED
    assert (await shop.typed("s1!", "--yes")).exit_code == 2
    assert (await shop.typed("s1", "--orders", tmp_path / "none")).exit_code == 2
    unknown = await shop.typed("s9", "--yes")
    assert unknown.exit_code == 2 and "--spec" in unknown.stderr
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"sale_id":"s1"}\n')
    refused = await shop.typed("s1", "--orders", broken, "--yes")
    assert refused.exit_code == 2 and "broken.jsonl, line 1" in refused.stderr
    for name, text, why in [
        ("notes.txt", b"hello\nworld\n", "neither JSON lines nor a CSV of orders"),
        ("photo.png", b"\x89PNG\r\n", "photo.png is no text"),
        ("others.csv", f"{ORDERS_HEAD}s2,s2~a~0,a,c,confirmed,i=1\n".encode(), "they are of s2"),
    ]:
        (tmp_path / name).write_bytes(text)
        for how in ("--yes", "--dry-run"):
            refused = await shop.typed("s1", "--orders", tmp_path / name, how)
            assert (refused.exit_code, refused.stdout) == (2, "") and why in refused.stderr
    frozen = await shop.typed("s1", "--freeze")
    assert frozen.exit_code == 2 and "--yes" in frozen.stderr  # nobody to ask
    assert keys_of("s1")[0].encode() in before
    assert await shop.buy("bob") is Outcome.FROZEN
    done = await shop.typed("s1", "--yes")
    assert done.exit_code == 0, done.output
    assert await shop.buy("bob") is Outcome.RESERVED


async def test_not_while_every_sale_is_to_be_frozen(shop: Shop) -> None:
    switch = KillSwitchStore(shop.client)
    await switch.throw(at_ms=1, actor="ops", command_id="all", reason="")
    refused = await shop.typed("s1", "--freeze", "--yes")
    assert refused.exit_code == 2 and "liveserver sales lift" in refused.stderr
    assert await shop.buy("ann") is Outcome.RESERVED, "nothing was done to it"
    await switch.lift()
    assert (await shop.typed("s1", "--freeze", "--yes")).exit_code == 0


async def test_a_sale_whose_feed_is_gone_under_its_holds(shop: Shop) -> None:
    """Nothing can be swept any more, so no call finds out; it is frozen by order and begins afresh."""
    await shop.buy("ann")
    await shop.client.delete(keys_of("s1")[2])
    members: Any = await shop.client.zrange(keys_of("s1")[3], 0, -1)
    for member in members:
        await shop.client.zadd(keys_of("s1")[3], {member: 1})
    assert "--freeze" in (await shop.typed("s1", "--yes")).stderr
    done = await shop.typed("s1", "--yes", "--freeze")
    assert done.exit_code == 0, done.output
    assert (await audit(shop.client, "s1")).findings == []
    assert (await shop.ledger.reservation("s1~ann~0")).state is ReservationState.HELD


async def test_the_terms_of_a_sale_nobody_opened_here(shop: Shop, tmp_path: Path) -> None:
    out = tmp_path / "feed.jsonl"
    wrote = await asyncio.to_thread(
        CliRunner().invoke, ledger.app, ["export", "--redis-url", shop.url, "--out", str(out)]
    )
    assert wrote.exit_code == 0
    await shop.client.flushall()
    empty = tmp_path / "empty"
    empty.mkdir()
    assert (await shop.typed("s1", "--journal", empty, "--yes")).exit_code == 2
    done = await shop.typed("s1", "--journal", empty, "--spec", out, "--yes")
    assert done.exit_code == 0, done.output
    assert "s1 (not frozen) begins afresh" in done.stdout and "broken: meta: missing" in done.stdout
    assert await shop.buy("ann") is Outcome.RESERVED
