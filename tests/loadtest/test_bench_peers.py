"""The servers ours is measured beside, and the sink in front of them: they deliver, and the sink counts."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from loadtest.bench import cpu
from loadtest.bench.native.build import NotBuiltError, built
from loadtest.bench.peers import all as peers
from loadtest.bench.peers import floor, nats, nchan, npm, ours, ws
from loadtest.bench.peers.port import HOST, NotComparedError, Server, Where
from loadtest.bench.sink import Record, Sink, SinkError, sink, stamp
from loadtest.bench.speaker import RefusedError
from protocol.commands import SendDanmaku

SOCKETS = 40
SAID = 5
QUIET_S_MAX = 10.0
CORE = min(os.sched_getaffinity(0))
WHERE = Where(core=CORE, other_core=max(os.sched_getaffinity(0)), sockets=SOCKETS)
SIZES = [1, 125, 126, 65_535, 65_536, 200_000]  # around every length of a frame's head


@asynccontextmanager
async def crowd(server: Server, count: int = SOCKETS, sample_every: int = 1) -> AsyncIterator[Sink]:
    async with sink(
        HOST, server.port, server.records(count), core=WHERE.other_core, sample_every=sample_every
    ) as made:
        await made.open(count)
        yield made


@pytest.mark.parametrize("name", peers.PEERS)
async def test_everybody_hears_everything(name: str) -> None:
    try:
        async with peers.PEERS[name](WHERE) as server, crowd(server) as listening:
            speaker = await server.speaker("anna") if isinstance(server, ours.Ours) else None
            before = await listening.quiet(QUIET_S_MAX)
            await listening.latency()
            for number in range(SAID):
                text = stamp(time.monotonic_ns())
                if speaker is None:
                    await server.publish(f'{{"text": "{text}"}}'.encode())
                else:
                    speaker.say(SendDanmaku(id=f"d{number}", room=ours.ROOM, text=text))
            after = await listening.quiet(QUIET_S_MAX)
            heard = await listening.latency()
            assert server.version and server.cpu_s() > 0
    except NotComparedError as reason:
        pytest.skip(f"NOT COMPARED: {name}, {reason}")
    assert heard.samples == SAID * SOCKETS  # ours may put several into one frame
    assert 0 < heard.p50_us <= heard.p99_us <= heard.max_us
    if name not in ("ours", "ours_python", "nats"):
        assert after.frames - before.frames == SAID * SOCKETS


async def test_frames_of_every_length_are_counted_as_one() -> None:
    async with floor.start(WHERE) as server, crowd(server, 3) as listening:
        before = await listening.heard()
        for size in SIZES:
            await server.publish(b"x" * size)
        after = await listening.quiet(QUIET_S_MAX)
    heads = [2, 2, 4, 4, 10, 10]
    assert after.frames - before.frames == 3 * len(SIZES)
    assert after.bytes - before.bytes == 3 * (sum(SIZES) + sum(heads))


async def test_a_socket_that_is_refused_is_no_quiet_loss() -> None:
    async with floor.start(WHERE) as server:
        records = iter([Record(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")])  # no key
        async with sink(HOST, server.port, records, core=WHERE.other_core) as listening:
            with pytest.raises(SinkError, match="1 of 1 sockets did not come in"):
                await listening.open(1)


async def test_sockets_lost_on_the_way_are_told() -> None:
    async with sink_of_a_dying_server() as listening:
        with pytest.raises(SinkError, match="2 of 2 sockets were lost"):
            await listening.quiet(QUIET_S_MAX)


@asynccontextmanager
async def sink_of_a_dying_server() -> AsyncIterator[Sink]:
    async with floor.start(WHERE) as server:
        stack = crowd(server, 2)
        listening = await stack.__aenter__()
    try:
        yield listening
    finally:
        await stack.__aexit__(None, None, None)


async def test_what_ours_refuses_is_no_figure() -> None:
    async with ours.start(WHERE) as server:
        speaker = await server.speaker("anna")
        with pytest.raises(RefusedError, match="not_joined"):
            await speaker.ask(SendDanmaku(id="d", room="elsewhere", text="hello"))
        assert await server.metric('liveserver_danmaku_units_total{fate="sampled"}') == 0
        late = await server.lag(0.1)
        assert late["samples"] > 0 and late["p50_ms"] <= late["p99_ms"]
        assert late["own_p99_ms"] >= 0
        speaker.leave()


async def test_the_cpu_of_another_process_is_its_own() -> None:
    async with floor.start(WHERE) as server:
        before = server.cpu_s()
        _busy(0.2)
        assert server.cpu_s() - before < 0.1
    assert cpu.used_s(os.getpid()) == pytest.approx(time.process_time(), abs=0.05)


def _busy(cpu_s: float) -> None:
    until_s = time.process_time() + cpu_s
    while time.process_time() < until_s:
        pass


@pytest.fixture
def empty_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.mark.usefixtures("empty_path")
async def test_what_is_not_here_is_not_compared() -> None:
    with pytest.raises(NotBuiltError, match="no C compiler on PATH"):
        built("floor")
    for start, reason in (
        (floor.start, "no C compiler"),
        (nats.start, "no nats-server"),
        (nchan.start, "no nginx"),
        (ws.start, "no node"),
    ):
        with pytest.raises(NotComparedError, match=reason):
            async with start(WHERE):
                pass
    with pytest.raises(NotComparedError, match="no npm"):
        await npm.package("bun", install=True)
    with pytest.raises(NotComparedError, match="nothing may be installed"):
        await npm.package("bun", install=False)


async def test_a_program_that_does_not_compile_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "cc").write_text("#!/bin/sh\necho this compiler is broken >&2\nexit 1\n")
    (tmp_path / "cc").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(NotBuiltError, match="this compiler is broken"):
        built("floor")
