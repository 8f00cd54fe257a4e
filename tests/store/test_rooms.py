"""Rooms on the real store: compare-and-set, exactly one place per command, one instant per load."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from redis.asyncio import Redis

from liveserver.store import keys
from liveserver.store.limits import CHANGES_MAX, PAYLOAD_BYTES_MAX, SALES_MAX
from liveserver.store.port import Appended, HeadMoved, RoomStore
from liveserver.store.rooms import ValkeyRoomStore
from liveserver.valkey.connect import call_client

ROOM = "r1"


@pytest.fixture
async def store(valkey: Redis) -> RoomStore:
    return ValkeyRoomStore(valkey)


@pytest.fixture
async def processes(valkey: Redis, valkey_url: str) -> AsyncIterator[list[ValkeyRoomStore]]:
    """Two processes' worth of stores, each with connections of its own."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(call_client(valkey_url)) for _ in range(2)]
        yield [ValkeyRoomStore(client) for client in clients]


async def append_until_done(store: RoomStore, epoch: int, command_id: str) -> Appended:
    """What the hub does: try, and on a moved head read where it is and try again."""
    head = 0
    while True:
        answer = await store.append(
            ROOM,
            epoch=epoch,
            expected_head=head,
            command_id=command_id,
            payload=command_id.encode(),
            changes={"last": command_id.encode(), "count": str(head + 1).encode()},
        )
        if isinstance(answer, Appended):
            return answer
        assert answer.epoch == epoch
        head = answer.head


async def append(store: RoomStore, epoch: int, head: int, **changes: bytes | None) -> Appended:
    answer = await store.append(
        ROOM,
        epoch=epoch,
        expected_head=head,
        command_id=f"command-{head + 1}",
        payload=b"event %d" % (head + 1),
        changes=changes,
    )
    assert isinstance(answer, Appended)
    return answer


async def test_a_room_never_written(store: RoomStore, valkey: Redis) -> None:
    seconds, _ = await valkey.time()
    room = await store.load(ROOM, history=10)
    assert abs(room.epoch / 1000 - seconds) < 60  # milliseconds of the server's clock
    assert (room.head, room.state, room.history) == (0, {}, [])
    assert (await store.load(ROOM, history=10)).epoch == room.epoch


async def test_an_event_lands_everywhere_at_once(store: RoomStore, valkey: Redis) -> None:
    epoch = (await store.load(ROOM, history=0)).epoch
    first = await append(store, epoch, 0, cart=b"\x00[1]", explaining=b"3")
    second = await append(store, epoch, 1, cart=b"[1,2]", explaining=None)
    assert (first, second) == (Appended(epoch, 1), Appended(epoch, 2))
    room = await store.load(ROOM, history=10)
    assert room.head == 2
    assert room.state == {"cart": b"[1,2]"}
    assert [(event.offset, event.payload) for event in room.history] == [(1, b"event 1"), (2, b"event 2")]
    entries = await valkey.xrange(keys.log(ROOM))
    assert entries == [
        (b"%d-%d" % (epoch, n), {b"command": b"command-%d" % n, b"payload": b"event %d" % n}) for n in (1, 2)
    ]


async def test_a_stale_head_appends_nothing(store: RoomStore) -> None:
    epoch = (await store.load(ROOM, history=0)).epoch
    await append(store, epoch, 0, key=b"first")
    stale = await store.append(
        ROOM, epoch=epoch, expected_head=0, command_id="late", payload=b"late", changes={"key": b"late"}
    )
    old_epoch = await store.append(
        ROOM, epoch=epoch - 1, expected_head=1, command_id="old", payload=b"old", changes={"key": b"old"}
    )
    assert stale == old_epoch == HeadMoved(epoch=epoch, head=1)
    room = await store.load(ROOM, history=10)
    assert room.state == {"key": b"first"}
    assert len(room.history) == 1


