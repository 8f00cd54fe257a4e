"""What an acknowledged purchase outlives, for each durability: the cells of the table in FAULTS.md.

A rush of buyers goes on while the fault happens; what they were told is compared with what is left. Every
test here prints its cell; ``python -m tests.faults.durability_table`` writes them down. How long it took is
measured, from the moment somebody restarts, promotes or makes room until the first answer for good; nothing
is asserted of it.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from liveserver.stock.audit import audit
from liveserver.stock.durability import Promise
from liveserver.stock.port import Outcome
from liveserver.store.embedded import EmbeddedValkey
from tests.conftest import StartValkey
from tests.faults.conftest import Clients
from tests.faults.disk import Disk
from tests.faults.durability_table import BEGIN, DOCS, END, FAULTS, MODES, Cell, Mode, note
from tests.faults.proxy import Proxy
from tests.faults.replicas import cut_off, promote, replicate
from tests.faults.rush import Rush, lost, outcome, sale

BEFORE, MEANWHILE = 30, 120  # calls of 1 to 4 orders
MAY_LOSE = {("memory", "kill"), ("memory", "crash"), ("memory", "failover"), ("fsynced", "failover")}
GOES_ON = {
    *(("fsynced", fault) for fault in ("kill", "crash", "full")),
    *(("replicated-always", fault) for fault in FAULTS),
    *((mode, "full") for mode in ("memory", "replicated")),
}


class World:
    """A primary on a disk of the test's own, with a replica if need be, and buyers at it."""

    def __init__(
        self,
        mode: Mode,
        disk: Disk,
        start: StartValkey,
        start_elsewhere: StartValkey,
        clients: Clients,
        folder: Path,
    ) -> None:
        self.mode = mode
        self.disk = disk
        self.folder = folder
        self._start = start
        self._start_elsewhere = start_elsewhere
        self._clients = clients
        self.replica: EmbeddedValkey | None = None

    async def begin(self, *, with_replica: bool) -> None:
        self.primary = await self._start(self.folder / "data", fsync=self.mode.fsync)
        self.wire = await Proxy(self.primary.url).__aenter__()
        if with_replica or self.mode.replicated:
            self.replica = await self._start_elsewhere(fsync=self.mode.fsync)
            await self._follow(self.primary, self.replica)
        promise = Promise(self.mode.asked, wait_ms=100)
        self.ledger = self._clients.ledger(self.wire.url, promise=promise)
        first = self._clients.ledger(self.wire.url)  # the sale itself is no figure of this table
        await first.open(sale(), command_id="open-1")
        self.rush = Rush([self.ledger])
        await self.rush.run(BEFORE)
        assert len(self.rush.told) >= BEFORE

    async def _follow(self, primary: EmbeddedValkey, replica: EmbeddedValkey) -> None:
        await replicate(self.client(primary), self.client(replica))

    async def restart(self, data_dir: Path) -> None:
        await self._lead_to(await self._start(data_dir, fsync=self.mode.fsync))

    async def fail_over(self) -> None:
        """The replica takes over; where answers wait for a replica, it gets one of its own."""
        assert self.replica is not None
        await promote(self.client(self.replica))
        if self.mode.replicated:
            await self._follow(self.replica, await self._start_elsewhere(fsync=self.mode.fsync))
        await self._lead_to(self.replica)

    async def _lead_to(self, store: EmbeddedValkey) -> None:
        self.primary = store
        self.wire.lead_to(store.url)

    async def slow_disk(self) -> asyncio.Task[None]:
        """No sync ends from here on. Buyers have been told more since; or, where an answer has to wait for
        the disk, they wait."""
        log = next((self.primary.data_dir / "appendonlydir").glob("*.incr.aof"))
        for _ in range(5_000):
            if self.disk.synced(log) == log.stat().st_size:
                break
            await asyncio.sleep(0.001)
        self.disk.hold()
        if self.mode.waits_for_disk:
            running = asyncio.create_task(self.rush.run(MEANWHILE))
            await self.disk.until_held()
            return running
        await self.rush.run(1)
        await self.disk.until_held()
        running = asyncio.create_task(self.rush.run(MEANWHILE))
        await felt(self, running)
        return running

    def client(self, store: EmbeddedValkey) -> Redis:
        return self._clients.client(store.url)

    async def judged(self, fault: str, began_s: float, running: asyncio.Task[None]) -> int:
        """How many were lost, after the rush is over. Asserts which cells lose nothing, where the sale goes
        on, and that what is left holds every law."""
        answer = await outcome(self.ledger, "newcomer")
        took_ms = 1000 * (time.monotonic() - began_s)
        await running
        client = self.client(self.primary)
        gone = await lost(client, self.rush)
        assert gone == 0 or (self.mode.name, fault) in MAY_LOSE
        goes_on = (self.mode.name, fault) in GOES_ON
        assert answer is (Outcome.RESERVED if goes_on else Outcome.FROZEN)
        assert (await audit(client, "s1")).findings == []
        note(Cell(self.mode.name, fault, len(self.rush.told), gone, took_ms, goes_on))
        return gone


