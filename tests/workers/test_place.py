"""A place keeps a worker, or gives up in plain words. The workers are real processes, only small ones."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from liveserver.workers import respawn
from liveserver.workers.listening import listen
from liveserver.workers.place import GivenUpError, Place
from liveserver.workers.process import Worker, WorkerFailedError
from tests.edge.peers import eventually

LIMIT_S = 30
ORDERED = (
    "import sys, time; from liveserver.workers.order import take, say_ready; o = take(int(sys.argv[1]))\n"
)
WELL = ORDERED + "say_ready(o.says_fd, f'p{o.generation}'); time.sleep(60)"
DIES = ORDERED + "o.generation > 1 and sys.exit(3); say_ready(o.says_fd, 'p'); time.sleep(60)"
DRAINS = ORDERED + (
    "import signal\n"
    "def drain(*_):\n    time.sleep(2); sys.exit(0)\n"
    "signal.signal(signal.SIGTERM, drain); say_ready(o.says_fd, f'p{o.generation}'); time.sleep(60)"
)
SECOND_IS_THE_LAST = DRAINS.replace("import signal", "o.generation > 2 and sys.exit(3); import signal")
NEVER_READY = ORDERED + "sys.exit(4)"


class Places:
    """Places of these scripts, ended with the test."""

    def __init__(self, listener: socket.socket, folder: Path) -> None:
        self._listener = listener
        self._folder = folder
        self.started: list[Worker] = []
        self.ended: list[Worker] = []

    def place(self, script: str) -> Place:
        def spawn(generation: int) -> Worker:
            worker = Worker.start(
                [sys.executable, "-c", script],
                self._listener,
                {"secret": "not in the command line"},
                number=0,
                workers=1,
                generation=generation,
                folder=self._folder,
            )
            self.started.append(worker)
            return worker

        return Place(0, spawn, self.ended.append, end_seconds_max=5)


@pytest.fixture
async def places(tmp_path: Path) -> AsyncIterator[Places]:
    (listener,) = listen("127.0.0.1", 0, 1)
    made = Places(listener, tmp_path)
    try:
        async with asyncio.timeout(LIMIT_S):
            yield made
    finally:
        for worker in made.started:
            await worker.end(0)
        listener.close()


def shown(pid: int) -> str:
    """What others on this machine may see of a process."""
    parts = [Path(f"/proc/{pid}/{what}").read_bytes() for what in ("cmdline", "environ")]
    return b" ".join(parts).decode()


async def test_a_worker_killed_is_followed_by_another(places: Places) -> None:
    place = places.place(WELL)
    await place.start()
    first = place.worker
    assert first is not None and first.process == "p1"
    assert "not in the command line" not in shown(first.pid)
    keeping = asyncio.create_task(place.keep())
    first.kill()
    await eventually(lambda: place.worker is not first)
    assert place.worker is not None and place.worker.process == "p2"
    assert [(worker.code, worker.announced) for worker in places.ended] == [(-9, False)]
    keeping.cancel()


async def test_workers_that_all_die_are_given_up(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(respawn, "WAIT_MS_MIN", 1)
    place = places.place(DIES)
    await place.start()
    assert place.worker is not None
    place.worker.kill()
    with pytest.raises(GivenUpError, match=r"7 times in a row \(worker 0\.7 ended with 3"):
        await place.keep()
    assert len(places.started) == len(places.ended) == respawn.DEATHS_MAX + 1


async def test_where_no_process_can_be_started_just_now_it_is_tried_again(places: Places) -> None:
    place = places.place(WELL)
    await place.start()
    spawn = place._spawn
    refused: list[int] = []

    def scarce(generation: int) -> Worker:
        if not refused:
            refused.append(generation)
            raise OSError("Resource temporarily unavailable")
        return spawn(generation)

    place._spawn = scarce
    keeping = asyncio.create_task(place.keep())
    assert place.worker is not None
    place.worker.kill()
    await eventually(lambda: place.worker is not None and place.worker.process == "p3")
    assert refused == [2]
    keeping.cancel()


async def test_one_that_never_comes_up_is_said(places: Places) -> None:
    with pytest.raises(WorkerFailedError, match="ended with 4 before it was ready"):
        await places.place(NEVER_READY).start()


async def test_relieved_the_old_one_goes_when_the_new_one_is_there(places: Places) -> None:
    place = places.place(WELL)
    await place.start()
    keeping = asyncio.create_task(place.keep())
    assert await place.relieve()
    assert place.worker is not None and place.worker.process == "p2"
    assert [(worker.process, worker.announced) for worker in places.ended] == [("p1", True)]
    keeping.cancel()


async def test_where_the_new_one_does_not_come_up_the_old_one_stays(places: Places) -> None:
    place = places.place(DIES)
    await place.start()
    old = place.worker
    keeping = asyncio.create_task(place.keep())
    assert not await place.relieve()
    assert place.worker is old and old is not None and not old.ended.is_set()
    keeping.cancel()


async def test_who_dies_while_the_one_before_drains_is_followed_at_once(places: Places) -> None:
    place = places.place(DRAINS)
    await place.start()
    old = place.worker
    keeping = asyncio.create_task(place.keep())
    relieving = asyncio.create_task(place.relieve())
    await eventually(lambda: place.worker is not old)
    assert old is not None and place.worker is not None
    place.worker.kill()
    await eventually(lambda: place.worker is not None and place.worker.process == "p3")
    assert not old.ended.is_set(), "nobody waited for that"
    assert await relieving
    assert [(worker.generation, worker.announced) for worker in places.ended] == [(2, False), (1, True)]
    keeping.cancel()


async def test_a_place_given_up_while_it_is_relieved_tells_who_waits(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(respawn, "WAIT_MS_MIN", 1)
    place = places.place(SECOND_IS_THE_LAST)
    await place.start()
    old = place.worker
    keeping = asyncio.create_task(place.keep())
    relieving = asyncio.create_task(place.relieve())
    await eventually(lambda: place.worker is not old)
    assert place.worker is not None
    place.worker.kill()
    assert not await relieving
    with pytest.raises(GivenUpError):
        await keeping
    assert not await place.relieve(), "nobody keeps it any more"


async def test_a_relief_given_up_lets_the_old_one_drain(places: Places) -> None:
    """SIGTERM in the middle of a roll: who drains already isn't cut for it."""
    place = places.place(DRAINS)
    await place.start()
    old = place.worker
    keeping = asyncio.create_task(place.keep())
    relieving = asyncio.create_task(place.relieve())
    await eventually(lambda: place.worker is not old)
    keeping.cancel()
    relieving.cancel()
    await asyncio.gather(keeping, relieving, return_exceptions=True)
    assert place.going is old and old is not None, "whoever ends the place ends it too"
    await old.ended.wait()
    assert old.code == 0
