"""``liveserver watch ROOM``: a room in the terminal. What it shows is ``watch_view.py``."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live as Screen

from liveserver.cli.parsing import wire_id
from liveserver.cli.speaking import REFUSED, REMEDIES, fail, no_session, with_remedy
from liveserver.cli.target import DEFAULT_URL, TokenFileOption, TokenOption, UrlOption, target
from liveserver.cli.watch_view import Comments, lines, picture, session_line
from protocol.client.aio import CommandRefused, Live, LiveError, Room, connect
from protocol.client.happenings import Disconnected, Welcomed

DRAWS_PER_S = 8


def watch(
    room: Annotated[str, typer.Argument(metavar="ROOM", help="The room's id.")],
    url: UrlOption = DEFAULT_URL,
    token: TokenOption = "",
    token_file: TokenFileOption = None,
    ids: Annotated[bool, typer.Option("--ids", help="Show danmaku ids, for `streamer ROOM delete`.")] = False,
) -> None:
    """Watch a room in the terminal: danmaku, cart, stock, countdown. Into a pipe it writes plain lines.

    Ctrl-C ends it. Exit codes: 0 the room was left, 1 it could not be entered or the session ended for good.

    Example:  liveserver watch r1 --token-file viewer.token
    """
    try:
        wire_id(room)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="ROOM") from None
    where = target(url, token, token_file)
    watching = _Watching(room, on_screen=sys.stdout.isatty(), show_ids=ids)
    try:
        asyncio.run(watching.run(where.socket_url, where.token))
    except CommandRefused as error:
        fail(REFUSED, with_remedy(f"room {room} refused: {error}", REMEDIES.get(error.code, "")))
    except LiveError as error:
        fail(REFUSED, no_session(where.socket_url, error))
    except BrokenPipeError:  # whoever read us has left: `… | head`
        sys.stderr.close()


class _Watching:
    def __init__(self, room_id: str, *, on_screen: bool, show_ids: bool) -> None:
        self._room_id = room_id
        self._on_screen = on_screen
        self._comments = Comments(show_ids=show_ids)
        self._connection = "connecting …"

    async def run(self, url: str, token: str) -> None:
        """Until Ctrl-C, or until the session is over for good (then raises what ended it)."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(name, stop.set)
        stopping = asyncio.create_task(stop.wait())
        watching = asyncio.create_task(self._watch(url, token))
        await asyncio.wait({stopping, watching}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching

    async def _watch(self, url: str, token: str) -> None:
        async with connect(url, token) as live:
            room = await live.join(self._room_id)
            tasks = [asyncio.create_task(self._read(room)), asyncio.create_task(self._read_session(live))]
            if self._on_screen:
                tasks.append(asyncio.create_task(self._draw(live, room)))
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
                for task in done:
                    task.result()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, room: Room) -> None:
        async for happening in room:
            self._comments.take(happening)
            if not self._on_screen:
                for line in lines(happening, room.mirror):
                    print(line, flush=True)

    async def _read_session(self, live: Live) -> None:
        async for happening in live:
            line = session_line(happening)
            if isinstance(happening, Welcomed):
                self._connection = "connected"
            elif isinstance(happening, Disconnected):
                self._connection = line
            if line and not self._on_screen:
                print(line, flush=True)

    async def _draw(self, live: Live, room: Room) -> None:
        console = Console()
        with Screen(console=console, screen=True, auto_refresh=False) as screen:
            while True:
                screen.update(
                    picture(
                        room.mirror,
                        self._comments,
                        connection=self._connection,
                        server_ms=live.server_ms(),
                        width=console.width,
                        height=console.height,
                    ),
                    refresh=True,
                )
                await asyncio.sleep(1 / DRAWS_PER_S)
