"""Ten thousand lose their server at once, and come back to another one inside its window.

Two processes share a store. The crowd sits at the second, which is told to end: it says when to come back,
and to whom it is all the same. The first has a shop room of its own, whose streamer explains and whose
viewers buy all the while. Everybody comes back where he was, nobody is lost, no event is missed, and the
shop is not harmed: no order without its answer, and answers and events within the deadline of a purchase.

The naive way is the control: the same crowd is cut off again, and everybody comes back at the very same
moment.
"""

from __future__ import annotations

import asyncio
from typing import Final

from loadtest.scenarios.stage import Size, Stage

LONG: Final = Size(viewers=10_000, seconds=8)
SHORT: Final = Size(viewers=100, seconds=1)

CROWD_ROOM: Final = "r1"
SHOP_ROOM: Final = "shop"
SALE: Final = "steady"
DEADLINE_MS: Final = 300  # of a purchase
WINDOW_MS_MIN: Final = 2_200  # of any window; beyond, a millisecond a viewer is the most that makes sense
LATE_MS: Final = 2_000  # beyond the window: the last to come back has still to be let in
COMMERCE: Final = ("critical", "ping", "purchase")


async def play(stage: Stage) -> None:
    size = stage.size
    shoppers = max(size.viewers // 50, 10)
    first = await stage.open_house()
    second = await stage.open_second_house()
    staff = await stage.open_staff([SHOP_ROOM, CROWD_ROOM])
    await staff.open_sale(SHOP_ROOM, SALE)
    swarm = await stage.open_swarm(size.viewers)
    mall = await stage.open_swarm(shoppers)
    await mall.come(shoppers, rooms=[SHOP_ROOM], group="shopper", over_s=0.5)
    await swarm.all("move", host=second.address[0], port=second.address[1])
    await swarm.come(size.viewers, rooms=[CROWD_ROOM], group="crowd", over_s=size.viewers / 2_000)
    await stage.arrived(size.viewers + shoppers, within_s=60)
    await swarm.all("move", host=first.address[0], port=first.address[1])

    async def shop(phase: str) -> None:
        await stage.phase(phase)
        await asyncio.gather(
            staff.show(size.seconds, per_s=4),
            mall.trade(size.seconds, per_s=40, sale=SALE, item="one"),
        )

    await shop("before")
    second.drain()
    await shop("storm")
    code = await second.wait()
    late = await stage.settle(60)
    back = await stage.report()
    await swarm.phase("cut")
    dropped = await swarm.all("cut", group="crowd", jitter=False)
    await shop("naive")
    tally = await stage.closing()

    marks = stage.marks
    counts = back.counters["counts"]
    marks.law("who was told when to come back", counts["byes"], "exactly", size.viewers)
    window_ms_max = WINDOW_MS_MIN + size.viewers
    marks.law("the window to come back in, ms", back.window_ms, "at most", window_ms_max)
    marks.law("viewers not back", late, "exactly", 0)
    marks.law("who came back by replay", counts["replayed"], "exactly", size.viewers)
    marks.law("the drained server's exit code", code, "exactly", 0)
    marks.law("cut off once more", sum(each["dropped"] for each in dropped), "exactly", size.viewers)
    before, storm, naive = (tally.ms("shopper", each, 99, *COMMERCE) for each in ("before", "storm", "naive"))
    last_ms, at_once_ms = (tally.ms("crowd", each, 100, "enter") for each in ("storm", "naive"))
    stage.marks.figure(
        "the last one back",
        last_ms,
        "at most",
        back.window_ms + LATE_MS,
        unit="ms",
        control=f"the window ends at {back.window_ms} ms; all at once {at_once_ms} ms",
    )
    stage.marks.figure(
        "the shop's p99 of events and replies during the storm",
        storm,
        "at most",
        DEADLINE_MS,
        unit="ms",
        control=f"before {before} ms, all at once {naive} ms",
    )
    stage.figures |= {
        "shop_p99_ms": {"before": before, "storm": storm, "naive": naive},
        "window_ms": back.window_ms,
        "back_ms": {f"p{p}": tally.ms("crowd", "storm", p, "enter") for p in (50, 99, 100)},
        "refused": {name: count for name, count in counts.items() if name.startswith("refused")},
    }
