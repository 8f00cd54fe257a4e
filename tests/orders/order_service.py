"""An order service on loopback that can be as bad as they come. Bytes on a real socket, no framework.

``behave(row, nth)`` says what becomes of the ``nth`` delivery (from 1) of a row. ``effects`` is what a shop
would have: each row once, by its key, in the order of arrival.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

Row = dict[str, Any]
Behave = Callable[[Row, int], "bytes | Awaitable[bytes | None] | None"]

OK = b"HTTP/1.1 204 No Content\r\n\r\n"
GARBAGE = b"\x00\xffSMTP ready, who are you\r\n\r\n"


def answer(status: int, body: str = "", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body.encode())}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


class OrderService:
    def __init__(self) -> None:
        self.url = ""
        self.behave: Behave = lambda row, nth: OK
        self.effects: dict[str, Row] = {}  # rows answered with 2xx, and those taken whose answer was lost
        self.seen: Counter[str] = Counter()  # deliveries, by key
        self.arrived: list[Row] = []  # every delivery, in the order of arrival
        self.heads: list[dict[str, str]] = []
        self.bodies: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
        headers = {name.lower(): value for name, value in fields.items()}
        body = await reader.readexactly(int(headers["content-length"]))
        row: Row = json.loads(body)
        assert headers["idempotency-key"] == row["id"]
        self.heads.append(headers)
        self.bodies.append(body)
        self.seen[row["id"]] += 1
        self.arrived.append(row)
        said = self.behave(row, self.seen[row["id"]])
        if not isinstance(said, bytes | None):
            said = await said
        if said is None:  # it took the row, and its answer is lost
            self.effects.setdefault(row["id"], row)
            writer.transport.abort()
            return False
        if said.startswith(b"HTTP/1.1 2"):
            self.effects.setdefault(row["id"], row)
        writer.write(said)
        await writer.drain()
        return said is not GARBAGE


@asynccontextmanager
async def order_service() -> AsyncIterator[OrderService]:
    service = OrderService()
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0)
    service.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/orders"
    try:
        yield service
    finally:
        server.close()
