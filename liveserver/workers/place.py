"""A place: the worker that has it now; its crash, made good on the same socket; its relief, one for one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from .process import Worker, WorkerFailedError
from .respawn import Respawn

logger = structlog.get_logger(__name__)

Spawn = Callable[[int], Worker]  # the next worker of the place, given its generation
Ended = Callable[[Worker], None]


class GivenUpError(Exception):
    """Its workers end as soon as they are started."""


class Place:
    """``start`` first, then ``keep`` beside everything else; ``relieve`` when the worker is to be another."""

    def __init__(self, number: int, spawn: Spawn, on_ended: Ended, *, end_seconds_max: float) -> None:
        self.number = number
        self.worker: Worker | None = None  # None: not started
        self.coming: Worker | None = None  # started, not ready yet
        self.going: Worker | None = None  # relieved, and drains
        self._spawn = spawn
        self._on_ended = on_ended
        self._end_seconds_max = end_seconds_max
        self._generation = 0
        self._respawn = Respawn()
        self._asked: asyncio.Future[bool] | None = None
        self._wake = asyncio.Event()
        self._over = False  # nobody keeps it any more

    async def start(self) -> None:
        """The first worker. ``WorkerFailedError``."""
        self.worker = await self._next()

    async def keep(self) -> None:
        """Until cancelled. ``GivenUpError`` when worker after worker ends. Either way who waits for a relief
        is told that there is none."""
        try:
            await self._keep()
        finally:
            self._over = True
            if self._asked is not None and not self._asked.done():
                self._asked.set_result(False)

    async def _keep(self) -> None:
        while True:
            assert self.worker is not None
            ended = asyncio.ensure_future(self.worker.ended.wait())
            asked = asyncio.ensure_future(self._wake.wait())
            try:
                await asyncio.wait({ended, asked}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                ended.cancel()
                asked.cancel()
            if self.worker.ended.is_set():
                await self._make_good()
            else:
                await self._relieve()

    async def relieve(self) -> bool:
        """Another worker in place of this one, which drains. False: the new one did not come up, and the old
        one stays; or the place was given up."""
        assert self._asked is None
        if self._over:
            return False
        self._asked = asyncio.get_running_loop().create_future()
        self._wake.set()
        try:
            return await self._asked
        finally:
            self._asked = None

    async def _next(self) -> Worker:
        """A worker that takes connections. ``WorkerFailedError``: its end is noted."""
        self._generation += 1
        try:
            coming = self.coming = self._spawn(self._generation)
        except OSError as error:
            raise WorkerFailedError(f"worker {self.number} can't be started: {error}") from error
        try:
            await coming.ready()
        except WorkerFailedError:
            self._on_ended(coming)
            raise
        self.coming = None
        return coming

    async def _make_good(self) -> None:
        lost = self.worker
        assert lost is not None
        logger.error("worker_lost", worker=self.number, process=lost.process, code=lost.code, pid=lost.pid)
        self._on_ended(lost)
        lived_ms, why = lost.lived_ms, f"{lost.name} ended with {lost.code}"
        while True:
            wait_ms = self._respawn.died(lived_ms)
            if wait_ms is None:
                raise GivenUpError(
                    f"worker {self.number} ended {self._respawn.deaths} times in a row ({why}): "
                    "its log lines above say why"
                )
            await asyncio.sleep(wait_ms / 1000)
            try:
                self.worker = await self._next()
                return
            except WorkerFailedError as error:
                lived_ms, why = 0, str(error)
                logger.error("worker_not_started", worker=self.number, why=why)

    async def _relieve(self) -> None:
        """The new one takes connections of the same socket before the old one stops to: none waits."""
        self._wake.clear()
        old, done = self.worker, self._asked
        assert old is not None and done is not None
        try:
            self.worker = await self._next()
        except WorkerFailedError as error:
            logger.error("worker_not_relieved", worker=self.number, why=str(error))
            if not done.done():
                done.set_result(False)
            return
        # Cancelled, it goes on draining: who ends the place ends it too, in its own time.
        self.going = old
        going = asyncio.ensure_future(old.end(self._end_seconds_max))
        while not going.done():
            lost = asyncio.ensure_future(self.worker.ended.wait())
            try:
                await asyncio.wait({going, lost}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                lost.cancel()
            if self.worker.ended.is_set():  # it, too, while the old one drains: others wait in the queue
                await self._make_good()
        await going
        self.going = None
        self._on_ended(old)
        logger.info("worker_relieved", worker=self.number, by=self.worker.process)
        if not done.done():
            done.set_result(True)
