"""The relay on the real store: order, gaps told, publishing that never waits."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis

from liveserver.store import relay as relay_module
from liveserver.store.limits import CHUNK_BYTES_MAX, OUTBOX_CHUNKS_MAX
from liveserver.store.port import RelayChunk, RelayCritical, RelayItem
from liveserver.store.relay import ValkeyRelay
from liveserver.store.rooms import ValkeyRoomStore
from tests.conftest import StartValkey

WAIT_S = 20.0  # a bound on the wait of a test that would otherwise hang


class Hub:
    """What a hub keeps: the items of each room, and the gaps it was told of."""

    def __init__(self) -> None:
        self.items: list[RelayItem] = []
        self.gaps: list[str] = []

    @property
    def chunks(self) -> list[bytes]:
        return [item.chunk for item in self.items if isinstance(item, RelayChunk)]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def until_true(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not await holds():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def kill_all_subscribers(valkey: Redis) -> int:
    return int(await valkey.client_kill_filter(_type="pubsub"))


@pytest.fixture
def hub() -> Hub:
    return Hub()


async def test_chunks_arrive_in_the_order_published(valkey: Redis, valkey_url: str, hub: Hub) -> None:
    async with (
        ValkeyRelay(valkey_url, on_gap=hub.gaps.append) as ours,
        ValkeyRelay(valkey_url, on_gap=hub.gaps.append) as theirs,
    ):
        await ours.subscribe("r1", hub.items.append)
        sent = [b"%d\x00\xff \r\n" % n for n in range(500)]
        for chunk in sent:
            assert await theirs.publish("r1", chunk)
        await until(lambda: len(hub.items) >= len(sent))
        assert hub.chunks == sent
        assert theirs.counts.published == 500
        assert (theirs.counts.dropped, hub.gaps) == (0, [])


async def test_a_process_hears_its_own_chunks_and_only_its_rooms(valkey_url: str, hub: Hub) -> None:
    async with ValkeyRelay(valkey_url, on_gap=hub.gaps.append) as relay:
        await relay.subscribe("r1", hub.items.append)
        await relay.publish("r2", b"elsewhere")
        await relay.publish("r1", b"here")
        await until(lambda: len(hub.items) == 1)
        assert hub.items == [RelayChunk(room="r1", chunk=b"here")]


async def test_an_appended_event_reaches_every_subscriber(valkey: Redis, valkey_url: str, hub: Hub) -> None:
    store = ValkeyRoomStore(valkey)
    epoch = (await store.load("r1", history=0)).epoch
    async with ValkeyRelay(valkey_url, on_gap=hub.gaps.append) as relay:
        await relay.subscribe("r1", hub.items.append)
        for head, payload in enumerate((b"first", b"", b" \x00 third")):
            await store.append(
                "r1", epoch=epoch, expected_head=head, command_id=f"c{head}", payload=payload, changes={}
            )
        await store.append("r1", epoch=epoch, expected_head=3, command_id="c0", payload=b"again", changes={})
        await store.append("r1", epoch=epoch, expected_head=0, command_id="c9", payload=b"stale", changes={})
        await relay.publish("r1", b"end")
        await until(lambda: bool(hub.chunks))
    assert hub.items == [
        RelayCritical(room="r1", epoch=epoch, offset=1, payload=b"first"),
        RelayCritical(room="r1", epoch=epoch, offset=2, payload=b""),
        RelayCritical(room="r1", epoch=epoch, offset=3, payload=b" \x00 third"),
        RelayChunk(room="r1", chunk=b"end"),
    ]


async def test_what_is_published_after_subscribing_is_heard(valkey_url: str) -> None:
    """The confirmation is the server's: a hundred rooms, each spoken to the moment it is subscribed."""
    heard: dict[str, list[RelayItem]] = {}
    async with (
        ValkeyRelay(valkey_url, on_gap=lambda room: None) as relay,
        ValkeyRelay(valkey_url, on_gap=lambda room: None) as other,
    ):

        async def join(room: str) -> None:
            heard[room] = []
            await relay.subscribe(room, heard[room].append)
            await other.publish(room, room.encode())

        await asyncio.gather(*(join(f"r{n}") for n in range(100)))
        await until(lambda: all(heard.values()))
        assert all(items == [RelayChunk(room=r, chunk=r.encode())] for r, items in heard.items())


