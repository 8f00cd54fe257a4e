"""One worker, seen from its parent: started with its place's socket, heard until it is ready, ended.

It ends when its parent does, in whichever way (``store/tied.py``).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from liveserver.edge.siblings import socket_path
from liveserver.store.tied import TiedProcess

from .order import SAYS_BYTES_MAX, Order, Ready, hand_over

READY_SECONDS_MAX: Final = 60.0
POLL_S: Final = 0.02

logger = structlog.get_logger(__name__)


class WorkerFailedError(Exception):
    """It ended before it took connections; why stands in its log lines above."""


class Worker:
    """Made by ``start``. ``process`` is its name, once it is ready; ``ended`` is set when it is gone."""

    def __init__(self, tied: TiedProcess, says: int, number: int, generation: int, folder: Path) -> None:
        self.number = number
        self.generation = generation
        self.process = ""
        self.ended = asyncio.Event()
        self.announced = False  # is it meant to end?
        self._tied = tied
        self._folder = folder
        self._began_s = time.monotonic()
        self._is_ready = asyncio.Event()
        self._watching = asyncio.create_task(self._watch(says), name=f"worker {number}")

    @classmethod
    def start(
        cls,
        command: Sequence[str],
        listener: socket.socket,
        settings: dict[str, Any],
        *,
        number: int,
        workers: int,
        generation: int,
        folder: Path,
    ) -> Worker:
        """``command`` takes the order's number as its last argument. Call it on the main thread where you can
        (see ``tied.py``). Raises ``OSError``."""
        says, to_say = os.pipe()
        order_fd = -1
        try:
            order = Order(number, workers, generation, listener.fileno(), to_say, str(folder), settings)
            order_fd = hand_over(order)
            tied = TiedProcess(
                [*command, str(order_fd)],
                log=sys.stderr.buffer,
                pass_fds=(order_fd, listener.fileno(), to_say),
            )
        except BaseException:
            os.close(says)
            raise
        finally:
            os.close(to_say)
            if order_fd >= 0:
                os.close(order_fd)
        return cls(tied, says, number, generation, folder)

    @property
    def name(self) -> str:
        return f"worker {self.number}.{self.generation}"

    @property
    def pid(self) -> int:
        return self._tied.pid

    @property
    def code(self) -> int | None:
        """How it ended; None while it runs."""
        return self._tied.code

    @property
    def lived_ms(self) -> float:
        return (time.monotonic() - self._began_s) * 1000

    async def ready(self) -> None:
        """Return once it takes connections. ``WorkerFailedError``: it ended, or took too long and was ended.
        Cancelled, it goes on."""
        waits = [asyncio.ensure_future(event.wait()) for event in (self._is_ready, self.ended)]
        try:
            await asyncio.wait(waits, timeout=READY_SECONDS_MAX, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if self.ended.is_set():
            raise WorkerFailedError(f"{self.name} ended with {self.code} before it was ready")
        if not self._is_ready.is_set():
            await self.end(0)
            raise WorkerFailedError(f"{self.name} was not ready after {READY_SECONDS_MAX:g} s")

    async def end(self, seconds_max: float) -> None:
        """Have it drain and end; what has not ended by then is killed. Cancelled, it is killed at once."""
        self.announced = True
        self._tied.terminate()
        try:
            async with asyncio.timeout(seconds_max):
                await self.ended.wait()
        except TimeoutError:
            logger.error("worker_killed", worker=self.number, pid=self.pid, after_s=seconds_max)
        finally:
            self._tied.kill()
        await self.ended.wait()

    def kill(self) -> None:
        """With -9, as if it had crashed."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    async def _watch(self, says: int) -> None:
        """Until it is gone."""
        try:
            await self._hear(says)
            while self._tied.code is None:  # noqa: ASYNC110  its pipe ends a moment before it does
                await asyncio.sleep(POLL_S)
        finally:
            if self.process:
                socket_path(self._folder, self.number, self.process).unlink(missing_ok=True)
            self.ended.set()

    async def _hear(self, says: int) -> None:
        lines = asyncio.StreamReader(limit=SAYS_BYTES_MAX)
        pipe = os.fdopen(says, "rb", buffering=0)  # the transport closes it
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), pipe)
        try:
            while line := await lines.readline():
                self.process = msgspec.json.decode(line, type=Ready).process
                self._is_ready.set()
        except (ValueError, msgspec.DecodeError):
            logger.exception("worker_says", worker=self.number)
        finally:
            transport.close()
