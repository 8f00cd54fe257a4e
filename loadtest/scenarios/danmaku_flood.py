"""Ten thousand comments a second into one room, while people buy.

Three rooms' worth of evening, one after the other and over again on the same server: nobody says anything; a
quiet room plays a recording (about eight comments a second); ten thousand comments a second are offered. All
the while the streamer explains, four times a second, and viewers ask and buy, one by one.

Comments may be left out, and are; commerce may not wait for them. The mark compares critical events and
replies of the flood with those of the quiet room of the same round; the quiet room's own are printed beside
those of the silent server. The viewers' rate limits are lifted, or the flood would end at the door.
"""

from __future__ import annotations

import asyncio
from typing import Final

from loadtest.scenarios.stage import Size, Stage, median, ratios

LONG: Final = Size(viewers=2_000, seconds=8, rounds=5)
SHORT: Final = Size(viewers=60, seconds=1)

OFFERED_PER_S: Final = 10_000
OFFERED_PER_S_SHORT: Final = 500
SHOWN_PER_S: Final = 30  # the server's default budget
RATIO_MAX: Final = 1.5
ROOM: Final = "r1"
SALE: Final = "night"
COMMERCE: Final = ("critical", "ping", "purchase")


async def play(stage: Stage) -> None:
    size = stage.size
    offered_per_s = OFFERED_PER_S_SHORT if stage.short else OFFERED_PER_S
    await stage.open_house(danmaku_per_s=100, danmaku_burst=100)
    staff = await stage.open_staff([ROOM])
    await staff.open_sale(ROOM, SALE)
    swarm = await stage.open_swarm(size.viewers)
    await swarm.come(size.viewers, rooms=[ROOM], group="viewer", over_s=min(size.seconds, 4))
    await stage.arrived(size.viewers)

    offered, seconds = 0, 0.0
    for k in range(size.rounds):
        for phase in ("silent", "quiet", "flood"):
            await swarm.phase(f"{phase}.{k}")
            commerce = asyncio.gather(
                staff.show(size.seconds, per_s=4),
                swarm.trade(size.seconds, per_s=40, sale=SALE, item="one"),
            )
            if phase == "quiet":
                await swarm.chat(size.seconds, copies=1)
            elif phase == "flood":
                said, took_s = await swarm.flood(size.seconds, per_s=offered_per_s, seed=stage.seed + k)
                offered, seconds = offered + said, seconds + took_s
            await commerce
    await swarm.phase("after")
    tally = await stage.closing()

    fates = tally.counters["fates"]
    answered = sum(fates.values())
    said = tally.sums["commands"]
    stage.marks.law("comments offered", offered, "at least", size.rounds * size.viewers)
    stage.marks.law("comments whose fate was told", answered, "at least", offered, note=str(dict(fates)))
    stage.marks.law("comments shown or merged", fates["shown"] + fates["merged"], "at least", 1)
    silent, quiet, flood = (
        stage.rounds_ms(tally, "viewer", each, *COMMERCE) for each in ("silent", "quiet", "flood")
    )
    per_round = ratios(flood, quiet)
    stage.marks.figure(
        "p99 of critical events and replies, flood to quiet",
        median(per_round),
        "at most",
        RATIO_MAX,
        control=f"p99 ms, median: silent {median(silent)}, quiet {median(quiet)}, flood {median(flood)}",
        rounds=per_round,
    )
    stage.marks.figure(
        "comments offered a second", offered / seconds if seconds else 0, "at least", 0.9 * offered_per_s
    )
    stage.figures |= {
        "commerce_p99_ms": {"silent": median(silent), "quiet": median(quiet), "flood": median(flood)},
        "offered_per_s": round(offered / seconds, 1) if seconds else 0,
        "commands": said,
    }
