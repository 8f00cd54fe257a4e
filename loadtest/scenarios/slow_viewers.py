"""One in twenty stops reading, one in twenty reads one megabit a second through a small window.

Rounds alternate, on one server with one audience: A, in which those two groups are slow, and B, in which
they read like everybody else. A busy room plays on, stamped. Everybody else may not notice (p99 of A to B of
the same round), the server's memory stays flat, and when the slow read on again they end in the same state
as the fast.
"""

from __future__ import annotations

import asyncio
from typing import Final

from loadtest.scenarios.stage import Size, Stage, median, ratios

LONG: Final = Size(viewers=2_000, seconds=8, rounds=6)
SHORT: Final = Size(viewers=80, seconds=1)

ROOM: Final = "r1"
SLOW_SHARE: Final = 20
RECEIVE_BUFFER: Final = 16 * 1024
BYTES_PER_S: Final = 1_000_000 // 8
RATIO_MAX: Final = 1.1
MEMORY_MAX: Final = 1.1  # the last round's peak to the first's
EVENTS: Final = ("critical", "danmaku")
STAMP_EVERY: Final = 4


async def play(stage: Stage) -> None:
    size = stage.size
    slow = max(size.viewers // SLOW_SHARE, 2)
    copies = 3 if stage.short else 10
    await stage.open_house(danmaku_per_s=10, danmaku_burst=20)
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
            await swarm.phase(f"{phase}.{k}")
            room = [
                staff.show(size.seconds, per_s=4),
                swarm.chat(size.seconds, copies=copies, group="fast", stamp_every=STAMP_EVERY),
            ]
            if phase == "A":
                await swarm.all("pause", group="stopped")
                throttled = {"group": "throttled", "seconds": size.seconds, "bytes_per_s": BYTES_PER_S}
                await asyncio.gather(*room, swarm.all("throttle", within_s=size.seconds + 60, **throttled))
                peaks.append(stage.used().pss_kb / 1_024)
                await swarm.all("read", group="stopped")
                await swarm.phase("between")
                await swarm.settle(30)
            else:
                await asyncio.gather(*room)
    await swarm.phase("after")
    tally = await stage.closing()

    per_round = ratios(
        stage.rounds_ms(tally, "fast", "A", *EVENTS), stage.rounds_ms(tally, "fast", "B", *EVENTS)
    )
    a, b = (median(stage.rounds_ms(tally, "fast", each, *EVENTS)) for each in "AB")
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