async def test_after_unsubscribing_nothing_is_heard(valkey: Redis, valkey_url: str, hub: Hub) -> None:
    async with ValkeyRelay(valkey_url, on_gap=hub.gaps.append) as relay:
        await relay.subscribe("r1", hub.items.append)
        await relay.unsubscribe("r1")
        await relay.unsubscribe("r1")  # twice is once

        async def nobody() -> bool:
            channels = await valkey.pubsub_shardchannels()
            return len(channels) == 0

        await until_true(nobody)
        again = Hub()
        await relay.subscribe("r1", again.items.append)
        await relay.publish("r1", b"x")
        await until(lambda: bool(again.items))
        assert (hub.items, hub.gaps) == ([], [])


async def test_leaving_and_coming_back_in_one_breath(valkey_url: str) -> None:
    async with ValkeyRelay(valkey_url, on_gap=lambda room: None) as relay:
        await relay.subscribe("r1", lambda item: None)
        for n in range(50):
            hub = Hub()
            await relay.unsubscribe("r1")
            await relay.subscribe("r1", hub.items.append)
            await relay.publish("r1", b"%d" % n)
            await until(lambda hub=hub, n=n: b"%d" % n in hub.chunks)  # type: ignore[misc]


async def test_a_killed_connection_is_mended_and_the_gap_told(
    valkey: Redis, valkey_url: str, hub: Hub
) -> None:
    store = ValkeyRoomStore(valkey)
    epoch = (await store.load("r1", history=0)).epoch
    async with ValkeyRelay(valkey_url, on_gap=hub.gaps.append) as relay:
        await relay.subscribe("r1", hub.items.append)
        await relay.subscribe("r2", hub.items.append)
        for _ in range(3):
            hub.gaps.clear()
            assert await kill_all_subscribers(valkey) == 1
            await until(lambda: sorted(hub.gaps) == ["r1", "r2"])
        head = (await store.load("r1", history=0)).head
        await store.append(
            "r1", epoch=epoch, expected_head=head, command_id="c", payload=b"after", changes={}
        )
        await until(lambda: bool(hub.items))
        assert hub.items == [RelayCritical(room="r1", epoch=epoch, offset=1, payload=b"after")]


async def test_a_gap_is_told_only_once_subscribed_again(valkey: Redis, valkey_url: str) -> None:
    """Whoever reads the log when told must not miss what is appended right after."""
    numbered: list[int] = []

    async with ValkeyRelay(valkey_url, on_gap=lambda room: numbered.append(-1)) as relay:
        await relay.subscribe("r1", lambda item: numbered.append(1))
        await kill_all_subscribers(valkey)
        await until(lambda: numbered == [-1])
        assert await valkey.spublish("{room:r1}:relay", "Cx") == 1
        await until(lambda: numbered == [-1, 1])


