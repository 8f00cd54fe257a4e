"""A room over the store's restarts: with the same data the epoch goes on, with doubt it does not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from redis.exceptions import RedisError

from liveserver.store.embedded import EmbeddedValkey, Fsync
from liveserver.store.port import Appended, HeadMoved, LoadedRoom, RoomStore
from liveserver.store.rooms import ValkeyRoomStore
from liveserver.valkey.connect import call_client
from tests.conftest import StartValkey

ROOM = "r1"


async def append(store: RoomStore, epoch: int, head: int, command_id: str) -> Appended | HeadMoved:
    return await store.append(
        ROOM,
        epoch=epoch,
        expected_head=head,
        command_id=command_id,
        payload=command_id.encode(),
        changes={"last": command_id.encode()},
    )


async def write_three(server: EmbeddedValkey) -> LoadedRoom:
    async with call_client(server.url) as client:
        store = ValkeyRoomStore(client)
        epoch = (await store.load(ROOM, history=0)).epoch
        for head in range(3):
            assert await append(store, epoch, head, f"c{head + 1}") == Appended(epoch, head + 1)
        await store.beat(ROOM, process="p", viewers=4, likes=9)
        await store.announce_sale(ROOM, "s1")
        return await store.load(ROOM, history=10)


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_always_synced_the_room_goes_on(tmp_path: Path, durable_valkey: StartValkey, end: str) -> None:
    first = await durable_valkey(tmp_path)
    before = await write_three(first)
    if end == "stop":
        await first.stop()
    else:
        first.kill()
    second = await durable_valkey(tmp_path)
    async with call_client(second.url) as client:
        store = ValkeyRoomStore(client)  # a process that has seen nothing
        assert await store.load(ROOM, history=10) == before
        assert before.head == 3
        assert await append(store, before.epoch, 3, "c2") == Appended(before.epoch, 2, duplicate=True)
        assert await append(store, before.epoch, 3, "c4") == Appended(before.epoch, 4)
        events = await store.read_after(ROOM, epoch=before.epoch, offset=0, limit=10)
        assert [event.payload for event in events or []] == [b"c1", b"c2", b"c3", b"c4"]
        beat = await store.beat(ROOM, process="q", viewers=0, likes=1)
        assert (beat.likes, beat.sales) == (10, ["s1"])


@pytest.mark.parametrize(("first", "second"), [("everysec", "everysec"), ("no", "always"), ("always", "no")])
async def test_where_a_tail_may_be_lost_the_epoch_is_new(
    tmp_path: Path, durable_valkey: StartValkey, first: Fsync, second: Fsync
) -> None:
    """Nothing is lost here, but nobody can know: a resume from before must not be taken for gapless."""
    server = await durable_valkey(tmp_path, fsync=first)
    before = await write_three(server)
    await server.stop()
    server = await durable_valkey(tmp_path, fsync=second)
    async with call_client(server.url) as client:
        store = ValkeyRoomStore(client)
        room = await store.load(ROOM, history=10)
        assert room.epoch > before.epoch
        assert (room.head, room.state, room.history) == (3, before.state, [])
        assert await store.load(ROOM, history=10) == room  # once is enough
        assert await append(store, before.epoch, 3, "c4") == HeadMoved(room.epoch, 3)
        assert await append(store, room.epoch, 3, "c4") == Appended(room.epoch, 4)


async def test_a_living_process_finds_the_restarted_store_by_itself(
    tmp_path: Path, durable_valkey: StartValkey
) -> None:
    first = await durable_valkey(tmp_path)
    async with call_client(first.url) as client:
        store = ValkeyRoomStore(client)
        epoch = (await store.load(ROOM, history=0)).epoch
        await append(store, epoch, 0, "c1")
        first.kill()
        await durable_valkey(tmp_path)
        try:
            answer = await append(store, epoch, 1, "c2")
        except RedisError:  # the pooled connection was to the old one
            answer = await append(store, epoch, 1, "c2")
        assert answer == Appended(epoch, 2)


async def test_killed_twice_in_the_middle_every_command_stands_exactly_once(
    tmp_path: Path, durable_valkey: StartValkey
) -> None:
    """Two processes append; whoever gets no answer repeats the same command id until there is one."""
    commands = [f"c{n}" for n in range(90)]
    acknowledged: dict[str, int] = {}
    unanswered = 0

    async def insist(store: RoomStore, epoch: int, command_id: str) -> None:
        nonlocal unanswered
        head = 0
        while command_id not in acknowledged:
            try:
                answer = await append(store, epoch, head, command_id)
            except RedisError:
                unanswered += 1
                await asyncio.sleep(0.005)
                continue
            assert answer.epoch == epoch
            if isinstance(answer, Appended):
                acknowledged[command_id] = answer.offset
            else:
                head = answer.head

    server = await durable_valkey(tmp_path)
    async with call_client(server.url) as one, call_client(server.url) as two:
        stores = [ValkeyRoomStore(one), ValkeyRoomStore(two)]
        epoch = (await stores[0].load(ROOM, history=0)).epoch
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            for n, command_id in enumerate(commands):
                group.create_task(insist(stores[n % 2], epoch, command_id))
            for enough in (20, 50):
                while len(acknowledged) < enough:  # noqa: ASYNC110
                    await asyncio.sleep(0)
                server.kill()
                known = dict(acknowledged)
                server = await durable_valkey(tmp_path)
                async with call_client(server.url) as fresh:
                    room = await ValkeyRoomStore(fresh).load(ROOM, history=1_000)
                standing = {event.payload.decode(): event.offset for event in room.history}
                assert known.items() <= standing.items()  # what was acknowledged is there, where it was
        room = await stores[0].load(ROOM, history=1_000)
    assert unanswered > 0  # the kills were felt
    assert (room.epoch, room.head) == (epoch, len(commands))
    assert [event.offset for event in room.history] == list(range(1, len(commands) + 1))
    assert {event.payload.decode(): event.offset for event in room.history} == acknowledged
