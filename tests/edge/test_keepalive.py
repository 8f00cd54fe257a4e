"""Who is pinged, who is cut: on a clock that stands still until the test moves it. Real sockets."""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveserver.edge.keepalive import BEAT_MS, PING_EVERY_MS, PROGRESS_MS_MAX, Keepalive, Wheel
from liveserver.edge.wire import frame_bytes
from tests.clock import ManualClock
from tests.edge.conftest import Edge
from tests.edge.peers import PING, PONG, TEXT, Raw, eventually, frame


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20_000), st.booleans()), max_size=60),
    st.lists(st.integers(1, 7_000), min_size=1, max_size=30),
)
def test_a_wheel_gives_everything_once_and_never_early(
    puts: list[tuple[int, int, bool]], steps: list[int]
) -> None:
    wheel: Wheel[int] = Wheel(0)
    due_ms: dict[int, int] = {}
    for thing, when_ms, taken_back in puts:
        wheel.put(thing, when_ms)
        due_ms[thing] = when_ms
        if taken_back:
            wheel.discard(thing)
            del due_ms[thing]
    now_ms = 0
    for step_ms in [*steps, 30_000]:
        now_ms += step_ms
        for thing in wheel.due(now_ms):
            assert due_ms.pop(thing) <= now_ms
        assert all(when_ms + BEAT_MS > now_ms for when_ms in due_ms.values()), "late by more than a beat"
    assert not due_ms
    assert len(wheel) == 0


async def silent_until(edge: Edge, raw: Raw, duration_ms: int) -> None:
    assert edge.owner.codes == []
    await edge.pass_ms(duration_ms)
    await asyncio.sleep(0.02)


async def test_a_silent_peer_is_pinged_and_then_cut(edge: Edge) -> None:
    raw = await edge.upgraded()
    await silent_until(edge, raw, PING_EVERY_MS + BEAT_MS)
    assert (await raw.frame()).opcode == PING
    await silent_until(edge, raw, PING_EVERY_MS - 2 * BEAT_MS)
    assert edge.owner.codes == []
    await edge.pass_ms(3 * BEAT_MS)
    await eventually(lambda: edge.owner.codes == [1006])
    assert edge.serving.front.keepalive.silent == 1
    assert edge.serving.front.keepalive.sockets == 0


@pytest.mark.parametrize("sign", [frame(PONG), frame(TEXT, b"1")], ids=["pong", "command"])
async def test_any_sign_keeps_a_peer(edge: Edge, sign: bytes) -> None:
    raw = await edge.upgraded()
    for _ in range(5):
        await edge.pass_ms(PING_EVERY_MS * 2 - 1_000)
        raw.say(sign)
        heard = edge.owner.socket.heard_ms
        await eventually(lambda heard=heard: edge.owner.socket.heard_ms > heard)  # type: ignore[misc]
    assert edge.owner.codes == []
    raw.leave()
    await eventually(lambda: edge.owner.codes == [1006])


async def test_a_crowd_is_not_pinged_in_one_beat(edge: Edge) -> None:
    raws = [await edge.upgraded() for _ in range(20)]
    pinged = []
    for _ in range(PING_EVERY_MS // BEAT_MS + 1):
        before = edge.serving.front.keepalive.pinged
        await edge.pass_ms(BEAT_MS)
        pinged.append(edge.serving.front.keepalive.pinged - before)
    assert sum(pinged) >= len(raws)
    assert max(pinged) < len(raws) / 2


async def paused_peer(edge: Edge) -> tuple[Raw, int]:
    raw = await edge.upgraded(receive_bytes=4096)
    await eventually(lambda: len(edge.owner.sockets) == 1)
    written = 0
    while not edge.owner.socket.paused:
        edge.owner.socket.write(frame_bytes(b"x" * 4_000, text=True, deflate=False))
        written += 1
        await asyncio.sleep(0)
    await eventually(lambda: edge.owner.reports[-1] == "paused")
    return raw, written


async def test_no_progress_for_ten_seconds_is_too_slow(edge: Edge) -> None:
    await paused_peer(edge)
    await edge.pass_ms(PROGRESS_MS_MAX - 1_500)
    assert edge.owner.codes == []
    await edge.pass_ms(3_000)
    await eventually(lambda: edge.owner.codes == [4008])
    assert edge.serving.front.keepalive.too_slow == 1


async def read_a_little(edge: Edge, raw: Raw) -> None:
    """Until the server can see it."""
    before = edge.owner.socket.unsent_bytes()
    while edge.owner.socket.unsent_bytes() >= before:
        await raw.reader.readexactly(4_096)
        await asyncio.sleep(0.005)


async def test_a_slow_reader_who_moves_is_left_alone_and_not_pinged(edge: Edge) -> None:
    raw = await edge.upgraded(receive_bytes=4096)
    keepalive = edge.serving.front.keepalive
    await edge.pass_ms(PING_EVERY_MS + BEAT_MS)
    pinged = keepalive.pinged
    assert pinged > 0  # and he never answers
    edge.owner.socket.write(frame_bytes(b"x" * 8_000_000, text=True, deflate=False))
    for _ in range(9):  # 72 s: far longer than the watchdog's ten, and than silence is borne
        await read_a_little(edge, raw)
        await edge.pass_ms(8_000)
        assert edge.owner.socket.paused
    assert edge.owner.codes == []
    assert keepalive.too_slow == keepalive.silent == 0
    assert keepalive.pinged == pinged, "a ping would only queue behind what he does not read"


async def test_who_drained_or_left_is_watched_no_more(edge: Edge) -> None:
    raw, _ = await paused_peer(edge)
    raw.leave()
    await eventually(lambda: edge.owner.codes == [1006])
    await edge.pass_ms(PROGRESS_MS_MAX + 3_000)
    assert edge.serving.front.keepalive.too_slow == 0


async def test_who_was_never_asked_is_asked_before_he_is_cut(edge: Edge) -> None:
    raw = await edge.upgraded()
    keepalive = edge.serving.front.keepalive
    edge.clock._now_ms += 60_000
    keepalive.beat()
    keepalive.beat()
    assert (await raw.frame()).opcode == PING
    assert edge.owner.codes == []


async def test_a_beat_that_comes_late_judges_nobody(edge: Edge) -> None:
    """The process stood still for a minute: what peers said meanwhile is not read yet."""
    raw = await edge.upgraded()
    await edge.pass_ms(PING_EVERY_MS + BEAT_MS)
    keepalive = edge.serving.front.keepalive
    edge.clock._now_ms += 60_000  # at once: nobody wakes on the way
    keepalive.beat()
    await asyncio.sleep(0.02)
    assert edge.owner.codes == []
    raw.say(frame(PONG))
    await eventually(lambda: edge.owner.socket.heard_ms == edge.clock.now_ms())
    keepalive.beat()
    await asyncio.sleep(0.02)
    assert edge.owner.codes == []


async def test_a_failing_beat_does_not_end_the_beating(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock()
    keepalive = Keepalive(clock, random=Random(1))
    beats = []

    def fail() -> None:
        beats.append(clock.now_ms())
        raise RuntimeError("planted")

    monkeypatch.setattr(keepalive, "beat", fail)
    running = asyncio.create_task(keepalive.run())
    for _ in range(3):
        await clock.advance(BEAT_MS)
    running.cancel()
    assert len(beats) == 3
    assert "planted" in caplog.text
