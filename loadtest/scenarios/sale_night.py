"""The evening itself: a room fills in a recorded rhythm, talks, and buys twice.

Viewers arrive in bursts as recorded ones do. A recording plays, superposed to the size of the room. The
streamer explains, and opens two flash sales; half the room taps within a second and a half, while some lose
their connection in the very rush. What was held is paid, as far as two hundred of each sale. Everybody ends
with the same room, everybody has his one answer, and the ledger proves both sales.
"""

from __future__ import annotations

import asyncio
from typing import Final

from loadtest.scenarios.stage import Size, Stage

LONG: Final = Size(viewers=5_000, seconds=15)
SHORT: Final = Size(viewers=120, seconds=1)

ROOM: Final = "r1"
SALES: Final = 2
BUYERS_SHARE: Final = 0.5
VIEWERS_A_UNIT: Final = 10
VIEWERS_A_COPY: Final = 100
WANDERERS_SHARE: Final = 25
RUSH_S: Final = 1.5
PAID_MAX: Final = 200
HOLD_MS: Final = 600_000
P99_MS_MAX: Final = 150
STAMP_EVERY: Final = 5


async def play(stage: Stage) -> None:
    size = stage.size
    stock = max(size.viewers // VIEWERS_A_UNIT, 1)
    copies = max(size.viewers // VIEWERS_A_COPY, 1)
    await stage.open_house()
    staff = await stage.open_staff([ROOM], stock=stock)
    swarm = await stage.open_swarm(size.viewers)
    rush_s = min(RUSH_S, size.seconds)
    wanderers = max(size.viewers // WANDERERS_SHARE, 2)
    await swarm.phase("arriving")
    await asyncio.gather(
        swarm.come(
            size.viewers - wanderers, rooms=[ROOM], group="viewer", over_s=size.seconds, seed=stage.seed
        ),
        swarm.come(wanderers, rooms=[ROOM], group="wanderer", over_s=size.seconds, seed=stage.seed),
        staff.show(size.seconds, per_s=1),
    )
    await stage.arrived(size.viewers)

    for k in range(SALES):
        await swarm.phase(f"talk.{k}")
        await asyncio.gather(
            swarm.chat(size.seconds, copies=copies, stamp_every=STAMP_EVERY),
            staff.show(size.seconds, per_s=2),
        )
        await swarm.phase(f"rush.{k}")
        await staff.open_sale(ROOM, f"flash{k}", limit=1, hold_ms=HOLD_MS, of=k)
        await asyncio.gather(
            swarm.all("buy", within_s=120, sale=f"flash{k}", item="one", over_s=rush_s, share=BUYERS_SHARE),
            swarm.chat(rush_s, copies=copies, stamp_every=STAMP_EVERY),
            staff.show(rush_s, per_s=2),
            _cut(stage, rush_s / 2),
        )
        await swarm.settle(30)
    held = (await swarm.report()).reservations
    await stage.pay(held[: PAID_MAX * SALES])
    for k in range(SALES):
        await staff.close_sale(ROOM, f"flash{k}")
    await swarm.phase("after")
    tally = await stage.closing()

    marks = stage.marks
    outcomes = tally.counters["outcomes"]
    p99_ms = tally.ms("viewer", "talk.0", 99, "critical", "danmaku")
    marks.law("units sold in both sales", outcomes["reserved"], "exactly", SALES * stock)
    marks.law("reservations, all different", len(set(tally.reservations)), "exactly", SALES * stock)
    marks.law(
        "connections lost and found again", tally.counters["counts"]["returns"], "at least", SALES * wanderers
    )
    marks.figure("p99 of events and comments while the room talks", p99_ms, "at most", P99_MS_MAX, unit="ms")
    stage.figures |= {
        "p99_ms": p99_ms,
        "answer_ms": {f"p{p}": tally.ms("viewer", "rush.0", p, "purchase") for p in (50, 99)},
        "outcomes": dict(outcomes),
    }


async def _cut(stage: Stage, after_s: float) -> None:
    await asyncio.sleep(after_s)
    await stage.swarm.all("cut", group="wanderer")
