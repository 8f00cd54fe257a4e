"""``serve --workers``, for real: workers and their parent killed, relieved and drained, with people there."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from redis.asyncio import Redis
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from protocol.close import Close
from protocol.codec import JSON
from protocol.commands import Join, UpdateListing
from protocol.replies import Bye, Done
from tests.end_to_end.raw import Raw
from tests.end_to_end.shop import list_oil
from tests.end_to_end.test_slow import connect_small, items

from .crowd import Crowd
from .served import Served, alive, asked

pytestmark = [
    pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="reads /proc"),
    pytest.mark.slow,
]
LIMIT_S = 120
QUEUED = 8
UPDATES = 80  # of about 4 KB: more than the kernel takes for one who doesn't read
PACE_S = 0.01


async def test_relieved_one_by_one_under_load_nobody_is_refused_and_nothing_is_lost(
    tmp_path: Path, valkey: Redis, valkey_url: str
) -> None:
    async with asyncio.timeout(LIMIT_S), Served(tmp_path, 2, LIVESERVER_REDIS_URL=valkey_url) as served:
        before = served.workers()
        assert len(before) == 2
        crowd = Crowd(served)
        playing = asyncio.create_task(crowd.play())
        await served.until(lambda: len(crowd.told) > 20 or playing.done())
        served.signal(signal.SIGHUP)
        await served.until(lambda: "every worker is relieved" in served.log or playing.done())
        bought = len(crowd.told)
        await served.until(lambda: len(crowd.told) > bought + 20 or playing.done())
        crowd.stop.set()
        await playing
        assert len(served.workers()) == 2
        assert not set(before) & set(served.workers())
        assert "unanswered=0" in served.log
        assert "worker_killed" not in served.log and "worker_lost" not in served.log
        assert crowd.knocked > 0
        await crowd.judge(valkey)


async def test_a_worker_killed_under_load_is_replaced_and_its_viewers_go_on(
    tmp_path: Path, valkey: Redis, valkey_url: str
) -> None:
    async with asyncio.timeout(LIMIT_S), Served(tmp_path, 2, LIVESERVER_REDIS_URL=valkey_url) as served:
        crowd = Crowd(served)
        crowd.knocks_may_break = True
        playing = asyncio.create_task(crowd.play())
        await served.until(lambda: len(crowd.told) > 20 or playing.done())
        killed, other = served.workers()
        os.kill(killed, signal.SIGKILL)
        await served.until(lambda: len(served.workers()) == 2 and killed not in served.workers())
        bought = len(crowd.told)
        await served.until(lambda: len(crowd.told) > bought + 20 or playing.done())
        crowd.stop.set()
        await playing
        assert other in served.workers()
        assert served.log.count("worker_lost") == 1
        await crowd.judge(valkey)


async def test_who_waits_in_the_queue_of_a_killed_worker_is_answered_by_the_next(
    tmp_path: Path, valkey: Redis, valkey_url: str
) -> None:
    """The one worker stands still, so that all of them wait; then it is killed."""
    async with asyncio.timeout(LIMIT_S), Served(tmp_path, 1, LIVESERVER_REDIS_URL=valkey_url) as served:
        (worker,) = served.workers()
        os.kill(worker, signal.SIGSTOP)
        queued = [await asyncio.open_connection(*served.host_port) for _ in range(QUEUED)]
        asking = [asyncio.create_task(asked(reader, writer, "/readyz")) for reader, writer in queued]
        await asyncio.sleep(0)
        os.kill(worker, signal.SIGKILL)
        late = asyncio.create_task(served.get("/readyz"))
        assert [status for status, _ in await asyncio.gather(*asking, late)] == [200] * (QUEUED + 1)
        assert served.workers() != [worker]


async def test_told_to_end_it_drains_and_a_viewer_who_does_not_read_holds_it_up_no_longer_than_it_may(
    tmp_path: Path, valkey: Redis, valkey_url: str
) -> None:
    options = ("--drain-seconds", "3")
    async with (
        asyncio.timeout(LIMIT_S),
        Served(tmp_path, 2, *options, LIVESERVER_REDIS_URL=valkey_url) as served,
        AsyncExitStack() as stack,
    ):
        viewers = []
        for number in range(10):
            viewer = Raw(served.url, served.mint("viewer", f"v{number}"))
            viewers.append(await stack.enter_async_context(viewer))
            await viewer.join("r1")
        lazy = await connect_small(served.url, served.mint("viewer", "lazy"))
        await lazy.send(JSON.encode(Join(id="j", room="r1")).decode())
        eve = await stack.enter_async_context(Raw(served.url, served.mint("streamer", "eve")))
        await eve.join("r1")
        await list_oil(eve)
        for version in range(UPDATES):
            update = UpdateListing(id=eve.new_id(), room="r1", listing_id="oil", items=items(version))
            await eve.ask(update, Done)
            await asyncio.sleep(PACE_S)  # of what a streamer may say in a second
        served.signal(signal.SIGTERM)
        assert await served.ended() == 0, served.log
        for viewer in viewers:
            await viewer.socket.wait_closed()
            assert viewer.socket.close_code == Close.GOING_AWAY
            (bye,) = [message for message in viewer.heard if isinstance(message, Bye)]
            assert bye.reconnect and bye.retry_ms > 0 and bye.spread_ms > 0
        await heard_to_the_end(lazy)
        assert lazy.close_code == Close.ABNORMAL
        assert served.log.count("drained ") == 2
        assert "worker_killed" not in served.log, "they ended by themselves"
        with pytest.raises(OSError), socket.create_connection(served.host_port, timeout=5):
            pass


async def heard_to_the_end(lazy: ClientConnection) -> None:
    """What is left for it, now that it reads."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            await lazy.recv()


