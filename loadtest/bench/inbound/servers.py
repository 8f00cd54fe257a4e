"""One server to measure: ``python -m loadtest.bench.inbound.servers KIND CORE STORE SENDERS``.

    read        bytes are taken from the socket, and that is all: what the kernel and the loop cost
    decoded     the server's door, its reader and its codec: a checked command, and that is all
    validated   the whole server, but for the handler and its reply: who, may he, how fast
    answered    the whole server
    websockets_decoded, websockets_answered    ``websockets``' asyncio server with the same codec

It says one line of JSON when it listens, then answers each line on its input with the CPU it has used and the
commands (``read``: bytes) it has taken in. It ends when its input does.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final, cast

import orjson
import uvloop
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from liveserver.app import running
from liveserver.cli import collector
from liveserver.cli.logs import configure_logging
from liveserver.commands import dispatch
from liveserver.commands.ports import Context
from liveserver.commands.session import Session
from liveserver.config import Settings
from liveserver.edge.server import serve as serve_edge
from liveserver.edge.socket import Socket
from liveserver.store.server_clock import ServerClock
from loadtest import machine
from loadtest.bench.inbound import load
from protocol.commands import Like, Ping, SendDanmaku
from protocol.replies import Pong

ACCEPTED: Final = (  # to the one key our senders have
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: BACScCJPNqyz+UBoqMH89VmURoA=\r\n\r\n"
)


class Count:
    def __init__(self) -> None:
        self.received = 0


class Listening:
    def __init__(self, url: str, tokens: list[str]) -> None:
        self.url = url
        self.tokens = tokens


class Bare(asyncio.Protocol):
    """Takes the bytes."""

    def __init__(self, count: Count) -> None:
        self._count = count
        self._open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._open:
            self._count.received += len(data)
        else:
            self._open = True
            self._transport.write(ACCEPTED)


class Decoding:
    """A ``SocketOwner`` that makes commands, and nothing of them."""

    def __init__(self, count: Count) -> None:
        self._count = count

    def admits(self) -> int:
        return 0

    def received(self, socket: Socket, payload: bytes) -> None:
        socket.codec.decode_command(payload)
        self._count.received += 1

    def nothing(self, *_: object) -> None:
        pass

    opened = paused = drained = closed = nothing


@asynccontextmanager
async def _read(count: Count, store: str, senders: int) -> AsyncIterator[Listening]:
    server = await asyncio.get_running_loop().create_server(lambda: Bare(count), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield Listening(f"ws://127.0.0.1:{port}", ["-"] * senders)


@asynccontextmanager
async def _decoded(count: Count, store: str, senders: int) -> AsyncIterator[Listening]:
    serving = await serve_edge(None, Decoding(count), "127.0.0.1", 0, clock=ServerClock())
    try:
        yield Listening(serving.url.replace("http", "ws", 1), ["-"] * senders)
    finally:
        await serving.stop()


@asynccontextmanager
async def _answered(count: Count, store: str, senders: int) -> AsyncIterator[Listening]:
    async with running(Settings(port=0, redis_url=store, sessions_max=2 * senders)) as server:
        yield Listening(server.url, [server.mint("viewer", f"sender-{n:05d}") for n in range(senders)])


@asynccontextmanager
async def _validated(count: Count, store: str, senders: int) -> AsyncIterator[Listening]:
    def silent(context: Context, session: Session, command: Any) -> None:
        session.in_flight -= 1  # as if it had been answered
        count.received += 1

    for kind in (Ping, Like, SendDanmaku):
        dispatch.HANDLERS[kind] = silent
    async with _answered(count, store, senders) as listening:
        yield listening


@asynccontextmanager
async def _websockets(count: Count, senders: int, *, answers: bool) -> AsyncIterator[Listening]:
    async def one(connection: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for payload in connection:
                command = load.CODEC.decode_command(cast(str, payload).encode())
                count.received += 1
                if answers:
                    reply = load.CODEC.encode(Pong(id=command.id, t=time.time_ns() // 1_000_000))
                    await connection.send(reply.decode())

    listening = serve(
        one, "127.0.0.1", 0, subprotocols=[Subprotocol(load.CODEC.subprotocol)], compression=None
    )
    async with listening as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield Listening(f"ws://127.0.0.1:{port}", ["-"] * senders)


KINDS: Final[dict[str, Callable[[Count, str, int], Any]]] = {
    "read": _read,
    "decoded": _decoded,
    "validated": _validated,
    "answered": _answered,
    "websockets_decoded": lambda count, store, senders: _websockets(count, senders, answers=False),
    "websockets_answered": lambda count, store, senders: _websockets(count, senders, answers=True),
}
ANSWERING: Final = ("answered", "websockets_answered")
JOINABLE: Final = ("answered", "validated")


async def main(kind: str, core: int, store: str, senders: int) -> None:
    configure_logging(level="error")
    machine.pin(0, core)
    count = Count()
    async with AsyncExitStack() as stack:
        listening = await stack.enter_async_context(KINDS[kind](count, store, senders))
        collector.settle()
        _say(url=listening.url, tokens=listening.tokens, join=kind in JOINABLE)
        loop = asyncio.get_running_loop()
        for _ in itertools.count():
            if not await loop.run_in_executor(None, sys.stdin.readline):
                break
            _say(cpu_s=time.process_time(), received=count.received)


def _say(**what: object) -> None:
    sys.stdout.buffer.write(orjson.dumps(what) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
