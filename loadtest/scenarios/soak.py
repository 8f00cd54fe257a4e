"""Hours of an ordinary evening; nothing may grow and nothing may wear out.

The same quarter of an hour over and over: comments in a recording's rhythm, a sale that opens, sells and
closes, a streamer who goes on explaining, and viewers who lose their connection and come back. Memory of the
server at the end is what it was after the first quarter, every law holds to the last, and the ledger proves
itself.
"""

from __future__ import annotations

import asyncio
import statistics
from typing import Final

from loadtest.scenarios.stage import Size, Stage

LONG: Final = Size(viewers=1_000, seconds=2 * 3_600)
SHORT: Final = Size(viewers=60, seconds=2)

ROOM: Final = "r1"
CYCLE_S: Final = 60.0
CYCLE_S_SHORT: Final = 1.0
STOCK: Final = 200
WANDERERS_SHARE: Final = 10
MEMORY_MAX: Final = 1.1


async def play(stage: Stage) -> None:
    size = stage.size
    cycle_s = CYCLE_S_SHORT if stage.short else CYCLE_S
    cycles = max(int(size.seconds / cycle_s), 1)
    await stage.open_house()
    staff = await stage.open_staff([ROOM], stock=STOCK)
    swarm = await stage.open_swarm(size.viewers)
    wanderers = max(size.viewers // WANDERERS_SHARE, 2)
    await swarm.come(size.viewers - wanderers, rooms=[ROOM], group="viewer", over_s=1, seed=stage.seed)
    await swarm.come(wanderers, rooms=[ROOM], group="wanderer", over_s=1)
    await stage.arrived(size.viewers)
    await swarm.phase("evening")

    for k in range(cycles):
        sale = f"sale{k}"
        await staff.open_sale(ROOM, sale, limit=2, hold_ms=int(max(cycle_s, 1) * 1_000))
        await asyncio.gather(
            swarm.all("buy", within_s=cycle_s + 60, sale=sale, item="one", over_s=cycle_s / 3, share=0.5),
            staff.show(cycle_s, per_s=1),
            swarm.chat(cycle_s, copies=1),
            swarm.trade(cycle_s, per_s=5),
            _cut(stage, cycle_s / 2),
        )
        await staff.close_sale(ROOM, sale)
    await swarm.phase("after")
    memory = [sample.use.pss_kb / 1_024 for sample in stage.samples]
    tally = await stage.closing()

    marks = stage.marks
    outcomes = tally.counters["outcomes"]
    cut = tally.counters["counts"]["returns"]
    marks.law("connections lost and found again", cut, "at least", cycles * wanderers)
    marks.law("units sold, of all sales", outcomes["reserved"], "at most", cycles * STOCK)
    marks.law("units sold at all", outcomes["reserved"], "at least", 1)
    quarter = max(len(memory) // 4, 1)
    early = statistics.median(memory[quarter : 2 * quarter] or memory)
    late = statistics.median(memory[-quarter:])
    marks.figure(
        "memory of the last quarter to the second",
        round(late / early, 3),
        "at most",
        MEMORY_MAX,
        control=f"{early:.1f} MB",
    )
    stage.figures |= {
        "cycles": cycles,
        "memory_mb": {"early": early, "late": late},
        "outcomes": dict(outcomes),
    }


async def _cut(stage: Stage, after_s: float) -> None:
    await asyncio.sleep(after_s)
    await stage.swarm.all("cut", group="wanderer")