async def test_a_worker_that_does_not_end_in_time_is_killed(
    tmp_path: Path, valkey: Redis, valkey_url: str
) -> None:
    options = ("--drain-seconds", "1")
    async with (
        asyncio.timeout(LIMIT_S),
        Served(tmp_path, 2, *options, LIVESERVER_REDIS_URL=valkey_url) as served,
    ):
        still, other = served.workers()
        os.kill(still, signal.SIGSTOP)
        served.signal(signal.SIGTERM)
        await served.ended()
        assert served.log.count("worker_killed") == 1
        assert not alive(still) and not alive(other)


async def test_a_worker_that_drains_says_that_it_is_not_ready(
    tmp_path: Path, valkey: Redis, valkey_url: str
) -> None:
    """To whoever has a connection to it still; its successor is ready by then."""
    options = ("--drain-seconds", "20")
    async with (
        asyncio.timeout(LIMIT_S),
        Served(tmp_path, 1, *options, LIVESERVER_REDIS_URL=valkey_url) as served,
    ):
        kept = await asyncio.open_connection(*served.host_port)
        assert (await ready(*kept))[0] == 200
        mute = await connect_small(served.url, served.mint("viewer", "mute"))
        mute.transport.pause_reading()  # it holds the drain up: it answers no close frame
        served.signal(signal.SIGHUP)
        status, said = 200, ""
        while status == 200:
            status, said = await ready(*kept)
        assert (status, "draining" in said) == (503, True)
        assert (await served.get("/readyz"))[0] == 200
        await served.until(lambda: "every worker is relieved" in served.log)
        kept[1].close()
        mute.transport.abort()


async def ready(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[int, str]:
    """On a connection that is kept."""
    writer.write(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    size = int(head.split("content-length:")[1].split("\r\n")[0])
    return int(head.split(" ")[1]), (await reader.readexactly(size)).decode()


async def test_without_its_store_all_of_it_ends_and_says_so(tmp_path: Path) -> None:
    async with asyncio.timeout(LIMIT_S), Served(tmp_path, 2) as served:
        workers = served.workers()
        (store,) = served.children("valkey")
        os.kill(store, signal.SIGKILL)
        assert await served.ended() == 1
        assert "cannot serve: the embedded store has ended" in served.log
        assert not any(map(alive, workers))


async def test_the_parent_killed_takes_workers_and_store_along(tmp_path: Path) -> None:
    async with asyncio.timeout(LIMIT_S), Served(tmp_path, 2) as served:
        below = [*served.workers(), *served.children("valkey")]
        assert len(below) == 3
        served.signal(signal.SIGKILL)
        await served.ended()
        await served.until(lambda: not any(map(alive, below)))


async def test_one_scrape_has_the_numbers_of_all_and_the_logs_say_whose_they_are(
    tmp_path: Path, valkey: Redis, valkey_url: str
) -> None:
    async with (
        asyncio.timeout(LIMIT_S),
        Served(tmp_path, 2, LIVESERVER_REDIS_URL=valkey_url) as served,
        AsyncExitStack() as stack,
    ):
        for number in range(20):
            await stack.enter_async_context(Raw(served.url, served.mint("viewer", f"v{number}")))
        status, text = await served.get("/metrics")
        assert status == 200
        accepted = values(text, "liveserver_handshakes_accepted_total")
        assert sum(accepted.values()) == 20
        assert sorted(label.split('worker="')[1][0] for label in accepted) == ["0", "1"]
        assert values(text, "liveserver_worker_up") == {'worker="0"': 1, 'worker="1"': 1}
        os.kill(served.workers()[0], signal.SIGKILL)
        await served.until(lambda: served.log.count("listening ") == 3)
        _, text = await served.get("/metrics")
        assert sorted(values(text, "liveserver_worker_generation").values()) == [1, 2]
        assert sum(values(text, "liveserver_handshakes_accepted_total").values()) < 20, "its count is gone"
        assert "worker=0" in served.log and "worker=1" in served.log


def values(text: str, name: str) -> dict[str, float]:
    return {
        line.split("{")[1].split("}")[0]: float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if line.startswith(f"{name}{{")
    }


async def test_what_can_not_be_served_is_said_and_nothing_is_left(tmp_path: Path) -> None:
    async with asyncio.timeout(LIMIT_S), Served(tmp_path, 2, "--durability", "replicated") as served:
        assert await served.ended() == 1
        assert "durability replicated can't be kept" in served.log
        assert "before it was ready" in served.log