@pytest.fixture(params=MODES, ids=lambda mode: mode.name)
async def world(
    request: pytest.FixtureRequest,
    disk: Disk,
    disk_valkey: StartValkey,
    durable_valkey: StartValkey,
    clients: Clients,
    tmp_path: Path,
) -> AsyncIterator[World]:
    made = World(request.param, disk, disk_valkey, durable_valkey, clients, tmp_path)
    yield made
    await made.wire.__aexit__(None, None, None)


async def felt(world: World, running: asyncio.Task[None]) -> None:
    """Buyers have been told more since; or, where an answer must wait, somebody waits."""
    more = len(world.rush.told) + BEFORE
    for _ in range(20_000):
        if len(world.rush.told) >= more:
            return
        assert not running.done(), "the rush was too short"
        await asyncio.sleep(0.001)
    raise AssertionError("nobody was told anything more")


async def test_killed_with_9_while_its_disk_is_slow(world: World) -> None:
    """Without a replica it is started again on what it left; with one, that takes over."""
    await world.begin(with_replica=False)
    running = await world.slow_disk()
    began_s = time.monotonic()
    world.primary.kill()
    world.disk.release()
    if world.mode.replicated:
        await world.fail_over()
    else:
        await world.restart(world.folder / "data")
    await world.judged("kill", began_s, running)


async def test_a_host_that_crashes(world: World) -> None:
    """Its disk has what was synced, and nothing more. With a replica, that takes over."""
    await world.begin(with_replica=False)
    running = await world.slow_disk()
    world.primary.kill()
    world.disk.release()
    world.disk.after_a_crash(world.folder / "data", world.folder / "found")
    began_s = time.monotonic()
    if world.mode.replicated:
        await world.fail_over()
    else:
        await world.restart(world.folder / "found")
    gone = await world.judged("crash", began_s, running)
    if world.mode.name == "memory":
        assert gone > 0, "a control that loses nothing proves nothing"


async def test_failover_to_a_replica_cut_off_before(world: World) -> None:
    await world.begin(with_replica=True)
    assert world.replica is not None
    await cut_off(world.client(world.replica))
    kept = len(world.rush.told)
    running = asyncio.create_task(world.rush.run(MEANWHILE))
    if world.mode.replicated:
        for _ in range(20_000):
            if world.rush.unknown and world.rush.refused:
                break
            await asyncio.sleep(0.001)
        assert len(world.rush.told) == kept, "told without a replica"
    else:
        await felt(world, running)
    began_s = time.monotonic()
    world.primary.kill()
    await world.fail_over()
    gone = await world.judged("failover", began_s, running)
    if not world.mode.replicated:
        assert gone > 0, "a control that loses nothing proves nothing"


async def test_a_disk_that_is_full(world: World) -> None:
    """Under ``always`` the store ends itself; else it refuses until there is room."""
    await world.begin(with_replica=False)
    running = asyncio.create_task(world.rush.run(MEANWHILE))
    world.disk.fill()
    for _ in range(20_000):
        if (world.rush.refused > 3 or not world.primary.alive) and world.primary.alive != world.mode.safe:
            break
        assert not running.done(), "the rush was too short"
        await asyncio.sleep(0.001)
    assert world.primary.alive is not world.mode.safe, "the disk never got full"
    world.disk.make_room()
    began_s = time.monotonic()
    if world.mode.safe:
        world.primary.kill()
        if world.mode.replicated:
            await world.fail_over()
        else:
            await world.restart(world.folder / "data")
    await world.judged("full", began_s, running)


def test_the_table_in_the_docs_has_every_cell() -> None:
    written = DOCS.read_text("utf-8").partition(BEGIN)[2].partition(END)[0]
    rows = [row.split("|")[1:-1] for row in written.strip().splitlines()]
    assert [cell.strip() for cell in rows[0][1:]] == list(FAULTS.values())
    assert [row[0].strip() for row in rows[2:]] == [mode.text for mode in MODES]
    for row in rows[2:]:
        for cell in row[1:]:
            assert re.fullmatch(r" \d+ of \d+ lost; (goes on|frozen) after \d+ ms ", cell)
