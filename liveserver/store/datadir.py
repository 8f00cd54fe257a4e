"""The directory an embedded store keeps its files in: made private, locked, and given a socket's place.

The lock is an ``flock`` whose descriptor the store itself inherits, so it is held as long as *either*
lives: a parent killed with -9 whose store still shuts down does not let a second store in.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import tempfile
from pathlib import Path

SOCKET_PATH_BYTES_MAX = 100  # sun_path holds 108 bytes on Linux, 104 on macOS

_LOCK_FILE = "liveserver.lock"
_SOCKET = "valkey.sock"
_APPEND_ONLY = "appendonlydir"


class DataDirInUseError(Exception):
    """Another server holds this data directory."""


class DataDir:
    """One data directory, claimed. ``release`` gives everything back; it may be called twice.

    ``path=None`` takes a temporary directory, removed on release.
    """

    def __init__(self, path: Path | None) -> None:
        """Makes the directory (0700) and locks it. Raises ``DataDirInUseError``, ``OSError``."""
        self._remove: list[Path] = []
        if path is None:
            self.path = self._temporary()
        else:
            self.path = path.absolute()
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self.lock_fd = _lock(self.path)
        except BaseException:
            self._clear()
            raise
        self.socket_path = self.path / _SOCKET
        if len(os.fsencode(self.socket_path)) > SOCKET_PATH_BYTES_MAX:
            self.socket_path = self._temporary() / _SOCKET

    def release(self) -> None:
        if self.lock_fd >= 0:
            os.close(self.lock_fd)
            self.lock_fd = -1
        self._clear()

    def _temporary(self) -> Path:
        made = Path(tempfile.mkdtemp(prefix="liveserver-"))  # 0700 by contract
        self._remove.append(made)
        return made

    def _clear(self) -> None:
        while self._remove:
            shutil.rmtree(self._remove.pop(), ignore_errors=True)


def has_store(path: Path) -> bool:
    """A store has been kept in this directory."""
    return (path / _APPEND_ONLY).is_dir()


def socket_in_use(path: Path) -> Path | None:
    """The socket of the store that runs on this directory, if one listens there. (A directory so deep that
    its socket lies elsewhere has none.)"""
    found = path.absolute() / _SOCKET
    if len(os.fsencode(found)) > SOCKET_PATH_BYTES_MAX:
        return None
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(found))
        except OSError:
            return None
    return found


def _lock(path: Path) -> int:
    fd = os.open(path / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = os.read(fd, 32).decode("ascii", "replace").strip() or "unknown"
        os.close(fd)
        raise DataDirInUseError(
            f"the data directory {path} is in use by another liveserver (process {owner}); "
            "stop that one, or give this one a directory of its own"
        ) from error
    os.ftruncate(fd, 0)
    os.write(fd, f"{os.getpid()}\n".encode())
    return fd
