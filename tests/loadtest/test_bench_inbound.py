"""``bench inbound`` and ``bench flood``: what they send, what they count, and that a short run measures."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from liveserver.edge.frames import FrameReader
from liveserver.edge.wire import frame_bytes
from loadtest import machine
from loadtest.bench.flood import rounds as flood
from loadtest.bench.inbound import load
from loadtest.bench.inbound import rounds as inbound
from loadtest.bench.stock.store import store
from protocol.commands import Like, Ping, SendDanmaku
from protocol.frames import Frame
from protocol.replies import Pong

two_cores = pytest.mark.skipif(len(machine.cores()) < 2, reason="a benchmark needs two cores")


@pytest.mark.parametrize("kind", [load.pings, load.mixed])
def test_what_is_sent_is_what_our_reader_reads(kind: type) -> None:
    reader = FrameReader(load.CODEC, deflate=False)
    reader.feed(b"".join(kind(7)))
    heard = []
    while isinstance(payload := reader.next(), bytes):
        heard.append(load.CODEC.decode_command(payload))
    assert len(heard) == load.COMMANDS
    assert len({command.id for command in heard}) == load.COMMANDS


def test_a_mix_stays_inside_what_a_session_may_send() -> None:
    reader = FrameReader(load.CODEC, deflate=False)
    reader.feed(b"".join(load.mixed(7)))
    heard = [load.CODEC.decode_command(bytes(reader.next() or b"")) for _ in range(load.COMMANDS)]  # type: ignore[arg-type]
    assert [sum(isinstance(one, kind) for one in heard) for kind in (Ping, Like, SendDanmaku)] == [26, 4, 2]


def test_replies_are_counted_and_frames_are_not_however_they_are_split() -> None:
    pong = frame_bytes(load.CODEC.encode(Pong(id="p", t=1)), text=True, deflate=False)
    frame = frame_bytes(load.CODEC.encode(Frame(room="r" * 300, t=1)), text=True, deflate=False)
    stream = pong + frame + b"\x89\x00" + pong
    for cut in range(len(stream)):
        first, rest = load.replies(stream[:cut])
        second, left = load.replies(rest + stream[cut:])
        assert (first + second, left) == (2, b"")


def test_the_promise_is_of_what_was_validated() -> None:
    taken = {arm.name: [80_000.0, 100_000.0, 95_000.0] for arm in inbound.ARMS}
    taken["answered.one_a_read"] = [1.0, 1.0, 1.0]
    figures = inbound.figures(taken)
    assert figures["inbound_per_s"].met is True
    assert figures["per_s.answered.one_a_read"].met is None
    taken["validated.one_a_read"] = [80_000.0] * 3
    assert inbound.figures(taken)["inbound_per_s"].met is False


def test_a_floods_ratio_is_taken_round_by_round() -> None:
    parts = {part: [2.0, 20.0, 4.0] for part in flood.PARTS}
    slow = {part: [3.0, 30.0, 8.0] for part in flood.PARTS}
    measured = flood.Measured(
        {"none": parts, "quiet": parts, "flood": slow},
        {"none": parts, "quiet": parts, "flood": slow},
        {"none": [0.1], "quiet": [0.1], "flood": [0.5]},
        [10_000.0],
        False,
    )
    figures = flood.figures(measured)
    ratio = figures["flood_p99_ratio_to_quiet.ping"]
    assert (ratio.value, ratio.high, ratio.met) == (1.5, 2.0, True)
    assert figures["quiet_p99_ratio_to_none.ping"].value == 1.0


@two_cores
async def test_every_command_is_taken_in_and_answered() -> None:
    cores = machine.cores()
    try:
        async with AsyncExitStack() as stack:
            kept = await stack.enter_async_context(store("rooms", cores[-1]))
            for kind, answered in (("decoded", False), ("validated", False), ("answered", True)):
                pair = await inbound._pair(stack, kind, cores[0], cores[-1], kept.url, 10)
                assert await pair.measure(inbound.Arm(kind, "pings", load.TOGETHER, answered)) > 0
            assert await pair.measure(inbound.Arm("answered", "mixed", load.TOGETHER, True)) > 0
    finally:
        machine.pin_all(cores)


@two_cores
async def test_a_short_flood_is_measured() -> None:
    said: list[str] = []
    async with asyncio.timeout(60):
        measured = await flood.run(flood.Size(20, 200, 1, 0.6), 1, said.append)
    assert all(
        len(measured.p99_ms[arm][part]) == 1 for arm in ("none", "quiet", "flood") for part in flood.PARTS
    )
    assert measured.offered[0] > 0
