"""Controls: ``python -m loadtest.bench.doors.plain CORE sansio|websockets``.

``sansio`` is what one writes with the library's Sans-I/O protocol on uvloop, one object a connection;
``websockets`` is the library's own server on uvloop, without compression and with its keepalive.
Neither knows tokens or rooms: they are the handshake alone.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import cast

import uvloop
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from loadtest import machine
from loadtest.bench.doors import answering
from protocol.codec import CODECS

BACKLOG = 2048
SUBPROTOCOLS = [Subprotocol(name) for name in CODECS]


class SansIo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._protocol = ServerProtocol(subprotocols=SUBPROTOCOLS)

    def data_received(self, data: bytes) -> None:
        protocol = self._protocol
        protocol.receive_data(data)
        for event in protocol.events_received():
            if isinstance(event, Request):
                protocol.send_response(protocol.accept(event))
        for piece in protocol.data_to_send():
            if piece:
                self._transport.write(piece)


async def main(core: int, kind: str) -> None:
    machine.pin(0, core)
    logging.getLogger("websockets.server").setLevel(logging.CRITICAL)  # which tells of every reset
    loop = asyncio.get_running_loop()
    if kind == "sansio":
        server = await loop.create_server(SansIo, "127.0.0.1", 0, backlog=BACKLOG)
    else:
        library = await serve(
            _listen, "127.0.0.1", 0, subprotocols=SUBPROTOCOLS, compression=None, backlog=BACKLOG
        )
        server = library.server
    await answering.answer({"port": server.sockets[0].getsockname()[1], "tokens": []}, [])


async def _listen(connection: ServerConnection) -> None:
    async for _ in connection:
        pass


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2]))