async def test_two_processes_appending_at_once(processes: list[ValkeyRoomStore]) -> None:
    epoch = (await processes[0].load(ROOM, history=0)).epoch
    commands = [f"{process}-{n}" for process in range(2) for n in range(40)]
    answers = await asyncio.gather(
        *(append_until_done(processes[int(command[0])], epoch, command) for command in commands)
    )
    assert sorted(answer.offset for answer in answers) == list(range(1, 81))
    room = await processes[1].load(ROOM, history=200)
    assert [event.offset for event in room.history] == list(range(1, 81))
    assert sorted(event.payload.decode() for event in room.history) == sorted(commands)
    told = {command: answer.offset for command, answer in zip(commands, answers, strict=True)}
    assert {event.payload.decode(): event.offset for event in room.history} == told
    assert room.state == {"count": b"80", "last": room.history[-1].payload}


async def test_one_command_sent_by_many_takes_one_place(processes: list[ValkeyRoomStore]) -> None:
    epoch = (await processes[0].load(ROOM, history=0)).epoch
    answers = await asyncio.gather(
        *(append_until_done(processes[n % 2], epoch, f"same-{n % 5}") for n in range(60))
    )
    for same in range(5):
        mine = [answer for n, answer in enumerate(answers) if n % 5 == same]
        assert len({answer.offset for answer in mine}) == 1
        assert sum(not answer.duplicate for answer in mine) == 1
    assert (await processes[0].load(ROOM, history=200)).head == 5


async def test_a_retry_is_answered_with_its_place_and_changes_nothing(store: RoomStore) -> None:
    epoch = (await store.load(ROOM, history=0)).epoch
    await append(store, epoch, 0, key=b"1")
    await append(store, epoch, 1, key=b"2")
    again = await store.append(
        ROOM, epoch=epoch, expected_head=2, command_id="command-1", payload=b"x", changes={"key": b"x"}
    )
    assert again == Appended(epoch, 1, duplicate=True)
    room = await store.load(ROOM, history=10)
    assert (room.head, room.state) == (2, {"key": b"2"})


async def test_finding_where_a_command_stands(store: RoomStore) -> None:
    assert await store.find(ROOM, "command-1") is None
    epoch = (await store.load(ROOM, history=0)).epoch
    await append(store, epoch, 0)
    await append(store, epoch, 1)
    assert await store.find(ROOM, "command-1") == Appended(epoch, 1, duplicate=True)
    assert await store.find(ROOM, "command-2") == Appended(epoch, 2, duplicate=True)
    assert await store.find(ROOM, "command-3") is None
    assert await store.find("another", "command-1") is None


async def test_the_memory_of_commands_is_bounded(valkey: Redis) -> None:
    store = ValkeyRoomStore(valkey, commands_max=3)
    epoch = (await store.load(ROOM, history=0)).epoch
    for head in range(5):
        await append(store, epoch, head)
    assert await valkey.zrange(keys.commands(ROOM), 0, -1) == [b"command-3", b"command-4", b"command-5"]
    assert await store.find(ROOM, "command-2") is None


async def test_a_load_is_of_one_instant(processes: list[ValkeyRoomStore]) -> None:
    writer, reader = processes
    epoch = (await writer.load(ROOM, history=0)).epoch
    writing = asyncio.gather(*(append_until_done(writer, epoch, f"command-{n}") for n in range(60)))
    heads = []
    while not writing.done():
        room = await reader.load(ROOM, history=20)
        heads.append(room.head)
        offsets = [event.offset for event in room.history]
        assert offsets == list(range(max(0, room.head - 20) + 1, room.head + 1))
        if room.head:
            assert room.state == {"count": b"%d" % room.head, "last": room.history[-1].payload}
    await writing
    assert heads == sorted(heads)
    assert len(set(heads)) > 3  # it really was read while it was written


