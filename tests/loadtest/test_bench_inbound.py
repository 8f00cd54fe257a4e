"""``bench inbound``: what it sends, what it counts, and that a short run measures."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest

from liveserver.edge.frames import FrameReader
from liveserver.edge.wire import frame_bytes
from loadtest import machine
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
