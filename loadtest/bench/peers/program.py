"""A server of somebody else's from PATH: found, asked its version, run with a configuration of ours."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from liveserver.store.tied import TiedProcess
from loadtest import machine
from loadtest.bench.peers.port import HOST, NotComparedError

START_S_MAX: Final = 10.0
LOOK_S: Final = 0.02
END_S_MAX: Final = 5.0


def found(name: str) -> str:
    """Its path. Raises ``NotComparedError``."""
    path = shutil.which(name)
    if path is None:
        raise NotComparedError(f"no {name} on PATH")
    return path


def said_by(*argv: str) -> str:
    """What a short run of it prints, on either stream."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=START_S_MAX)
    return (done.stdout + done.stderr).strip()


def free_port() -> int:
    with socket.socket() as one:
        one.bind((HOST, 0))
        port: int = one.getsockname()[1]
        return port


@asynccontextmanager
async def running(argv: list[str], folder: Path, core: int, port: int) -> AsyncIterator[TiedProcess]:
    """Up to when it listens on ``port``; ended when the context is left, and with us whatever happens."""
    with (folder / "log").open("w+b") as log:
        cores = machine.cores()
        machine.pin(0, core)  # it inherits it, with every thread it begins
        try:
            process = TiedProcess(argv, log=log)
        finally:
            machine.pin_all(cores)
        try:
            await _listens(process, port, folder / "log")
            yield process
        finally:
            process.terminate()
            await _ended(process)
            process.kill()


async def _listens(process: TiedProcess, port: int, log: Path) -> None:
    for _ in range(round(START_S_MAX / LOOK_S)):
        if not process.alive:
            break
        try:
            _, writer = await asyncio.open_connection(HOST, port)
        except OSError:
            await asyncio.sleep(LOOK_S)
            continue
        writer.close()
        return
    raise NotComparedError(f"it does not listen: {_last_line(log)}")


def _last_line(log: Path) -> str:
    return "".join(log.read_text(errors="replace").strip().splitlines()[-1:])


async def _ended(process: TiedProcess) -> None:
    for _ in range(round(END_S_MAX / LOOK_S)):
        if not process.alive:
            return
        await asyncio.sleep(LOOK_S)


@asynccontextmanager
async def configured(name: str, text: str) -> AsyncIterator[tuple[Path, Path]]:
    """A folder of its own, gone afterwards, and the configuration in it."""
    with tempfile.TemporaryDirectory(prefix="liveserver-bench-") as folder:
        path = Path(folder) / name
        path.write_text(text.replace("FOLDER", folder))
        yield Path(folder), path
