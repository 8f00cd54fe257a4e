"""A wire to the store on which a script's call or reply can be lost or held, one at a time, on purpose."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType
from urllib.parse import unquote

CHUNK_BYTES = 64 * 1024


class Proxy:
    """``async with Proxy(store.url) as wire``: connect to ``wire.url``. A fault is armed for the next script
    call alone; whatever else goes over the wire passes."""

    def __init__(self, store_url: str) -> None:
        self.lead_to(store_url)
        self.lose_reply = False  # it runs, its reply never comes, the connection breaks
        self.lose_call = False  # it never runs, the connection breaks
        self.keep_reply = False  # it runs, its reply never comes, the connection stays
        self.kept = asyncio.Event()  # such a reply was there
        self.hold_call = False  # it stays on the wire until ``deliver``
        self.held: list[tuple[asyncio.StreamWriter, bytes]] = []
        self._writers: set[asyncio.StreamWriter] = set()
        self._orphans: set[asyncio.StreamWriter] = set()  # their clients have gone, with something held
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"redis://{host}:{port}"

    def lead_to(self, store_url: str) -> None:
        """New connections go there."""
        self._store = unquote(store_url.removeprefix("unix://"))

    async def deliver(self) -> None:
        """What was held arrives at the store, even if nobody waits for its reply any more. Unless the store
        has killed the connection meanwhile."""
        held, self.held = self.held, []
        for upstream, chunk in held:
            with suppress(OSError, RuntimeError):
                upstream.write(chunk)
                await upstream.drain()
                if upstream in self._orphans:
                    upstream.close()

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for writer in self._writers:
            writer.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            from_store, to_store = await asyncio.open_unix_connection(self._store)
        except OSError:
            writer.close()
            return
        self._writers |= {writer, to_store}
        losing, keeping = asyncio.Event(), asyncio.Event()
        for way in (
            self._calls(reader, writer, to_store, losing, keeping),
            self._replies(from_store, writer, losing, keeping),
        ):
            task = asyncio.ensure_future(way)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _calls(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        to_store: asyncio.StreamWriter,
        losing: asyncio.Event,
        keeping: asyncio.Event,
    ) -> None:
        with suppress(OSError, RuntimeError):  # uvloop's word for a dead connection is a RuntimeError
            while chunk := await reader.read(CHUNK_BYTES):
                script = b"\r\nEVAL" in chunk
                if script and self.lose_call:
                    self.lose_call = False
                    break
                if script and self.hold_call:
                    self.hold_call = False
                    self.held.append((to_store, chunk))
                    continue
                if script and self.lose_reply:
                    self.lose_reply = False
                    losing.set()
                if script and self.keep_reply:
                    self.keep_reply = False
                    keeping.set()
                to_store.write(chunk)
        self._cut(writer)
        if any(upstream is to_store for upstream, _ in self.held):
            self._orphans.add(to_store)
        else:
            self._cut(to_store)

    async def _replies(
        self,
        from_store: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        losing: asyncio.Event,
        keeping: asyncio.Event,
    ) -> None:
        with suppress(OSError, RuntimeError):
            while (chunk := await from_store.read(CHUNK_BYTES)) and not losing.is_set():
                if keeping.is_set():
                    self.kept.set()
                else:
                    writer.write(chunk)
        self._cut(writer)

    def _cut(self, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()
        self._writers.discard(writer)
