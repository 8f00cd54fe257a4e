"""The loop around a session: one socket after the other, bytes in, bytes out, time.

Knows sockets, tasks and the event loop's clock. Doesn't know what happenings mean, but for ``GaveUp``:
everything else goes to ``tell``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from websockets.exceptions import ConnectionClosed

from ..close import Close
from ..codec import Codec
from ..errors import NotOurs
from .happenings import GaveUp, Happening
from .session import Session
from .websocket import CLOSE_TIMEOUT_S, Address, HeardConnection, Refused, open_socket

Token = str | Callable[[], Awaitable[str]]


class Driver:
    def __init__(
        self,
        session: Session,
        address: Address,
        token: Token,
        *,
        in_header: bool,
        open_timeout_ms: float,
        tell: Callable[[list[Happening]], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """``tell`` gets what happened, in order; ``failed`` what ended the loop unforeseen (a token that
        can't be had, or a mistake of ours)."""
        self._session = session
        self._address = address
        self._token = token
        self._in_header = in_header
        self._open_timeout_ms = open_timeout_ms
        self._tell_application = tell
        self._failed = failed
        self._to_write = asyncio.Event()
        self._timer_moved = asyncio.Event()
        self._websocket: HeardConnection | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.refusal = ""  # why the last handshake came to nothing

    def now_ms(self) -> float:
        return asyncio.get_running_loop().time() * 1_000

    def start(self) -> None:
        self._tasks = [
            asyncio.create_task(self._guard(self._connect())),
            asyncio.create_task(self._guard(self._watch_time())),
        ]

    async def stop(self) -> None:
        """End every task and the socket, with a goodbye of at most five seconds. Cancelled: the socket is
        cut."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def touch(self) -> None:
        """The session was spoken to: it may have bytes to send, or another time to wake."""
        self._to_write.set()
        self._timer_moved.set()

    async def _guard(self, loop: Awaitable[None]) -> None:
        try:
            await loop
        except Exception as error:
            self._failed(error)

    async def _connect(self) -> None:
        """Connect, pump, come back, until the session says it is over."""
        session = self._session
        while True:
            await self._connect_once()
            if session.reconnect_at_ms is None:
                return
            await asyncio.sleep(max(0.0, session.reconnect_at_ms - self.now_ms()) / 1_000)

    async def _connect_once(self) -> None:
        token = self._token if isinstance(self._token, str) else await self._token()
        self._session.token = "" if self._in_header else token
        try:
            websocket, codec = await open_socket(
                self._address, token if self._in_header else "", self._open_timeout_ms
            )
        except Refused as refused:
            self.refusal = str(refused)
            self._tell(
                self._session.refused(self.now_ms(), comes_back=refused.comes_back, retry_ms=refused.retry_ms)
            )
            return
        websocket.on_frame = lambda: self._session.heard(self.now_ms())
        self._websocket = websocket
        self._session.connected(self.now_ms(), codec)
        self.touch()
        code: int = Close.ABNORMAL
        try:
            code = await self._pump(websocket, codec)
        finally:
            self._websocket = None
            self._tell(self._session.disconnected(code, self.now_ms()))

    async def _pump(self, websocket: HeardConnection, codec: Codec) -> int:
        """Until the connection ends; its close code. Cancelled: the goodbye is said."""
        reader = asyncio.create_task(self._read(websocket))
        writer = asyncio.create_task(self._write(websocket, codec))
        code: int = Close.NORMAL
        try:
            done, _ = await asyncio.wait({reader, writer}, return_when=asyncio.FIRST_COMPLETED)
            code = (reader if reader in done else writer).result()
            return code
        finally:
            reader.cancel()
            writer.cancel()
            await asyncio.gather(reader, writer, return_exceptions=True)
            await _close(websocket, code if code == Close.INVALID_DATA else Close.NORMAL)

    async def _read(self, websocket: HeardConnection) -> int:
        try:
            while True:
                payload = await websocket.recv(decode=False)
                self._tell(self._session.receive(payload, self.now_ms()))
                self.touch()
        except ConnectionClosed:
            return websocket.close_code or Close.ABNORMAL
        except NotOurs:
            return Close.INVALID_DATA

    async def _write(self, websocket: HeardConnection, codec: Codec) -> int:
        try:
            while True:
                self._to_write.clear()
                for payload in self._session.payloads_to_send():
                    await websocket.send(payload, text=codec.text)
                await self._to_write.wait()
        except ConnectionClosed:
            return websocket.close_code or Close.ABNORMAL

    async def _watch_time(self) -> None:
        while True:
            self._timer_moved.clear()
            wake_ms = self._session.wake_at_ms()
            delay_s = None if wake_ms is None else max(0.0, wake_ms - self.now_ms()) / 1_000
            try:
                async with asyncio.timeout(delay_s):
                    await self._timer_moved.wait()
            except TimeoutError:
                self._tell(self._session.tick(self.now_ms()))
                self._to_write.set()

    def _tell(self, happenings: list[Happening]) -> None:
        if any(isinstance(each, GaveUp) for each in happenings):
            assert self._websocket is not None
            self._websocket.transport.abort()
        if happenings:
            self._tell_application(happenings)


async def _close(websocket: HeardConnection, code: int) -> None:
    """Say goodbye, or cut. A peer that does not read can't hold us."""
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await websocket.close(code)
    except TimeoutError:
        pass
    finally:
        websocket.transport.abort()
