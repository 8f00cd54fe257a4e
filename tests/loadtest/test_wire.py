"""The audience's socket, when the server is gone without a word."""

from __future__ import annotations

import asyncio

from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from loadtest.audience.wire import Wire

LIMIT_S = 20
PROTOCOL = Subprotocol("live.v1.json")


async def test_what_is_sent_between_the_end_and_its_notice_is_nothing() -> None:
    """A process that was killed leaves an end of file and no goodbye."""
    ended: asyncio.Future[tuple[str, int]] = asyncio.get_running_loop().create_future()
    heard: list[str | bytes] = []

    async def listens(connection: ServerConnection) -> None:
        heard.extend([message async for message in connection])

    async with (
        asyncio.timeout(LIMIT_S),
        serve(listens, "127.0.0.1", 0, subprotocols=[PROTOCOL]) as server,
    ):
        port = next(iter(server.sockets)).getsockname()[1]
        url = f"ws://127.0.0.1:{port}/v1/live"
        wire = Wire(
            url, PROTOCOL, "token", False, heard.append, lambda by, code: ended.set_result((by, code))
        )
        await wire.open("127.0.0.1", port)
        wire.start()
        wire.eof_received()
        assert not wire.is_open
        wire.send(b"{}", True)
        wire.abort()
        assert await ended == ("lost", 1006)
    assert heard == []
