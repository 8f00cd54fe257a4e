"""A server that runs, as whoever started it sees it."""

from __future__ import annotations

import asyncio

from liveserver.core.clock import Clock
from liveserver.edge.minting import Minting
from liveserver.edge.server import Serving
from liveserver.edge.tokens import Tokens

from .which_store import Store


class Running(Minting):
    """A server that runs. ``url`` is what clients connect to, ``store_url`` what the store listens on,
    ``process`` its name."""

    def __init__(self, serving: Serving, store: Store, tokens: Tokens, clock: Clock, process: str) -> None:
        super().__init__(tokens, clock.now_ms)
        self.serving = serving
        self.process = process
        self._store = store
        self.http_url = serving.url
        self.url = socket_url(serving.url)
        self.store_url = store.url

    async def wait(self) -> None:
        """Until the server ends. ``StoreLostError`` if the embedded store ended before it."""
        ended = asyncio.create_task(self.serving.wait())
        lost = asyncio.create_task(self._store.lost())
        try:
            await asyncio.wait({ended, lost}, return_when=asyncio.FIRST_COMPLETED)
            for task in (ended, lost):
                if task.done():
                    task.result()
        finally:
            ended.cancel()
            lost.cancel()


def socket_url(http_url: str) -> str:
    return http_url.replace("http", "ws", 1) + "/v1/live"
