"""What keeps a server from serving, and how it is said."""

from __future__ import annotations

import errno

from redis.exceptions import ConnectionError as StoreConnectionError
from redis.exceptions import RedisError

from liveserver.app import StoreLostError, StoreUnfitError
from liveserver.cli.faults import in_words
from liveserver.store.binary import NoStoreError
from liveserver.store.datadir import DataDirInUseError
from liveserver.store.embedded import StoreStartError
from liveserver.valkey.server import ServerTooOldError
from liveserver.workers.place import GivenUpError
from liveserver.workers.process import WorkerFailedError

CANNOT_SERVE = (
    NoStoreError,
    DataDirInUseError,
    StoreStartError,
    StoreUnfitError,
    StoreLostError,
    ServerTooOldError,
    WorkerFailedError,
    GivenUpError,
    RedisError,
    OSError,
    ValueError,
)


def why(error: Exception, host: str, port: int) -> str:
    """The error, and for an address that can't be had also which, and what to do."""
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return f"{host}:{port} is in use: stop what listens there, or give another --port (0: any free one)"
    if isinstance(error, OSError) and error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this machine: give another --host"
    if isinstance(error, StoreConnectionError):
        return f"no store answers: {error} Start it, or see to --redis-url (LIVESERVER_REDIS_URL)"
    return in_words(error)
