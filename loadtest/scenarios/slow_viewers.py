"""One in twenty stops reading, one in twenty reads one megabit a second through a small window.

Rounds alternate, on one server with one audience: A, in which those two groups are slow, and B, in which
they read like everybody else. A very busy room plays on, with more comments than it would ever show, so that
the kernel's buffers can't hold what the slow don't read. Everybody else may not notice (p99 of A to B of the
same round), the server's memory stays flat, and when the slow read on again they end in the same state as
the fast.
"""

from __future__ import annotations

import asyncio
from typing import Final

from loadtest.scenarios.stage import Size, Stage, median, ratios
from protocol.close import Close

LONG: Final = Size(viewers=2_000, seconds=8, rounds=6)
SHORT: Final = Size(viewers=80, seconds=1)

ROOM: Final = "r1"
SLOW_SHARE: Final = 20
RECEIVE_BUFFER: Final = 16 * 1024
BYTES_PER_S: Final = 1_000_000 // 8
RATIO_MAX: Final = 1.1
MEMORY_MAX: Final = 1.1  # the last round's peak to the first's
EVENTS: Final = ("critical", "danmaku")
SAID_PER_S: Final = 300  # lifted, unlike any other: what nobody reads has to be more than the kernel holds
SAID_PER_S_SHORT: Final = 1_500
STAMPED_PER_S: Final = 10


async def play(stage: Stage) -> None:
    size = stage.size
    slow = max(size.viewers // SLOW_SHARE, 2)
    per_s = SAID_PER_S_SHORT if stage.short else SAID_PER_S
    await stage.open_house(danmaku_per_s=100, danmaku_burst=100, danmaku_budget_per_s=10 * per_s)
    staff = await stage.open_staff([ROOM])
    swarm = await stage.open_swarm(size.viewers)
    fast = size.viewers - 2 * slow
    for group, count in (("fast", fast), ("stopped", slow), ("throttled", slow)):
        buffer = 0 if group == "fast" else RECEIVE_BUFFER
        await swarm.come(count, rooms=[ROOM], group=group, over_s=1, receive_buffer=buffer)
    await stage.arrived(size.viewers)

    peaks: list[float] = []
    for k in range(size.rounds):
        for phase in ("A", "B"):
            await stage.phase(f"{phase}.{k}")
            room = [
                staff.show(size.seconds, per_s=4),
                swarm.flood(
                    size.seconds,
                    per_s=per_s,
                    seed=stage.seed + k,
                    group="fast",
                    unique=True,
                    stamp_every=per_s // STAMPED_PER_S,
                ),
            ]
            if phase == "A":
                await swarm.all("pause", group="stopped")
                throttled = {"group": "throttled", "seconds": size.seconds, "bytes_per_s": BYTES_PER_S}
                await asyncio.gather(*room, swarm.all("throttle", within_s=size.seconds + 60, **throttled))
                peaks.append(stage.used().pss_kb / 1_024)
                await swarm.all("read", group="stopped")
                await stage.phase("between")
                await stage.settle(30)
            else:
                await asyncio.gather(*room)
    await stage.phase("after")
    tally = await stage.closing()

    per_round = ratios(
        stage.rounds_ms(tally, "fast", "A", *EVENTS), stage.rounds_ms(tally, "fast", "B", *EVENTS)
    )
    a, b = (median(stage.rounds_ms(tally, "fast", each, *EVENTS)) for each in "AB")
    slow_now = tally.sums["missed_frames"] + tally.counters["closes"][str(Close.TOO_SLOW.value)]
    stage.marks.law("frames the slow were not sent, and cuts", slow_now, "at least", 1)
    stage.marks.law("critical events applied", tally.sums["critical_events"], "at least", size.viewers)
    stage.marks.figure(
        "p99 of everybody else, with slow viewers to without",
        median(per_round),
        "at most",
        RATIO_MAX,
        control=f"p99 ms, median: with {a}, without {b}",
        rounds=per_round,
    )
    stage.marks.figure(
        "memory, last round to first",
        round(peaks[-1] / peaks[0], 3),
        "at most",
        MEMORY_MAX,
        control=f"MB: {', '.join(f'{each:.1f}' for each in peaks)}",
    )
    stage.figures |= {
        "p99_ms": {"with": a, "without": b},
        "memory_mb": peaks,
        "missed_frames": tally.sums["missed_frames"],
        "cut_as_too_slow": tally.counters["closes"]["4008"] + tally.counters["closes"]["1006"],
    }
