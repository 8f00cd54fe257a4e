"""The parent of all workers: it owns the sockets and the store, and does nothing else.

It speaks no WebSocket and touches no room, so nothing a viewer sends can end it. If it is killed all the
same, its workers and its store end with it (``store/tied.py``): never a server that nobody watches over.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import structlog

from liveserver.app import Store, open_store, socket_url, token_config
from liveserver.config import Settings
from liveserver.edge.minting import Minting
from liveserver.edge.tokens import Tokens

from .listening import close, listen
from .place import Place
from .process import Worker

WORKERS_MAX: Final = 64
GRACE_S: Final = 5.0  # beyond the time a worker has to end; then it is killed
EXITS_MAX: Final = 1_000

logger = structlog.get_logger(__name__)


class Exit(NamedTuple):
    """How a worker ended. ``announced``: it was told to."""

    name: str
    process: str
    code: int
    announced: bool


class Supervisor(Minting):
    """Made by ``supervised``. ``exits``: how workers ended, the last ``EXITS_MAX``."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        listeners: list[socket.socket],
        folder: Path,
        command: Sequence[str],
    ) -> None:
        tokens = token_config(settings)
        super().__init__(Tokens(tokens), lambda: int(time.time() * 1000))
        host, self.port = listeners[0].getsockname()[:2]
        self.http_url = f"http://{f'[{host}]' if ':' in host else host}:{self.port}"
        self.url = socket_url(self.http_url)
        self.store_url = store.url
        self.exits: deque[Exit] = deque(maxlen=EXITS_MAX)
        self._store = store
        self._listeners = listeners
        self._workers_settings = {
            **settings.model_dump(mode="json"),
            "port": self.port,
            "redis_url": store.url,
            "data_dir": None,  # the store in it is ours
            "journal_dir": str(settings.journal_folder) if settings.journal_folder else None,
            "secret": tokens.secret or "",
        }
        self._end_seconds_max = settings.drain_seconds + GRACE_S
        self._rolling = False
        self.places = [
            Place(
                number,
                partial(self._spawn, list(command), listener, folder, number, len(listeners)),
                self._ended,
                end_seconds_max=self._end_seconds_max,
            )
            for number, listener in enumerate(listeners)
        ]
        self._keeping: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Return when every place has a worker that takes connections. ``WorkerFailedError``: one did not."""
        await asyncio.gather(*(place.start() for place in self.places))
        self._keeping = [
            asyncio.create_task(place.keep(), name=f"place {place.number}") for place in self.places
        ]

    async def wait(self) -> None:
        """Never returns. ``GivenUpError``: workers end as soon as they are started. ``StoreLostError``."""
        lost = asyncio.create_task(self._store.lost())
        try:
            done, _ = await asyncio.wait({lost, *self._keeping}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            lost.cancel()

    async def roll(self) -> bool | None:
        """Relieve every worker, one after the other. False: a new one did not come up; the old ones that are
        left stay. None: they are being relieved already, and nothing more is done."""
        if self._rolling:
            logger.warning("rolling_already")
            return None
        self._rolling = True
        try:
            for place in self.places:
                if not await place.relieve():
                    return False
            return True
        finally:
            self._rolling = False

    def workers(self) -> list[Worker]:
        """All that were started and whose end is not noted yet."""
        noted = {exited.name for exited in self.exits}
        found = [worker for place in self.places for worker in (place.worker, place.coming, place.going)]
        return [worker for worker in found if worker is not None and worker.name not in noted]

    async def end(self) -> None:
        """All drain at once and end; who takes too long is killed. Who connects from now on is refused, for
        nobody would answer. Cancelled, all are killed."""
        close(self._listeners)
        for task in self._keeping:
            task.cancel()
        await asyncio.gather(*self._keeping, return_exceptions=True)
        ending = self.workers()
        try:
            await asyncio.gather(*(worker.end(self._end_seconds_max) for worker in ending))
        finally:
            for worker in ending:
                self._ended(worker)

    def _spawn(
        self,
        command: list[str],
        listener: socket.socket,
        folder: Path,
        number: int,
        workers: int,
        generation: int,
    ) -> Worker:
        settings: dict[str, Any] = self._workers_settings
        return Worker.start(
            command, listener, settings, number=number, workers=workers, generation=generation, folder=folder
        )

    def _ended(self, worker: Worker) -> None:
        assert worker.code is not None
        self.exits.append(Exit(worker.name, worker.process, worker.code, worker.announced))


@asynccontextmanager
async def supervised(
    settings: Settings,
    workers: int,
    command: Sequence[str],
    *,
    on_loading: Callable[[float], None] | None = None,
) -> AsyncIterator[Supervisor]:
    """``workers`` processes behind one address, on one store. ``command`` starts one (see ``Worker.start``).
    Leaving the context drains and ends all of it, the embedded store last."""
    assert 1 <= workers <= WORKERS_MAX
    async with AsyncExitStack() as stack:
        listeners = listen(settings.host, settings.port, workers)
        stack.callback(close, listeners)
        folder = Path(tempfile.mkdtemp(prefix="liveserver-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        store = await open_store(settings, stack, on_loading)
        supervisor = Supervisor(settings, store, listeners, folder, command)
        stack.push_async_callback(supervisor.end)
        await supervisor.start()
        logger.info("supervising", url=supervisor.http_url, workers=workers)
        yield supervisor
