"""One message to everybody after the other: the next when everybody has the last, and a tick has passed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from loadtest.bench.sink import Heard, SinkError

PERIOD_S: Final = 0.11  # longer than a tick of ours
LOOK_S: Final = 0.005
HEARD_S_MAX: Final = 30.0


class Listening(Protocol):
    @property
    def sockets(self) -> int: ...

    async def heard(self) -> Heard: ...


async def paced(says: Callable[[], Awaitable[None]], count: int, listening: Listening) -> None:
    """A tick of ours lasts twice its broadcast at least: so each message is a frame of its own, with any
    server and at any number of sockets. ``SinkError`` where one never came."""
    for _ in range(count):
        wanted = (await listening.heard()).frames + listening.sockets
        began_s = time.monotonic()
        await says()
        while (await listening.heard()).frames < wanted:
            if time.monotonic() > began_s + HEARD_S_MAX:
                raise SinkError(f"not everybody had heard a message {HEARD_S_MAX:.0f} s later")
            await asyncio.sleep(LOOK_S)
        took_s = time.monotonic() - began_s
        await asyncio.sleep(max(PERIOD_S - took_s, took_s + LOOK_S))
