"""A live room from asyncio.

    async with connect("wss://live.example/v1/live", token) as live:
        room = await live.join("r1")
        print([listing.title for listing in room.mirror.listings])
        async for event in room:
            match event:
                case DanmakuShown(danmaku=comments):
                    for each in comments:
                        print(each.name, each.text)
                case Happened(envelope=Envelope(event=SaleOpened(sale=sale))):
                    outcome = await room.purchase(sale.sale_id, [OrderLine(item_id="red")])
                    print(outcome.outcome, outcome.reservation)

It reconnects by itself and resumes every room where it was: critical events come gapless and once, or as a
``Snapshotted``; a purchase cut off in the middle is asked again with the same command id. Reading slowly
is safe: see ``inbox.py`` for what is merged, dropped (counted) and never lost.

Behind it: ``aio_live.py`` (the session), ``aio_room.py`` (what can be said in a room), ``aio_driver.py`` (the
loop around the I/O-free ``session.py``).
"""

from __future__ import annotations

import random as random_module
from collections.abc import Callable, Sequence
from functools import partial
from ssl import SSLContext
from types import TracebackType
from typing import Literal

from ..codec import CODECS
from .aio_driver import Token
from .aio_live import Live, SessionHappening
from .aio_room import Room
from .errors import (
    CommandRefused,
    ConnectFailed,
    ConnectionEnded,
    LiveError,
    NotConnected,
    NotEntered,
    OutcomeUnknown,
    TooManyInFlight,
)
from .limits import COMMAND_TIMEOUT_MS, OPEN_TIMEOUT_MS
from .websocket import Address

__all__ = [
    "CommandRefused",
    "ConnectFailed",
    "ConnectionEnded",
    "Live",
    "LiveError",
    "NotConnected",
    "NotEntered",
    "OutcomeUnknown",
    "Room",
    "SessionHappening",
    "TooManyInFlight",
    "connect",
]


class connect:
    """``async with connect(url, token) as live``: a session that is welcome, or ``ConnectFailed``.

    ``token``: the token, or a coroutine function that gets a fresh one before each connection. A token that
    has expired ends the session, unless a fresh one can be got.
    ``token_in``: ``"header"``, or ``"command"`` where a proxy eats the Authorization header.
    ``command_timeout_ms``: after it a command's outcome is unknown. ``proxy``: ``True`` is what the
    environment says, ``None`` is no proxy. Leaving the block says goodbye and ends every task.
    """

    def __init__(
        self,
        url: str,
        token: Token,
        *,
        subprotocols: Sequence[str] = tuple(CODECS),
        token_in: Literal["header", "command"] = "header",
        compression: bool = True,
        command_timeout_ms: float = COMMAND_TIMEOUT_MS,
        open_timeout_ms: float = OPEN_TIMEOUT_MS,
        proxy: str | Literal[True] | None = True,
        ssl: SSLContext | None = None,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        self._make = partial(
            Live,
            Address(url, tuple(subprotocols), compression, proxy, ssl),
            token,
            in_header=token_in == "header",
            command_timeout_ms=command_timeout_ms,
            open_timeout_ms=open_timeout_ms,
            random=random,
        )

    async def __aenter__(self) -> Live:
        live = self._live = self._make()
        await live.open()
        return live

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._live.close()
