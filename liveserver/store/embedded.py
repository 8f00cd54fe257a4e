"""A private Valkey inside this program: started on a unix socket, ended with us.

Knows how one is started, watched while it loads, and ended. Does not know what is kept in it.

What holds: no TCP port is opened; the socket is ours alone (0700 directory, 0700 socket); every
acknowledged write is on disk (``appendfsync always``, unless a test asks for less); nothing is ever
evicted; the store ends when this process ends, in whichever way (``tied.py``); two programs never share
a data directory (``datadir.py``).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Literal
from urllib.parse import quote

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, RedisError

from liveserver.store.binary import ServerBinary, find_binary
from liveserver.store.datadir import DataDir, DataDirInUseError
from liveserver.store.tied import TiedProcess

Fsync = Literal["always", "everysec", "no"]

CLAIM_WAIT_S = 3.0  # a store whose parent was killed a moment ago needs this long at most to let go
SILENCE_MAX_S = 15.0  # without an answer, or without progress of loading
SHUTDOWN_MAX_S = 5.0  # after SHUTDOWN; then SIGTERM
TERMINATE_MAX_S = 2.0  # after SIGTERM; then SIGKILL
_POLL_S = 0.02
_ASK_TIMEOUT_S = 1.0
_LOG_LINES_SHOWN = 12
_LOG_TAIL_BYTES = 8192


class StoreStartError(Exception):
    """The embedded store did not come up. The text ends with the last lines it logged."""


class EmbeddedValkey:
    """A running private store. Made by ``start``; not bound to the event loop that started it."""

    def __init__(self, binary: ServerBinary, home: DataDir, process: TiedProcess) -> None:
        self.binary = binary
        self._home = home
        self._process = process
        self._stopped = False

    @classmethod
    async def start(
        cls,
        data_dir: Path | None = None,
        *,
        binary: ServerBinary | None = None,
        fsync: Fsync = "always",
        on_loading: Callable[[float], None] | None = None,
        watchdog: bool | None = None,
    ) -> EmbeddedValkey:
        """Returns when the store answers and has loaded its data.

        ``data_dir=None`` keeps everything in a temporary directory that ``stop`` removes. ``on_loading``
        is called with the percentage loaded while a long log is read. Call it on the main thread where
        you can (see ``tied.py``).

        Raises ``NoStoreError``, ``DataDirInUseError``, ``StoreStartError``. Cancelled or failed, it leaves
        no process and no lock behind.
        """
        binary = binary or find_binary(os.environ)
        home = await _claim(data_dir)
        try:
            process = _spawn(binary, home, fsync, watchdog)
        except BaseException:
            home.release()
            raise
        store = cls(binary, home, process)
        try:
            await store._until_ready(on_loading or (lambda percent: None))
        except BaseException:
            store.kill()
            raise
        return store

    @property
    def url(self) -> str:
        """For ``redis.Redis.from_url``."""
        return f"unix://{quote(str(self._home.socket_path))}"

    @property
    def pid(self) -> int:
        """The store's own process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.alive

    @property
    def data_dir(self) -> Path:
        return self._home.path

    @property
    def log_path(self) -> Path:
        return self._home.path / "valkey.log"

    async def stop(self) -> None:
        """SHUTDOWN, then SIGTERM, then SIGKILL, each after a bounded wait; gives the directory back.

        May be called twice. Cancelled, it ends the store at once and is as complete.
        """
        if self._stopped:
            return
        try:
            if self.alive:
                await self._ask_to_shut_down()
                await self._gone_within(SHUTDOWN_MAX_S)
            if self.alive:
                self._process.terminate()
                await self._gone_within(TERMINATE_MAX_S)
        finally:
            self.kill()

    def kill(self) -> None:
        """Ends the store at once, with SIGKILL, and gives the directory back."""
        if self._stopped:
            return
        self._stopped = True
        self._process.kill()
        self._home.release()

    async def __aenter__(self) -> EmbeddedValkey:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _client(self) -> Redis:
        return Redis(
            unix_socket_path=str(self._home.socket_path),
            socket_timeout=_ASK_TIMEOUT_S,
            socket_connect_timeout=_ASK_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )

    async def _until_ready(self, on_loading: Callable[[float], None]) -> None:
        loop = asyncio.get_running_loop()
        last_sign, loaded = loop.time(), -1.0
        client = self._client()
        try:
            while True:
                if not self.alive:
                    raise StoreStartError(f"the store ended while starting\n{self._last_lines()}")
                try:
                    await client.ping()
                    return
                except BusyLoadingError:
                    percent = await _loaded_percent(client)
                    if percent > loaded:
                        last_sign, loaded = loop.time(), percent
                        on_loading(percent)
                except (RedisError, OSError):
                    pass  # not listening yet
                if loop.time() - last_sign > SILENCE_MAX_S:
                    raise StoreStartError(f"the store does not answer\n{self._last_lines()}")
                await asyncio.sleep(_POLL_S)
        finally:
            await client.aclose()

    async def _ask_to_shut_down(self) -> None:
        client = self._client()
        try:
            await client.shutdown()
        except (RedisError, OSError):
            pass  # the connection closing is the good answer; a bad one is followed by a signal
        finally:
            await client.aclose()

    async def _gone_within(self, limit_s: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + limit_s
        while True:
            if not self.alive or loop.time() >= deadline:
                return
            await asyncio.sleep(_POLL_S)

    def _last_lines(self) -> str:
        with open(self.log_path, "rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - _LOG_TAIL_BYTES))
            lines = log.read().decode("utf-8", "replace").splitlines()
        return "\n".join(
            [f"  {self.binary.path} ({self.binary.origin}), log {self.log_path}:"]
            + [f"  | {line}" for line in lines[-_LOG_LINES_SHOWN:]]
        )


async def _claim(data_dir: Path | None) -> DataDir:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + CLAIM_WAIT_S
    while True:
        try:
            return DataDir(data_dir)
        except DataDirInUseError:
            if loop.time() >= deadline:
                raise
        await asyncio.sleep(_POLL_S)


def _spawn(binary: ServerBinary, home: DataDir, fsync: Fsync, watchdog: bool | None) -> TiedProcess:
    options = {
        "port": "0",
        "unixsocket": str(home.socket_path),
        "unixsocketperm": "700",
        "dir": str(home.path),
        "appendonly": "yes",
        "appendfsync": fsync,
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "logfile": "",
    }
    argv = [str(binary.path.absolute())]
    for name, setting in options.items():
        argv += [f"--{name}", setting]
    log_path = home.path / "valkey.log"
    if log_path.exists():
        log_path.replace(log_path.with_suffix(".log.1"))  # one life's log is kept
    with open(log_path, "wb") as log:
        return TiedProcess(argv, log=log, pass_fds=(home.lock_fd,), watchdog=watchdog)


async def _loaded_percent(client: Redis) -> float:
    try:
        figures = await client.info("persistence")
    except (RedisError, OSError):
        return -1.0
    return float(figures.get("loading_loaded_perc", -1.0))