async def test_reading_after_an_offset(valkey: Redis) -> None:
    store = ValkeyRoomStore(valkey, log_events_max=10)
    epoch = (await store.load(ROOM, history=0)).epoch
    assert await store.read_after(ROOM, epoch=epoch, offset=0, limit=5) == []
    for head in range(25):
        await append(store, epoch, head)

    async def offsets_after(offset: int, limit: int = 100) -> list[int] | None:
        events = await store.read_after(ROOM, epoch=epoch, offset=offset, limit=limit)
        if events is None:
            return None
        assert all(event.payload == b"event %d" % event.offset for event in events)
        return [event.offset for event in events]

    assert await offsets_after(15) == list(range(16, 26))  # exactly what the log still holds
    assert await offsets_after(15, limit=3) == [16, 17, 18]
    assert await offsets_after(24) == [25]
    assert await offsets_after(25) == []
    assert await offsets_after(14) is None  # trimmed
    assert await offsets_after(0) is None
    assert await offsets_after(26) is None  # never was
    assert await store.read_after(ROOM, epoch=epoch - 1, offset=20, limit=5) is None
    assert await store.read_after("another", epoch=epoch, offset=0, limit=5) is None
    assert [event.offset for event in (await store.load(ROOM, history=100)).history] == list(range(16, 26))


async def test_what_is_too_large_is_refused_before_it_is_sent(store: RoomStore, valkey: Redis) -> None:
    epoch = (await store.load(ROOM, history=0)).epoch

    async def send(payload: bytes, changes: dict[str, bytes | None]) -> Appended | HeadMoved:
        return await store.append(
            ROOM, epoch=epoch, expected_head=0, command_id="large", payload=payload, changes=changes
        )

    with pytest.raises(ValueError, match="too large"):
        await send(b"x" * (PAYLOAD_BYTES_MAX + 1), {})
    with pytest.raises(ValueError, match="too large"):
        await send(b"", {str(n): b"" for n in range(CHANGES_MAX + 1)})
    largest: dict[str, bytes | None] = {str(n): (b"" if n % 2 else None) for n in range(CHANGES_MAX)}
    assert await send(b"x" * PAYLOAD_BYTES_MAX, largest) == Appended(epoch, 1)


async def test_data_lost_under_a_living_process_raises_the_epoch(store: RoomStore, valkey: Redis) -> None:
    epoch = (await store.load(ROOM, history=0)).epoch
    await append(store, epoch, 0)
    await valkey.flushall()
    moved = await store.append(
        ROOM, epoch=epoch, expected_head=1, command_id="after", payload=b"", changes={}
    )
    assert isinstance(moved, HeadMoved)
    assert (moved.epoch > epoch, moved.head) == (True, 0)
    await append(store, moved.epoch, 0)

    await valkey.flushall()
    beat = await store.beat(ROOM, process="p", viewers=1, likes=1)
    assert (beat.epoch > moved.epoch, beat.head) == (True, 0)

    await valkey.flushall()
    room = await store.load(ROOM, history=10)
    assert (room.epoch > beat.epoch, room.head) == (True, 0)
    assert (await ValkeyRoomStore(valkey).load(ROOM, history=10)).epoch == room.epoch


async def noticed_by(call: str, store: RoomStore, epoch: int, head: int) -> tuple[int, int]:
    """The (epoch, head) that a process which has seen these is told by this call."""
    if call == "append":
        moved = await store.append(
            ROOM, epoch=epoch, expected_head=head, command_id="late", payload=b"", changes={}
        )
        assert isinstance(moved, HeadMoved)
        return moved.epoch, moved.head
    if call == "beat":
        beat = await store.beat(ROOM, process="p", viewers=0, likes=0)
        return beat.epoch, beat.head
    room = await store.load(ROOM, history=10)
    return room.epoch, room.head


@pytest.mark.parametrize("call", ["append", "beat", "load"])
async def test_a_lost_tail_raises_the_epoch_and_no_offset_is_given_twice(
    store: RoomStore, valkey: Redis, call: str
) -> None:
    """A server that comes back a little behind (a lagging replica, say)."""
    epoch = (await store.load(ROOM, history=0)).epoch
    await append(store, epoch, 0, key=b"1")
    behind = await dump(valkey)
    await append(store, epoch, 1, key=b"2")
    await restore(valkey, behind)

    epoch_now, head = await noticed_by(call, store, epoch, 2)
    assert (epoch_now > epoch, head) == (True, 1)
    room = await store.load(ROOM, history=10)
    assert (room.epoch, room.head, room.state, room.history) == (epoch_now, 1, {"key": b"1"}, [])
    assert await store.read_after(ROOM, epoch=epoch, offset=1, limit=5) is None  # the old epoch is over
    retried = await append(store, epoch_now, 1, key=b"2")  # what was lost may be sent again
    assert retried == Appended(epoch_now, 2)
    assert [event.offset for event in (await store.load(ROOM, history=10)).history] == [2]


