"""Two thousand rooms at once on one server, a few viewers in each, all of them talking.

Most rooms of a platform are small. A room costs its own tick, its own frames and its own subscription, so
this is where those show: every room is alive, comments fall into all of them in a recording's rhythm, a few
rooms have a streamer, and each room ends in one state of its own.
"""

from __future__ import annotations

import asyncio
from typing import Final

from loadtest.scenarios.stage import Size, Stage

LONG: Final = Size(viewers=4_000, seconds=30)
SHORT: Final = Size(viewers=120, seconds=2)

VIEWERS_A_ROOM: Final = 2
STREAMED_ROOMS: Final = 4
P99_MS_MAX: Final = 150
STAMP_EVERY: Final = 2


async def play(stage: Stage) -> None:
    size = stage.size
    rooms = [f"room{k}" for k in range(size.viewers // VIEWERS_A_ROOM)]
    await stage.open_house()
    idle = stage.used()
    staff = await stage.open_staff(rooms[:STREAMED_ROOMS])
    swarm = await stage.open_swarm(size.viewers)
    await swarm.come(size.viewers, rooms=rooms, group="viewer", over_s=size.viewers / 1_000)
    await stage.arrived(size.viewers, within_s=60)
    await swarm.phase("talking")
    before = stage.used()
    await asyncio.gather(
        staff.show(size.seconds, per_s=2),
        swarm.chat(size.seconds, copies=max(size.viewers // 100, 2), stamp_every=STAMP_EVERY),
        swarm.trade(size.seconds, per_s=40),
    )
    after = stage.used()
    await swarm.phase("after")
    tally = await stage.closing()

    p99_ms = tally.ms("viewer", "talking", 99, "critical", "danmaku")
    marks = stage.marks
    marks.law("rooms that were alive", len(tally.rooms), "exactly", len(rooms))
    talked = sum(tally.counters["fates"].values())
    marks.law("comments whose fate was told", talked, "at least", len(rooms) / 10)
    marks.figure("p99 of events and comments", p99_ms, "at most", P99_MS_MAX, unit="ms")
    stage.figures |= {
        "rooms": len(rooms),
        "p99_ms": p99_ms,
        "kb_per_room": round((before.pss_kb - idle.pss_kb) / len(rooms), 1),
        "cpu_cores": round((after.cpu_s - before.cpu_s) / size.seconds, 3),
    }
