"""A wire to the store on which a script's call or reply can be lost or held, one at a time, on purpose."""

from __future__ import annotations

import asyncio
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
        self.hold_call = False  # it stays on the wire until ``deliver``
        self.held: list[tuple[asyncio.StreamWriter, bytes]] = []
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"redis://{host}:{port}"

    def lead_to(self, store_url: str) -> None:
        """New connections go there."""
        self._store = unquote(store_url.removeprefix("unix://"))

    async def deliver(self) -> None:
        """What was held arrives at the store, even if nobody waits for its reply any more."""
        for upstream, chunk in self.held:
            upstream.write(chunk)
            await upstream.drain()
        self.held.clear()

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
        self._writers += (writer, to_store)
        losing = asyncio.Event()
        for way in (self._calls(reader, writer, to_store, losing), self._replies(from_store, writer, losing)):
            task = asyncio.ensure_future(way)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _calls(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        to_store: asyncio.StreamWriter,
        losing: asyncio.Event,
    ) -> None:
        while chunk := await reader.read(CHUNK_BYTES):
            script = b"\r\nEVAL" in chunk
            if script and self.lose_call:
                self.lose_call = False
                writer.transport.abort()
                return
            if script and self.hold_call:
                self.hold_call = False
                self.held.append((to_store, chunk))
                continue
            if script and self.lose_reply:
                self.lose_reply = False
                losing.set()
            to_store.write(chunk)

    async def _replies(
        self, from_store: asyncio.StreamReader, writer: asyncio.StreamWriter, losing: asyncio.Event
    ) -> None:
        try:
            while chunk := await from_store.read(CHUNK_BYTES):
                if losing.is_set():
                    writer.transport.abort()
                    return
                writer.write(chunk)
        except OSError:
            pass
        finally:
            writer.close()  # the store has gone
