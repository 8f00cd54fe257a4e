"""Centrifugo, built from its Go module. Where that can't be fetched (as where this was written), it is not
compared; a driver written against nothing that runs would claim what nobody has seen."""

from __future__ import annotations

import asyncio
import os
from contextlib import AbstractAsyncContextManager
from typing import Final

from loadtest.bench import cache
from loadtest.bench.peers import program
from loadtest.bench.peers.port import NotComparedError, Server, Where

MODULE: Final = "github.com/centrifugal/centrifugo/v6@v6.0.0"
BUILD_S_MAX: Final = 120.0


def start(where: Where) -> AbstractAsyncContextManager[Server]:
    return _Centrifugo(where)


class _Centrifugo(AbstractAsyncContextManager[Server]):
    def __init__(self, where: Where) -> None:
        self._where = where

    async def __aenter__(self) -> Server:
        go = program.found("go")
        if not self._where.install:
            raise NotComparedError("nothing may be installed")
        await _build(go)
        raise NotComparedError("it can be built here, but there is no driver for it yet")

    async def __aexit__(self, *ended: object) -> None: ...


async def _build(go: str) -> None:
    folder = cache.folder("go")
    env = {**os.environ, "GOPATH": str(folder), "GOBIN": str(folder / "bin"), "GOFLAGS": "-modcacherw"}
    process = await asyncio.create_subprocess_exec(
        *(go, "install", MODULE),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env=env,
    )
    try:
        async with asyncio.timeout(BUILD_S_MAX):
            _, said = await process.communicate()
    except TimeoutError:
        raise NotComparedError(f"building it took more than {BUILD_S_MAX:.0f} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise NotComparedError(f"its Go module can't be had: {_reason(said.decode(errors='replace'))}")


def _reason(said: str) -> str:
    """The last line, without an address."""
    lines = [line.strip() for line in said.strip().splitlines() if "://" not in line]
    return lines[-1] if lines else "the module proxy refused it"
