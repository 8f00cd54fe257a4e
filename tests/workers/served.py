"""A supervised server in processes of its own, and what a test asks of it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from liveserver.edge.tokens import TokenConfig, Tokens
from protocol.types import Role
from tests.end_to_end.conftest import SECRET

START_SECONDS_MAX = 60.0
END_SECONDS_MAX = 40.0
POLL_S = 0.02


class Served:
    """``serve --workers N --port 0``. ``log`` is what it and its workers said."""

    def __init__(self, folder: Path, workers: int, *options: str, **environ: str) -> None:
        self._command = [
            *(sys.executable, "-m", "liveserver", "serve", "--port", "0", "--workers", str(workers)),
            *("--data-dir", str(folder / "data"), *options),
        ]
        self._environ = {**os.environ, "LIVESERVER_REDIS_URL": "", "LIVESERVER_SECRET": SECRET, **environ}
        self._log = folder / "log"
        self.process: asyncio.subprocess.Process
        self.http_url = self.url = ""

    async def __aenter__(self) -> Served:
        with self._log.open("wb") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self._command, stdout=log, stderr=log, env=self._environ, start_new_session=True
            )
        try:
            await self.until(lambda: "listens on" in self.log or self.process.returncode is not None)
        except BaseException:
            await self._kill()
            raise
        if self.process.returncode is None:
            self.http_url = self.log.split("listens on ")[1].split(" ")[0]
            self.url = self.http_url.replace("http", "ws", 1) + "/v1/live"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.returncode is None:
            self.process.terminate()
            try:
                await asyncio.wait_for(self.process.wait(), END_SECONDS_MAX)
            except TimeoutError:
                await self._kill()
                raise

    async def _kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()  # the others end with it
        await self.process.wait()

    @property
    def log(self) -> str:
        return self._log.read_text("utf-8", "replace")

    @property
    def host_port(self) -> tuple[str, int]:
        host, _, port = self.http_url.removeprefix("http://").rpartition(":")
        return host, int(port)

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    async def ended(self) -> int:
        return await asyncio.wait_for(self.process.wait(), END_SECONDS_MAX)

    def children(self, what: str) -> list[int]:
        """Processes right below, of which the command line has ``what`` in it."""
        below = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(pid) for pid in below if what in command_line(int(pid))]

    def workers(self) -> list[int]:
        return self.children("liveserver.cli.worker")

    async def until(self, holds: Callable[[], bool]) -> None:
        until_s = time.monotonic() + START_SECONDS_MAX
        while not holds():
            assert time.monotonic() < until_s, self.log
            await asyncio.sleep(POLL_S)

    def mint(self, role: str, user: str) -> str:
        now_ms = int(time.time() * 1000)
        return Tokens(TokenConfig(secret=SECRET)).mint(user, Role(role), ["*"], now_ms=now_ms, ttl_ms=600_000)

    async def get(self, path: str) -> tuple[int, str]:
        """On a connection of its own. Raises ``OSError`` where there is no answer."""
        async with asyncio.timeout(START_SECONDS_MAX):
            reader, writer = await asyncio.open_connection(*self.host_port)
            return await asked(reader, writer, path)


async def asked(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, token: str = ""
) -> tuple[int, str]:
    """Status and body of one request, which ends the connection."""
    try:
        bearer = f"Authorization: Bearer {token}\r\n" if token else ""
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{bearer}\r\n".encode())
        answer = await reader.read(-1)
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head:
        raise ConnectionResetError("no answer")
    return int(head.split(b" ")[1]), body.decode()


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
