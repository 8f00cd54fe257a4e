"""What a scenario is played on: the server, the swarm, the staff, and what is noted on the way.

A scenario opens what it needs; ``closing`` ends everything, judges what holds of every scenario (nobody lost,
no law broken, one answer to each command, one state in each room, the ledger's own proof, the server's exit),
and leaves nothing running.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from loadtest import machine
from loadtest.report.model import Grid, Line, Plot
from loadtest.scenarios.house import House
from loadtest.scenarios.marks import Marks
from loadtest.scenarios.proc import Use, use
from loadtest.scenarios.staff import Staff, pay
from loadtest.swarm.delays import percentile_of
from loadtest.swarm.swarm import VIEWERS_A_PROCESS, Progress, Swarm
from loadtest.swarm.tally import Tally
from loadtest.swarm.tokens import mint

SAMPLE_S: Final = 1.0
SAMPLES_MAX: Final = 24 * 3_600
SETTLE_S_MAX: Final = 30.0
LOOKS_MAX: Final = 20
LOOK_AGAIN_S: Final = 0.25
TOKEN_TTL_S: Final = 24 * 3_600
MARGIN_S: Final = 400.0  # what a scenario may take beyond its phases


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How much of it: ``seconds`` of one phase, ``rounds`` of the phases."""

    viewers: int
    seconds: float
    rounds: int = 1


class Sample(msgspec.Struct, frozen=True):
    at_s: float  # of the run
    use: Use