@pytest.mark.parametrize("call", ["append", "beat", "load"])
async def test_a_server_of_an_older_epoch_starts_a_newer_one(
    store: RoomStore, valkey: Redis, call: str
) -> None:
    first = (await store.load(ROOM, history=0)).epoch
    await append(store, first, 0)
    await append(store, first, 1)
    before_the_loss = await dump(valkey)
    await valkey.flushall()
    second = (await store.load(ROOM, history=0)).epoch
    await restore(valkey, before_the_loss)  # head 2 of the first epoch: behind epoch 2, head 0
    epoch_now, head = await noticed_by(call, store, second, 0)
    assert (epoch_now > second, head) == (True, 2)


async def dump(valkey: Redis) -> dict[bytes | str, bytes]:
    return {key: await valkey.dump(key) or b"" for key in await valkey.keys("*")}


async def restore(valkey: Redis, dumped: dict[bytes | str, bytes]) -> None:
    await valkey.flushall()
    for key, content in dumped.items():
        await valkey.restore(key, 0, content)


async def test_beats_add_up_over_processes(processes: list[ValkeyRoomStore]) -> None:
    one, two = processes
    await one.beat(ROOM, process="p1", viewers=10, likes=5)
    both = await two.beat(ROOM, process="p2", viewers=3, likes=7)
    assert (both.viewers, both.likes) == (13, 12)
    again = await one.beat(ROOM, process="p1", viewers=10, likes=5)  # repeating is harmless
    assert (again.viewers, again.likes) == (13, 12)
    later = await one.beat(ROOM, process="p1", viewers=4, likes=6)
    assert (later.viewers, later.likes) == (7, 13)
    delayed = await one.beat(ROOM, process="p1", viewers=4, likes=5)  # one that overtook nobody
    assert delayed.likes == 13
    room = await one.load(ROOM, history=0)
    assert (delayed.epoch, delayed.head) == (room.epoch, 0)


async def test_a_silent_process_loses_its_viewers_and_never_its_likes(valkey: Redis) -> None:
    store = ValkeyRoomStore(valkey, fresh_ms=20)
    await store.beat(ROOM, process="dies", viewers=100, likes=50)
    await asyncio.sleep(0.03)
    alone = await store.beat(ROOM, process="lives", viewers=1, likes=2)
    assert (alone.viewers, alone.likes) == (1, 52)
    back = await store.beat(ROOM, process="dies", viewers=90, likes=51)  # it was only frozen
    assert back.likes == 53
    assert back.viewers == 91 or back.viewers == 90  # "lives" may itself have been silent by now
    assert await valkey.zscore(keys.silent(ROOM), "dies") is None


async def test_beats_tell_how_much_there_is_to_say_and_among_how_many(
    processes: list[ValkeyRoomStore],
) -> None:
    one, two = processes
    alone = await one.beat(ROOM, process="p1", viewers=1, likes=0, demand=5_000)
    assert (alone.demand, alone.processes) == (5_000, 1)
    both = await two.beat(ROOM, process="p2", viewers=1, likes=0, demand=70_000)
    assert (both.demand, both.processes) == (75_000, 2)
    for _ in range(2):  # repeating is harmless
        again = await one.beat(ROOM, process="p1", viewers=1, likes=0, demand=0)
        assert (again.demand, again.processes) == (70_000, 2)


