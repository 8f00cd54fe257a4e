"""The figures of ``bench flood``: one server, and the same probes while nobody comments, while few do, and
while a flood comes in; in turn, several times."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, Final

import msgspec

from loadtest import machine
from loadtest.bench.child import Child
from loadtest.bench.figures import Figure, at_most, plain, ratios
from loadtest.bench.flood.took import NotMeasuredError, Took
from loadtest.bench.flood.urgent import SERVER, be_urgent
from loadtest.bench.stock.buyer import ANSWER_S_MAX
from loadtest.bench.stock.store import store

TARGET: Final = 1.5  # times the quiet room's p99
QUIET_PER_S: Final = 3
SETTLE_S: Final = 1.0
PARTS: Final = ("ping", "purchase", "critical")


class Size(msgspec.Struct, frozen=True):
    sockets: int
    offered: int
    rounds: int
    seconds: float  # of each arm


class Measured(msgspec.Struct):
    """Lists with one figure of each round, by arm."""

    p99_ms: dict[str, dict[str, list[float]]]  # and by part
    p50_ms: dict[str, dict[str, list[float]]]
    unknown: dict[str, list[int]]  # had no answer in time
    undecided: dict[str, list[int]]  # purchases answered so
    cpu: dict[str, list[float]]  # of the server, as a share of its core
    offered: list[float]
    urgent: bool


async def run(size: Size, seed: int, say: Callable[[str], None]) -> Measured:
    """Gives the cores back as they were when it ends or is cancelled. ``NotMeasuredError``, ``SilentError``
    and ``EndedError`` say what did not come."""
    cores = machine.cores()
    theirs, ours = cores[0], cores[-1]
    machine.pin(0, ours)
    try:
        async with AsyncExitStack() as stack:
            return await _run(stack, size, seed, theirs, ours, say)
    finally:
        machine.pin_all(cores)


async def _run(
    stack: AsyncExitStack, size: Size, seed: int, theirs: int, ours: int, say: Callable[[str], None]
) -> Measured:
    kept = await stack.enter_async_context(store("rooms", ours))
    urgent = [be_urgent(SERVER, kept.pid)]
    server = await Child.start("loadtest.bench.flood.server", str(theirs), kept.url, str(size.sockets))
    stack.push_async_callback(server.end)
    whom = {**await server.answer(), "seed": seed}
    crowd = await Child.start("loadtest.bench.flood.crowd", str(ours))
    stack.push_async_callback(crowd.end)
    crowded = await _asked(crowd, whom)
    probe = await Child.start("loadtest.bench.flood.probe", str(ours))
    stack.push_async_callback(probe.end)
    urgent += [whom["urgent"], crowded["urgent"], (await _asked(probe, whom))["urgent"]]
    say(f"{size.sockets:,} viewers are in the room")
    arms = {"none": 0, "quiet": QUIET_PER_S, "flood": size.offered}
    measured = Measured(
        {arm: {part: [] for part in PARTS} for arm in arms},
        {arm: {part: [] for part in PARTS} for arm in arms},
        {arm: [] for arm in arms},
        {arm: [] for arm in arms},
        {arm: [] for arm in arms},
        [],
        all(urgent),
    )
    for turn in range(size.rounds):
        order = list(arms)[turn % 3 :] + list(arms)[: turn % 3]
        say(f"round {turn + 1} of {size.rounds}: {', '.join(order)}")
        for arm in order:
            await crowd.ask({"per_s": arms[arm]})
            await asyncio.sleep(SETTLE_S)
            before = await server.ask({})
            await crowd.ask({"per_s": arms[arm]})
            began_s = time.monotonic()
            answer = await _asked(probe, {"seconds": size.seconds})
            took = msgspec.convert(answer, dict[str, Took])
            sent = (await crowd.ask({"per_s": 0}))["sent"]
            after = await server.ask({})
            passed_s = time.monotonic() - began_s
            measured.cpu[arm].append((after["cpu_s"] - before["cpu_s"]) / passed_s)
            if arm == "flood":
                measured.offered.append(sent / passed_s)
            for part in PARTS:
                measured.p99_ms[arm][part].append(took[part].percentile(99))
                measured.p50_ms[arm][part].append(took[part].percentile(50))
            measured.unknown[arm].append(sum(part.unknown for part in took.values()))
            measured.undecided[arm].append(took["purchase"].undecided)
    return measured


async def _asked(child: Child, question: dict[str, Any]) -> dict[str, Any]:
    answer = await child.ask(question)
    if "failed" in answer:
        raise NotMeasuredError(answer["failed"])
    return answer


def figures(measured: Measured) -> dict[str, Figure]:
    found: dict[str, Figure] = {}
    p99 = measured.p99_ms
    for part in PARTS:
        found[f"flood_p99_ratio_to_quiet.{part}"] = at_most(
            ratios(p99["flood"][part], p99["quiet"][part]), TARGET
        )
    for part in PARTS:
        for arm in p99:
            found[f"p99_ms.{part}.{arm}"] = plain(p99[arm][part])
            found[f"p50_ms.{part}.{arm}"] = plain(measured.p50_ms[arm][part])
        found[f"quiet_p99_ratio_to_none.{part}"] = plain(ratios(p99["quiet"][part], p99["none"][part]))
    for arm in p99:
        found[f"unknown.{arm}"] = plain(measured.unknown[arm])
        found[f"undecided.{arm}"] = plain(measured.undecided[arm])
    for arm, shares in measured.cpu.items():
        found[f"server_cpu_share.{arm}"] = plain(shares)
    found["offered_per_s"] = plain(measured.offered)
    return found


def facts(measured: Measured) -> list[str]:
    said = [
        "The server, the store and the probes ran before all other programs of the machine."
        if measured.urgent
        else "The machine didn't let the server and the probes run first: other programs move these figures."
    ]
    if any(map(any, measured.unknown.values())):
        said.append(f"Unknown: no answer within {ANSWER_S_MAX:g} s; each is among the times with that much.")
    if any(map(any, measured.undecided.values())):
        said.append("Undecided: purchases that the server answered pending or unavailable.")
    return said
