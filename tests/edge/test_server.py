"""Starting and stopping inside a running loop."""

from __future__ import annotations

import asyncio
import signal
import socket

import pytest

from liveserver.edge import server as server_module
from liveserver.edge.listening import NOTSENT_LOWAT_BYTES, bound
from liveserver.edge.server import serve
from tests.clock import ManualClock
from tests.edge.conftest import Edge, echo_app
from tests.edge.peers import TEXT, WAIT_SECONDS_MAX, Raw, Recorder, eventually, frame, request

NEVER_S = 3_600


async def test_port_0_is_told_and_signals_are_left_alone() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    serving = await serve(echo_app(), Recorder(), "127.0.0.1", 0, clock=ManualClock())
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert serving.port > 0
    assert serving.url == f"http://127.0.0.1:{serving.port}"
    raw = await Raw.connect(serving.port)
    raw.say(request())
    assert (await raw.answer()).status == 101
    raw.leave()
    await serving.stop()
    await serving.wait()
    again = await serve(echo_app(), Recorder(), "127.0.0.1", serving.port, clock=ManualClock())
    await again.stop()


async def test_a_taken_address_is_an_oserror(edge: Edge) -> None:
    with pytest.raises(OSError, match="in use"):
        await serve(echo_app(), Recorder(), "127.0.0.1", edge.port, clock=ManualClock())


async def test_ipv6() -> None:
    serving = await serve(echo_app(), Recorder(), "::1", 0, clock=ManualClock())
    assert serving.url == f"http://[::1]:{serving.port}"
    plain = socket.create_connection(("::1", serving.port))
    plain.close()
    await serving.stop()


async def test_nothing_runs_on_after_stop() -> None:
    before = asyncio.all_tasks()
    serving = await serve(echo_app(), Recorder(), "127.0.0.1", 0, clock=ManualClock())
    await serving.stop()
    assert asyncio.all_tasks() == before


async def test_it_stops_accepting_and_whoever_else_holds_the_socket_takes_what_comes() -> None:
    listener = bound("127.0.0.1", 0)
    others = listener.dup()
    owner = Recorder()
    serving = await serve(echo_app(), owner, "", 0, clock=ManualClock(), listener=listener)
    raw = await Raw.connect(serving.port)
    await raw.upgrade()
    serving.stop_accepting()
    late = socket.create_connection(("127.0.0.1", serving.port), timeout=WAIT_SECONDS_MAX)
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        taken, _ = await asyncio.get_running_loop().sock_accept(others)
    assert taken.getpeername() == late.getsockname()
    raw.say(frame(TEXT, b"still here"))
    await eventually(lambda: owner.payloads == [b"still here"])
    for one in (taken, late, others):
        one.close()
    raw.leave()
    await serving.stop()


async def test_stop_cuts_who_will_not_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock stands still, so no deadline of the keepalive's helps: the stop's own bound does."""
    monkeypatch.setattr(server_module, "STOP_SECONDS_MAX", 0)
    owner = Recorder()
    serving = await serve(echo_app(), owner, "127.0.0.1", 0, clock=ManualClock())
    raw = await Raw.connect(serving.port)
    await raw.upgrade()
    await serving.stop()
    assert (await raw.frame()).code == 1001
    await raw.ended()
    await eventually(lambda: owner.codes == [1001])
    raw.leave()


async def test_in_a_hurry_stop_cuts_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "STOP_SECONDS_MAX", NEVER_S)
    owner = Recorder()
    serving = await serve(echo_app(), owner, "127.0.0.1", 0, clock=ManualClock())
    raw = await Raw.connect(serving.port)
    await raw.upgrade()
    hurry = asyncio.Event()
    stopping = asyncio.create_task(serving.stop(NEVER_S, hurry))
    await eventually(lambda: owner.sockets[0].closed)
    assert not stopping.done()
    hurry.set()
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        await stopping
    raw.leave()


async def test_a_connection_has_what_its_listener_was_tuned_to(edge: Edge) -> None:
    """Also where the listener is handed in, as a supervisor does; nothing is set for each connection."""
    await edge.upgraded()
    await eventually(lambda: len(edge.owner.sockets) == 1)
    kernel = edge.owner.socket._transport.get_extra_info("socket")
    assert kernel.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
    assert kernel.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == NOTSENT_LOWAT_BYTES


async def test_a_listener_handed_in_is_tuned_too() -> None:
    owner, listener = Recorder(), bound("127.0.0.1", 0)
    serving = await serve(echo_app(), owner, "", 0, clock=ManualClock(), listener=listener)
    raw = await Raw.connect(serving.port)
    await raw.upgrade()
    await eventually(lambda: len(owner.sockets) == 1)
    kernel = owner.socket._transport.get_extra_info("socket")
    assert kernel.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == NOTSENT_LOWAT_BYTES
    raw.leave()
    await serving.stop()
