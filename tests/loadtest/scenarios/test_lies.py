"""A scenario on a server that is wrong ends with a mark missed, and leaves nothing running."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from liveserver.stock.scripts import keys_of
from loadtest.scenarios import naive
from loadtest.scenarios.house import House, HouseError
from loadtest.scenarios.proc import family, use
from loadtest.scenarios.stage import Size, Stage

SIZE = Size(viewers=8, seconds=0.5)


@asynccontextmanager
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    made = Stage(SIZE, short=True, seed=1, workers=1, folder=tmp_path, on_progress=None)
    try:
        yield made
    finally:
        await made.abandon()


async def evening(stage: Stage) -> None:
    await stage.open_house()
    staff = await stage.open_staff(["r1"], stock=5)
    await stage.open_swarm(SIZE.viewers)
    await stage.swarm.come(SIZE.viewers, rooms=["r1"], group="v", over_s=0)
    await stage.arrived(SIZE.viewers)
    await staff.open_sale("r1", "s1", limit=1)
    await stage.swarm.all("buy", sale="s1", item="one", over_s=0.2)
    await stage.swarm.settle(10)


def still_there(pids: list[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def missed(stage: Stage) -> set[str]:
    return {mark.name for mark in stage.marks.all if mark.met is False}


async def test_an_honest_evening_meets_every_mark_and_leaves_no_process(tmp_path: Path) -> None:
    async with stage(tmp_path) as played:
        await evening(played)
        server = played.house.pid
        assert len(family(server)) > 1 and use(server).pss_kb > 0 and use(server).store_pss_kb > 0
        pids = [*family(server), *played.swarm.pids()]
        tally = await played.closing()
    assert missed(played) == set() and played.marks.ok
    assert tally.counters["outcomes"] == {"reserved": 5, "sold_out": 3}
    assert not still_there(pids)


async def test_a_counter_changed_behind_the_ledger_is_a_mark_missed(tmp_path: Path) -> None:
    async with stage(tmp_path) as played:
        await evening(played)
        store = Redis.from_url(played.house.store_url)
        await store.hincrby(keys_of("s1")[0], "a0", 1)
        await store.aclose()
        await played.closing()
    assert "ledger verify's exit code" in missed(played) and not played.marks.ok


async def test_viewers_who_cannot_come_back_are_marks_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loadtest.scenarios.stage.SETTLE_S_MAX", 1.0)
    async with stage(tmp_path) as played:
        await evening(played)
        played.house.kill()
        await played.house.wait()
        await played.closing()
    assert {"viewers not at the end of their room", "servers that ended with another code than 0"} <= missed(
        played
    )


async def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    house = House(tmp_path, "too short a secret")
    with pytest.raises(HouseError, match="secret"):
        await house.open()
    assert not house.running


async def test_the_naive_counter_sells_what_is_not_there(valkey: Redis, valkey_url: str) -> None:
    assert await naive.sold(valkey_url, stock=10, buyers=200) > 10
    assert await valkey.dbsize() == 0
