"""The order service's HTTP, against a real socket that answers by the book and against ones that don't."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from loadtest.audience import rest

Answering = Callable[[bytes], Awaitable[int]]


@pytest.fixture
async def answering() -> AsyncIterator[Answering]:
    """``await answering(bytes)``: the port of a server that says these bytes and hangs up. What it was
    asked is in ``asked``."""
    servers: list[asyncio.Server] = []

    async def start(says: bytes) -> int:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(says)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        servers.append(server)
        port: int = server.sockets[0].getsockname()[1]
        return port

    asked.clear()
    yield start
    for server in servers:
        server.close()


asked: list[bytes] = []


@pytest.mark.parametrize(
    "says",
    [
        b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
        b"HTTP/1.1 201 Created\r\n\r\n{}",
    ],
    ids=["length", "chunked", "until it hangs up"],
)
async def test_an_answer_is_read_however_it_is_framed(answering: Answering, says: bytes) -> None:
    port = await answering(says)
    assert await rest.call("127.0.0.1", port, "POST", "/x", token="t", key="k-1") == (201, b"{}")
    assert b"POST /x HTTP/1.1\r\n" in asked[0]
    assert b"Authorization: Bearer t\r\n" in asked[0] and b"Idempotency-Key: k-1\r\n" in asked[0]


@pytest.mark.parametrize(
    "says",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n",
        b"no http at all\r\n\r\n",
    ],
    ids=["nothing", "torn", "too long", "another language"],
)
async def test_what_is_no_answer_is_an_error(answering: Answering, says: bytes) -> None:
    port = await answering(says)
    with pytest.raises(rest.RestError):
        await rest.call("127.0.0.1", port, "GET", "/x")


async def test_nobody_there_is_an_error() -> None:
    server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    with pytest.raises(rest.RestError):
        await rest.call("127.0.0.1", port, "GET", "/x")
