"""The real server, as a subprocess: ``python -m liveserver serve`` with a secret and a store of its own."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import urllib.request
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import orjson

from loadtest import machine

START_S_MAX: Final = 40.0
STOP_S_MAX: Final = 30.0
LOOK_S: Final = 0.05
VERIFY_S_MAX: Final = 120.0
METRICS_S_MAX: Final = 10.0
SAID_BYTES_MAX: Final = 2_000
_LISTENS: Final = re.compile(r"liveserver listens on (\S+) \(clients: (\S+)\)")


class HouseError(Exception):
    """The server did not start, or something asked of it failed; with what it said last."""


class Verified(NamedTuple):
    code: int  # 0: every law of every sale holds
    said: dict[str, object]


class House:
    """``http_url`` and ``url`` (for clients) are known once it is open."""

    def __init__(self, folder: Path, secret: str) -> None:
        """``folder``: of its data and what it says; it outlives the process."""
        self.folder = folder
        self.url = self.http_url = ""
        self._secret = secret
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    @property
    def store_url(self) -> str:
        """Of its embedded store, for a second server beside it."""
        return f"unix://{self.data_dir / 'valkey.sock'}"

    @property
    def address(self) -> tuple[str, int, str]:
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or 0, parts.path

    async def open(
        self,
        *,
        settings: dict[str, str] | None = None,
        workers: int = 1,
        store_url: str = "",
        core: int | None = None,
        port: int = 0,
    ) -> None:
        """``settings``: by their names behind ``LIVESERVER_``. Raises ``HouseError``."""
        self.folder.mkdir(parents=True, exist_ok=True)
        said = self.folder / "said.log"
        ours = {"LIVESERVER_SECRET": self._secret, "LIVESERVER_DATA_DIR": str(self.data_dir)}
        given = {f"LIVESERVER_{name.upper()}": value for name, value in (settings or {}).items()}
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("LIVESERVER_")
        }
        arguments = ["serve", "--port", str(port)]
        if store_url:
            arguments += ["--redis-url", store_url]
        if workers > 1:
            arguments += ["--workers", str(workers)]
        tied = [sys.executable, "-m", "loadtest.scenarios.tied", str(os.getpid())]
        with said.open("wb") as output:
            self._process = await asyncio.create_subprocess_exec(
                *(*tied, sys.executable, "-m", "liveserver", *arguments),
                env={**environment, **ours, **given},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
            )
        if core is not None:
            machine.pin(self._process.pid, core)  # its store and workers inherit it
        try:
            async with asyncio.timeout(START_S_MAX):
                while not (found := _LISTENS.search(said.read_text(errors="replace"))):
                    if self._process.returncode is not None:
                        raise HouseError(
                            f"the server ended with {self._process.returncode}: {self.last_said()}"
                        )
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            self.kill()
            raise HouseError(f"the server does not listen: {self.last_said()}") from None
        self.http_url, self.url = found[1], found[2]

    def last_said(self) -> str:
        said = (self.folder / "said.log").read_text(errors="replace")
        return said[-SAID_BYTES_MAX:].strip()

    def drain(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)

    async def wait(self) -> int:
        """Its exit code; killed if it has not ended within ``STOP_S_MAX``."""
        assert self._process is not None
        try:
            async with asyncio.timeout(STOP_S_MAX):
                return await self._process.wait()
        except TimeoutError:
            self.kill()
            return await self._process.wait()

    async def stop(self) -> int:
        self.drain()
        return await self.wait()

    def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def verify(self) -> Verified:
        """``ledger verify`` over every sale of its store, while it runs or after."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "liveserver", "ledger", "verify"),
            *("--data-dir", str(self.data_dir), "--json"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(VERIFY_S_MAX):
                output, _ = await process.communicate()
        except TimeoutError:
            process.kill()
            await process.wait()
            raise HouseError(f"ledger verify took longer than {VERIFY_S_MAX:.0f} s") from None
        try:
            said = orjson.loads(output)
        except orjson.JSONDecodeError:
            said = {"said": output.decode(errors="replace")[-SAID_BYTES_MAX:]}
        return Verified(process.returncode or 0, said)

    async def metrics(self) -> dict[str, float]:
        """Its own counters, by name with labels as they stand on the page."""
        return await asyncio.to_thread(_metrics, f"{self.http_url}/metrics")


def _metrics(url: str) -> dict[str, float]:
    with urllib.request.urlopen(url, timeout=METRICS_S_MAX) as answer:
        page: str = answer.read().decode()
    values = {}
    for line in page.splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            values[name] = float(value)
    return values