async def test_a_silent_process_has_nothing_to_say(valkey: Redis) -> None:
    store = ValkeyRoomStore(valkey, fresh_ms=20)
    await store.beat(ROOM, process="dies", viewers=1, likes=0, demand=70_000)
    await asyncio.sleep(0.03)
    alone = await store.beat(ROOM, process="lives", viewers=1, likes=0, demand=1_000)
    assert (alone.demand, alone.processes) == (1_000, 1)


async def test_figures_of_a_process_that_told_no_demand_yet(store: RoomStore, valkey: Redis) -> None:
    await store.beat(ROOM, process="older", viewers=3, likes=4)
    await valkey.hset(keys.figures(ROOM), "older", "3 4")
    beat = await store.beat(ROOM, process="older", viewers=5, likes=6, demand=7)
    assert (beat.viewers, beat.likes, beat.demand) == (5, 6, 7)


async def test_the_memory_of_silent_processes_is_bounded(valkey: Redis) -> None:
    store = ValkeyRoomStore(valkey, fresh_ms=0, silent_processes_max=3)
    for n in range(10):
        await store.beat(ROOM, process=f"boot-{n}", viewers=1, likes=1)
        await asyncio.sleep(0.002)
    last = await store.beat(ROOM, process="last", viewers=1, likes=1)
    assert (last.viewers, last.likes) == (1, 11)
    assert await valkey.hlen(keys.figures(ROOM)) == 4  # "last" and the three


async def test_beats_carry_the_head_and_the_servers_time(valkey: Redis) -> None:
    samples: list[tuple[float, float, int]] = []
    store = ValkeyRoomStore(valkey, on_server_time=lambda *sample: samples.append(sample))
    epoch = (await store.load(ROOM, history=0)).epoch
    await append(store, epoch, 0)
    before, _ = await valkey.time()
    beat = await store.beat(ROOM, process="p", viewers=0, likes=0)
    after, _ = await valkey.time()
    assert (beat.epoch, beat.head) == (epoch, 1)
    [(sent_ms, received_ms, server_ms)] = samples
    assert sent_ms <= received_ms
    assert before * 1000 <= server_ms < (after + 1) * 1000


async def test_announced_sales_are_told_with_each_beat(store: RoomStore, valkey: Redis) -> None:
    await store.announce_sale(ROOM, "s1")
    await asyncio.sleep(0.002)
    await store.announce_sale(ROOM, "s2")
    await asyncio.sleep(0.002)
    await store.announce_sale(ROOM, "s1")  # again: it keeps its place
    assert (await store.beat(ROOM, process="p", viewers=0, likes=0)).sales == ["s1", "s2"]
    assert (await store.beat("another", process="p", viewers=0, likes=0)).sales == []


async def test_the_memory_of_sales_is_bounded(store: RoomStore) -> None:
    await store.announce_sale(ROOM, "old")
    await asyncio.sleep(0.002)
    for n in range(SALES_MAX):
        await store.announce_sale(ROOM, f"s{n}")
    told = (await store.beat(ROOM, process="p", viewers=0, likes=0)).sales
    assert len(told) == SALES_MAX
    assert "old" not in told


async def test_every_key_of_a_room_has_one_slot(store: RoomStore, valkey: Redis) -> None:
    epoch = (await store.load(ROOM, history=0)).epoch
    await append(store, epoch, 0, key=b"1")
    await store.beat(ROOM, process="p", viewers=1, likes=1)
    await store.announce_sale(ROOM, "s1")
    found = await valkey.keys("*")
    assert len(found) == 7
    assert found == await valkey.keys("{room:r1}:*")


async def test_a_beat_with_no_news_writes_only_its_time(store: RoomStore, valkey: Redis) -> None:
    first = await store.beat(ROOM, process="p1", viewers=3, likes=4, demand=5)
    await valkey.config_resetstat()
    again = await store.beat(ROOM, process="p1", viewers=3, likes=4, demand=5)
    assert again == first
    calls = {
        name.removeprefix("cmdstat_"): one["calls"]
        for name, one in (await valkey.info("commandstats")).items()
    }
    writes = {"hset", "hdel", "zadd", "zrem", "zpopmin"} & calls.keys()
    assert {name: calls[name] for name in writes} == {"zadd": 1}