class Stage:
    def __init__(
        self, size: Size, *, short: bool, seed: int, workers: int, folder: Path, on_progress: Progress | None
    ) -> None:
        self.size = size
        self.short = short
        self.seed = seed
        self.workers = workers
        self.folder = folder
        self.marks = Marks(short=short)
        self.figures: dict[str, Any] = {}
        self.plots: list[Plot] = []
        self.grids: list[Grid] = []
        self.notes: list[str] = []
        self.samples: list[Sample] = []
        self.house: House
        self.swarm: Swarm  # the first
        self.swarms: list[Swarm] = []
        self.staff: Staff
        self.houses: list[House] = []
        self._on_progress = on_progress
        self._secret = secrets.token_urlsafe(48)
        self._staffed = False
        self._processes = 0  # of all swarms
        self._began_s = time.monotonic()
        self._sampling: asyncio.Task[None] | None = None
        cores = machine.cores()
        apart = len(cores) > 1 and not short
        self._server_core: int | None = cores[0] if apart else None
        self._swarm_core: int | None = cores[-1] if apart else None

    # -- what a scenario opens -------------------------------------------------------------------------

    async def open_house(self, **settings: object) -> House:
        """The server; its settings by their names, as ``danmaku_per_s=50``."""
        given = {name: str(value) for name, value in settings.items()}
        self.house = House(self.folder / f"house{len(self.houses)}", self._secret)
        self.houses.append(self.house)
        await self.house.open(settings=given, workers=self.workers, core=self._server_core)
        self._sampling = asyncio.create_task(self._sample())
        return self.house

    async def open_second_house(self, **settings: object) -> House:
        """Another process on the first one's store."""
        given = {name: str(value) for name, value in settings.items()}
        second = House(self.folder / f"house{len(self.houses)}", self._secret)
        self.houses.append(second)
        await second.open(settings=given, store_url=self.house.store_url, core=self._server_core)
        return second

    async def open_staff(self, rooms: Sequence[str], *, stock: int = 1_000_000) -> Staff:
        token = mint(self._secret, "streamer", "streamer", ["*"], ttl_s=TOKEN_TTL_S)
        self.staff = Staff(self.house.url, token)
        await self.staff.__aenter__()
        self._staffed = True
        await self.staff.enter(rooms, stock=stock)
        return self.staff

    async def open_swarm(self, viewers: int) -> Swarm:
        """As many processes as so many viewers need. A second one is a process apart, so that what it
        measures does not wait for what the first is busy with."""
        processes = -(-viewers // VIEWERS_A_PROCESS)
        host, port, path = self.house.address
        size = self.size
        swarm = await Swarm.start(
            processes,
            host=host,
            port=port,
            path=path,
            secret=self._secret,
            seed=self.seed,
            core=self._swarm_core,
            seconds_max=size.seconds * size.rounds * 8 + MARGIN_S,
            first_index=self._processes,
            on_progress=self._on_progress if not self.swarms else None,
        )
        self._processes += processes
        self.swarms.append(swarm)
        self.swarm = self.swarms[0]
        return swarm

    async def phase(self, name: str) -> None:
        """What is measured from here on belongs to it."""
        await asyncio.gather(*(swarm.phase(name) for swarm in self.swarms))

    async def settle(self, seconds: float = SETTLE_S_MAX) -> int:
        """Until everybody is at the end of his room and has his answers; how many are not, after
        ``seconds``."""
        return sum(await asyncio.gather(*(swarm.settle(seconds) for swarm in self.swarms)))

    async def report(self) -> Tally:
        return Tally([each for swarm in self.swarms for each in await swarm.reports()])

    async def arrived(self, viewers: int, *, within_s: float = SETTLE_S_MAX) -> None:
        """Until everybody is in his room, and a mark of it."""
        late = await self.settle(within_s)
        self.marks.law("viewers who could not come in", late, "exactly", 0, note=f"of {viewers}")

    async def pay(self, reservations: Sequence[str]) -> None:
        """By the order service, and a mark of it."""
        token = mint(self._secret, "service", "service", ["*"], ttl_s=TOKEN_TTL_S)
        paid = await pay(self.house.url, token, reservations)
        self.marks.law("held in time, paid and confirmed", paid, "exactly", len(reservations))

    # -- measuring -------------------------------------------------------------------------------------

    def used(self) -> Use:
        return use(self.house.pid)

    def rounds_ms(
        self, tally: Tally, group: str, phase: str, *kinds: str, percentile: float = 99
    ) -> list[float]:
        """The percentile in each round of a phase (``phase.0``, ``phase.1``, …), milliseconds."""
        each = (tally.ms(group, f"{phase}.{k}", percentile, *kinds) for k in range(self.size.rounds))
        return [ms for ms in each if ms is not None]

    # -- the end ---------------------------------------------------------------------------------------

    async def closing(self) -> Tally:
        """Everybody settles, is counted and goes; the server is verified and drained; the common marks."""
        tally = await self._settled()
        refused = self.staff.refused if self._staffed else []
        verified, *_ = await asyncio.gather(self.house.verify(), *(swarm.all("go") for swarm in self.swarms))
        self.figures["ledger"] = verified.said
        await self._close_opened()
        codes = [
            await house.wait() if not house.running else await house.stop() for house in reversed(self.houses)
        ]
        self._judge(tally, refused)
        self.marks.law("ledger verify's exit code", verified.code, "exactly", 0)
        self.marks.law("servers that ended with another code than 0", sum(map(bool, codes)), "exactly", 0)
        self._draw(tally)
        return tally

    async def _settled(self) -> Tally:
        """Stock may still change (holds end), and its frame be on the way to some: a room is divided only if
        it stays so."""
        for _ in range(LOOKS_MAX):
            missing = await self.settle(SETTLE_S_MAX)
            tally = await self.report()
            if missing or not tally.divided_rooms:
                break
            await asyncio.sleep(LOOK_AGAIN_S)
        return tally

    async def abandon(self) -> None:
        """Whatever is still open, closed; servers told to end, so that they clear away what they made, and
        killed if they don't. After ``closing``: nothing."""
        await self._close_opened()
        await asyncio.gather(*(house.stop() for house in reversed(self.houses) if house.running))

    async def _close_opened(self) -> None:
        if self._sampling is not None:
            self._sampling.cancel()
            self._sampling = None
        await asyncio.gather(*(swarm.end() for swarm in self.swarms))
        self.swarms.clear()
        if self._staffed:
            self._staffed = False
            await self.staff.__aexit__()

    def _judge(self, tally: Tally, refused: list[str]) -> None:
        marks, sums = self.marks, tally.sums
        broken = tally.counters["laws_broken"]
        laws = ", ".join(f"{law} {count}" for law, count in broken.items())
        marks.law("laws broken", sum(broken.values()), "exactly", 0, note=laws)
        marks.law("frames looked at", sums["frames"], "at least", sums["viewers"])
        marks.law("viewers lost", sums["viewers"] - sums["stay"], "exactly", 0)
        marks.law("viewers not at the end of their room", sums["stay"] - sums["at_the_end"], "exactly", 0)
        marks.law("commands without their reply", sums["waiting"], "exactly", 0)
        marks.law(
            "purchases without their one answer", sums["purchases"] - sums["outcomes_known"], "exactly", 0
        )
        divided = tally.divided_rooms
        marks.law(
            "rooms that ended in more than one state", len(divided), "exactly", 0, note=", ".join(divided[:5])
        )
        marks.law("what the streamer was refused", len(refused), "exactly", 0, note="; ".join(refused[:2]))
        self.notes += tally.broken_details
        self.notes += [f"{room} ended as {dict(tally.rooms[room].most_common(3))}" for room in divided[:3]]
        self.figures["swarm"] = {**sums, **{name: dict(each) for name, each in tally.counters.items()}}

    def _draw(self, tally: Tally) -> None:
        rows = []
        for group, phase, kind in tally.heard_of():
            histogram = tally.delays(group, phase, kind)
            values = [tally.ms(group, phase, p, kind) for p in (50, 99, 99.9)]
            count = histogram.get_total_count()
            rows.append([group, phase, kind, str(count), *("" if ms is None else f"{ms:g}" for ms in values)])
        columns = ["viewers", "phase", "of", "count", "p50 ms", "p99 ms", "p99.9 ms"]
        self.grids.append(Grid(title="Delays", columns=columns, rows=rows))
        for group in sorted({group for group, _, _ in tally.heard_of()}):
            seconds = tally.critical_over_time(group)
            if seconds:
                at = sorted(seconds)
                lines = [
                    Line(label=f"p{p}", values=[percentile_of(seconds[second], p) for second in at])
                    for p in (50, 99)
                ]
                x = [float(second - int(self._began_s)) for second in at]
                title = f"Critical events to the viewers “{group}”"
                self.plots.append(Plot(title=title, x_label="s", x=x, y_label="ms", lines=lines))
        if len(self.samples) > 1:
            self.plots.append(_memory(self.samples))
            self.plots.append(_cpu(self.samples))

    async def _sample(self) -> None:
        while len(self.samples) < SAMPLES_MAX:
            self.samples.append(Sample(round(time.monotonic() - self._began_s, 2), self.used()))
            await asyncio.sleep(SAMPLE_S)


def median(values: Sequence[float]) -> float | None:
    return round(statistics.median(values), 3) if values else None


def ratios(of: Sequence[float], to: Sequence[float]) -> list[float]:
    """Round by round: what ran beside each other is compared with each other."""
    return [round(one / other, 3) for one, other in zip(of, to, strict=False) if other]


def _memory(samples: list[Sample]) -> Plot:
    lines = [
        Line(label="server", values=[sample.use.pss_kb / 1_024 for sample in samples]),
        Line(label="store", values=[sample.use.store_pss_kb / 1_024 for sample in samples]),
    ]
    x = [sample.at_s for sample in samples]
    return Plot(title="Memory (PSS)", x_label="s", x=x, y_label="MB", lines=lines)


def _cpu(samples: list[Sample]) -> Plot:
    pairs = list(itertools.pairwise(samples))
    spans = [max(after.at_s - before.at_s, 0.001) for before, after in pairs]
    server = [(b.use.cpu_s - a.use.cpu_s) / span for (a, b), span in zip(pairs, spans, strict=True)]
    store = [
        (b.use.store_cpu_s - a.use.store_cpu_s) / span for (a, b), span in zip(pairs, spans, strict=True)
    ]
    lines = [
        Line(label="server", values=[max(each, 0.0) for each in server]),
        Line(label="store", values=[max(each, 0.0) for each in store]),
    ]
    x = [after.at_s for _, after in pairs]
    return Plot(title="CPU", x_label="s", x=x, y_label="cores", lines=lines)
