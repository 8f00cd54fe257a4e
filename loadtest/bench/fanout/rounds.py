"""The rounds of ``bench fanout``, for each number of sockets: every server in turn, part by part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from loadtest import machine
from loadtest.bench.fanout import frames, lag, rooms
from loadtest.bench.fanout.frames import FrameRound
from loadtest.bench.fanout.happenings import BUSY, QUIET
from loadtest.bench.fanout.lag import LagRound
from loadtest.bench.fanout.rooms import RoomRound
from loadtest.bench.fanout.stage import Stage, company
from loadtest.bench.peers.port import Where

LAG_SOCKETS: Final = 5_000
ROOM_PEERS: Final = ("ours", "bun")  # a busy room is more than the others are asked for


class Size(msgspec.Struct, frozen=True):
    """How much is done."""

    sockets: list[int]
    lag_sockets: int
    rounds: int
    broadcasts: int  # of a round
    busy_s: int
    quiet_s: int
    lag_s: float


FULL: Final = Size([2_000, 10_000], LAG_SOCKETS, 5, 12, 4, 6, 3.0)
QUICK: Final = Size([200], 200, 2, 4, 1, 1, 0.9)


class Measured(msgspec.Struct):
    """By name of the server, one of each round."""

    sockets: int
    versions: dict[str, str]
    missing: dict[str, str]
    frames: list[dict[str, FrameRound]]
    busy: list[dict[str, RoomRound]]
    quiet: list[dict[str, RoomRound]]


class Run(msgspec.Struct):
    size: Size
    at: list[Measured]
    lag: list[LagRound]


async def run(
    size: Size, peers: list[str], parts: list[str], seed: int, install: bool, say: Callable[[str], None]
) -> Run:
    """Needs two cores, and gives them back as they were when it ends or is cancelled."""
    cores = machine.cores()
    machine.pin(0, cores[-1])
    try:
        made = Run(size, [], [])
        if {"frames", "busy", "quiet"} & set(parts):
            for sockets in size.sockets:
                where = Where(cores[0], cores[-1], sockets, install)
                made.at.append(await _measure(size, peers, parts, seed, where, say))
        if "lag" in parts:
            where = Where(cores[0], cores[-1], size.lag_sockets, install)
            made.lag = await _lag(size, where, say)
        return made
    finally:
        machine.pin_all(cores)


async def _measure(
    size: Size, peers: list[str], parts: list[str], seed: int, where: Where, say: Callable[[str], None]
) -> Measured:
    wanted = peers if "frames" in parts else [name for name in peers if name in ROOM_PEERS]
    async with company(wanted, where, say) as there:
        stages = list(there.stages.values())
        made = Measured(
            where.sockets,
            {stage.name: stage.server.version for stage in stages},
            there.missing,
            [],
            [],
            [],
        )
        in_rooms = [stage for stage in stages if stage.name in ROOM_PEERS]
        for turn in range(size.rounds):
            say(f"{where.sockets:,} sockets: round {turn + 1} of {size.rounds}")
            if "frames" in parts:
                made.frames.append(await frames.play(stages, turn, size.broadcasts))
            if "busy" in parts:
                busy = await rooms.play(in_rooms, BUSY, size.busy_s, turn, seed, both_ways=True)
                made.busy.append(busy)
            if "quiet" in parts:
                quiet = await rooms.play(in_rooms, QUIET, size.quiet_s, turn, seed, both_ways=False)
                made.quiet.append(quiet)
        return made


async def _lag(size: Size, where: Where, say: Callable[[str], None]) -> list[LagRound]:
    async with company(["ours"], where, say) as there:
        stage: Stage = there.stages["ours"]
        rounds = []
        for turn in range(size.rounds):
            say(f"the loop's lag: round {turn + 1} of {size.rounds}")
            rounds.append(await lag.play(stage, size.lag_s))
        return rounds