async def test_a_callback_that_fails_harms_nobody(
    valkey: Redis, valkey_url: str, hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(item: RelayItem) -> None:
        raise RuntimeError("ours")

    async with ValkeyRelay(valkey_url, on_gap=hub.gaps.append) as relay:
        await relay.subscribe("r1", fail)
        await relay.subscribe("r2", hub.items.append)
        await relay.publish("r1", b"x")
        await relay.publish("r2", b"y")
        await until(lambda: bool(hub.items))
        assert relay.counts.connections_lost == 0
    assert "a callback failed" in caplog.text


async def test_rubbish_on_the_channel_is_counted(valkey: Redis, valkey_url: str, hub: Hub) -> None:
    async with ValkeyRelay(valkey_url, on_gap=hub.gaps.append) as relay:
        await relay.subscribe("r1", hub.items.append)
        for rubbish in (b"", b"?", b"E", b"E1", b"E1-x y", b"E-1 y"):
            await valkey.spublish("{room:r1}:relay", rubbish)
        await relay.publish("r1", b"good")
        await until(lambda: bool(hub.items))
        assert (relay.counts.malformed, hub.chunks) == (6, [b"good"])


async def test_publishing_while_the_store_is_stopped_neither_raises_nor_waits(
    durable_valkey: StartValkey, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "PUBLISH_TIMEOUT_MS", 200)
    store = await durable_valkey(fsync="no")
    async with ValkeyRelay(store.url, on_gap=hub.gaps.append) as relay:
        await relay.subscribe("r1", hub.items.append)
        await relay.publish("r1", b"before")
        await until(lambda: hub.chunks == [b"before"])
        os.kill(store.pid, signal.SIGSTOP)
        try:
            # A publish that waited for the network would give control away: this one never does.
            waited = [relay.publish("r1", b"%d" % n) for n in range(OUTBOX_CHUNKS_MAX + 50)]
            taken = [_at_once(publishing) for publishing in waited]
            assert taken == [True] * OUTBOX_CHUNKS_MAX + [False] * 50
            await until(lambda: relay.counts.connections_lost > 0)
            assert await relay.publish("r1", b"x") is False  # known to be away
            assert relay.counts.dropped == OUTBOX_CHUNKS_MAX + 51
        finally:
            os.kill(store.pid, signal.SIGCONT)

        async def goes_through() -> bool:
            await relay.publish("r1", b"after")
            return b"after" in hub.chunks

        await until_true(goes_through)


def _at_once(publishing: Awaitable[bool]) -> bool:
    """Runs a coroutine that must not suspend."""
    try:
        publishing.__await__().send(None)
    except StopIteration as done:
        return bool(done.value)
    raise AssertionError("it waited")


async def test_a_chunk_too_large_is_dropped(valkey_url: str, hub: Hub) -> None:
    async with ValkeyRelay(valkey_url, on_gap=hub.gaps.append) as relay:
        assert await relay.publish("r1", b"x" * (CHUNK_BYTES_MAX + 1)) is False
        assert await relay.publish("r1", b"x" * CHUNK_BYTES_MAX) is True
        assert relay.counts.dropped == 1


async def test_subscribing_to_a_stopped_store_ends_in_time_and_leaves_nothing(
    durable_valkey: StartValkey, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "SUBSCRIBE_TIMEOUT_MS", 50)
    store = await durable_valkey(fsync="no")
    async with ValkeyRelay(store.url, on_gap=hub.gaps.append) as relay:
        await relay.subscribe("r1", hub.items.append)
        os.kill(store.pid, signal.SIGSTOP)
        with pytest.raises(TimeoutError):
            await relay.subscribe("r2", hub.items.append)
        os.kill(store.pid, signal.SIGCONT)
        monkeypatch.setattr(relay_module, "SUBSCRIBE_TIMEOUT_MS", 20_000)
        await relay.publish("r2", b"nobody listens")
        await relay.publish("r1", b"x")
        await until(lambda: bool(hub.items))
        assert hub.chunks == [b"x"]
        await relay.subscribe("r2", hub.items.append)


async def subscribe_in_the_end(relay: ValkeyRelay, room: str, hub: Hub) -> None:
    async def subscribed() -> bool:
        try:
            await relay.subscribe(room, hub.items.append)
        except TimeoutError:
            return False
        return True

    await until_true(subscribed)


async def test_a_server_that_falls_silent_is_left_and_found_again(
    durable_valkey: StartValkey,
    hub: Hub,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A connection that is open but dead: the pings go unanswered, and so does a room asked for on it."""
    monkeypatch.setattr(relay_module, "PING_PERIOD_MS", 20)
    monkeypatch.setattr(relay_module, "SILENCE_MS_MAX", 100)
    monkeypatch.setattr(relay_module, "SUBSCRIBE_TIMEOUT_MS", 10)
    store = await durable_valkey(fsync="no")
    async with ValkeyRelay(store.url, on_gap=hub.gaps.append) as relay:
        await subscribe_in_the_end(relay, "r1", hub)
        os.kill(store.pid, signal.SIGSTOP)
        with pytest.raises(TimeoutError):
            await relay.subscribe("r2", hub.items.append)
        await until(lambda: relay.counts.connections_lost > 0)
        os.kill(store.pid, signal.SIGCONT)
        await until(lambda: "r1" in hub.gaps)
    assert "AssertionError" not in caplog.text  # answers of the new connection met questions of its own


async def test_a_quiet_but_living_server_is_kept(
    valkey: Redis, valkey_url: str, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "PING_PERIOD_MS", 20)
    async with ValkeyRelay(valkey_url, on_gap=hub.gaps.append) as relay:
        await relay.subscribe("r1", hub.items.append)
        pings = int((await valkey.info("commandstats")).get("cmdstat_ping", {"calls": 0})["calls"])

        async def pinged_often() -> bool:
            return int((await valkey.info("commandstats"))["cmdstat_ping"]["calls"]) >= pings + 5

        await until_true(pinged_often)
        assert relay.counts.connections_lost == 0


async def test_a_store_that_comes_up_later_is_found(durable_valkey: StartValkey, hub: Hub) -> None:
    with tempfile.TemporaryDirectory(
        prefix="liveserver-test-", dir="/tmp"
    ) as short:  # the socket stays in it
        first = await durable_valkey(Path(short), fsync="no")
        async with ValkeyRelay(first.url, on_gap=hub.gaps.append) as relay:
            await relay.subscribe("r1", hub.items.append)
            first.kill()
            await until(lambda: relay.counts.connections_lost > 3)
            again = await durable_valkey(Path(short), fsync="no")
            assert again.url == first.url
            await until(lambda: "r1" in hub.gaps)
            await again.stop()
