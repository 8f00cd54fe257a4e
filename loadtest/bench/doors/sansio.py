"""A control: ``python -m loadtest.bench.doors.sansio``.

What one writes with the library's Sans-I/O protocol on uvloop, one object a connection. It knows neither
tokens nor rooms: it is the handshake alone.
"""

from __future__ import annotations

import asyncio
from typing import cast

import uvloop
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

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


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(SansIo, "127.0.0.1", 0, backlog=BACKLOG)
    await answering.answer({"port": server.sockets[0].getsockname()[1]}, [])


if __name__ == "__main__":
    uvloop.run(main())
