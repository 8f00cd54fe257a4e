"""A store on a disk that can be held, filled, or crash with what was never synced (``disk.c``)."""

from __future__ import annotations

import asyncio
import shlex
import shutil
import subprocess
from pathlib import Path

from liveserver.store.binary import ServerBinary

SOURCE = Path(__file__).with_name("disk.c")
HELD_POLLS_MAX = 10_000


def compiler() -> str | None:
    return shutil.which("cc") or shutil.which("gcc")


class Disk:
    """``folder`` is its own; ``binary`` is the server on it."""

    def __init__(self, folder: Path, server: ServerBinary) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "synced").touch()
        library, wrapper = folder / "disk.so", folder / "valkey-on-it"
        found = compiler()
        assert found is not None
        subprocess.run(
            [found, "-Wall", "-Werror", "-O1", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"],
            check=True,
            timeout=60,
        )
        quoted = shlex.quote(str(folder)), shlex.quote(str(library)), shlex.quote(str(server.path.absolute()))
        wrapper.write_text('#!/bin/sh\nLIVESERVER_TEST_DISK={} LD_PRELOAD={} exec {} "$@"\n'.format(*quoted))
        wrapper.chmod(0o700)
        self.binary = ServerBinary(wrapper, server.version, "a test's disk")

    def hold(self) -> None:
        """Syncs wait from here on."""
        (self.folder / "held").unlink(missing_ok=True)
        (self.folder / "hold").touch()

    async def until_held(self) -> None:
        """A sync waits."""
        for _ in range(HELD_POLLS_MAX):
            if (self.folder / "held").exists():
                return
            await asyncio.sleep(0.001)
        raise AssertionError("nobody synced anything")

    def release(self) -> None:
        (self.folder / "hold").unlink(missing_ok=True)

    def fill(self) -> None:
        """Logs can't be written from here on."""
        (self.folder / "full").touch()

    def make_room(self) -> None:
        (self.folder / "full").unlink()

    def synced(self, log: Path) -> int:
        """Bytes of this log that were certainly on disk after its last sync."""
        lines = [line.partition(" ") for line in (self.folder / "synced").read_text("utf-8").splitlines()]
        return max((int(size) for size, _, path in lines if path == str(log.resolve())), default=0)

    def after_a_crash(self, data_dir: Path, copy: Path) -> None:
        """What a host finds on its disk after it lost its power: of each log what was synced. (Folders and
        manifests count as kept: the store syncs them when it makes them.) The store must have ended."""
        shutil.copytree(data_dir, copy, ignore=shutil.ignore_patterns("*.sock", "*.lock"))
        for log in (data_dir / "appendonlydir").glob("*.incr.aof"):
            with (copy / "appendonlydir" / log.name).open("r+b") as file:
                file.truncate(self.synced(log))
