"""The program of ``peers/websockets.py``: says its port, broadcasts each line of its input, ends with it."""

from __future__ import annotations

import asyncio
import sys

import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve

from loadtest.bench.peers.port import HOST, SECONDS_MAX

LINE_BYTES_MAX = 1 << 20


async def main() -> None:
    connections: set[ServerConnection] = set()

    async def handle(connection: ServerConnection) -> None:
        connections.add(connection)
        try:
            await connection.wait_closed()
        finally:
            connections.discard(connection)

    reader = asyncio.StreamReader(limit=LINE_BYTES_MAX)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    async with serve(handle, HOST, 0, compression=None, ping_interval=None, backlog=4096) as server:
        print(f'{{"port": {next(iter(server.sockets)).getsockname()[1]}}}', flush=True)
        async with asyncio.timeout(SECONDS_MAX):
            while line := await reader.readline():
                broadcast(connections, line.decode().rstrip("\n"))


if __name__ == "__main__":
    uvloop.run(main())
