"""Just enough HTTP/1.1 for the order service: one request, one connection, a bounded answer."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import orjson

ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024
TIMEOUT_S: Final = 5.0


class RestError(Exception):
    pass


async def call(
    host: str, port: int, method: str, path: str, *, token: str = "", key: str = "", body: bytes = b""
) -> tuple[int, bytes]:
    """Status and body. ``key`` is the request's command id, ``body`` JSON. Raises ``RestError`` for
    whatever is no answer in time. Cancelled: it may have been carried out."""
    head = [f"{method} {path} HTTP/1.1", f"Host: {host}:{port}", "Connection: close", "Accept: */*"]
    if token:
        head.append(f"Authorization: Bearer {token}")
    if key:
        head += [f"Idempotency-Key: {key}", f"Content-Length: {len(body)}"]
    if body:
        head.append("Content-Type: application/json")
    try:
        async with asyncio.timeout(TIMEOUT_S):
            reader, writer = await asyncio.open_connection(host, port, limit=ANSWER_BYTES_MAX)
            try:
                writer.write("\r\n".join([*head, "", ""]).encode() + body)
                await writer.drain()
                return await _answer(reader)
            finally:
                writer.close()
    except (OSError, TimeoutError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
        raise RestError(f"{method} {path}: {error or type(error).__name__}") from error


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    status = int(head[0].split(" ")[1])
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return status, await _chunks(reader)
    if "content-length" in headers:
        return status, await reader.readexactly(min(int(headers["content-length"]), ANSWER_BYTES_MAX))
    return status, await reader.read(ANSWER_BYTES_MAX)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while size := int((await reader.readline()).split(b";")[0], 16):
        if len(body) + size > ANSWER_BYTES_MAX:
            raise ValueError("the answer is too long")
        body += await reader.readexactly(size)
        await reader.readline()
    return bytes(body)


def as_json(body: bytes) -> Any:
    """None for what is no JSON."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
