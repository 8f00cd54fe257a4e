"""A process of the benchmark's that is asked and answers by lines of JSON, and ends when its input does."""

from __future__ import annotations

import asyncio
import functools
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import orjson

LINE_BYTES_MAX: Final = 1 << 22
ANSWER_S_MAX: Final = 60.0
END_S_MAX: Final = 15.0


class SilentError(TimeoutError):
    """It did not answer in time; says which."""


class EndedError(RuntimeError):
    """It has ended instead of answering; says which."""


class Child:
    def __init__(self, process: asyncio.subprocess.Process, name: str) -> None:
        self._process = process
        self._name = name

    @classmethod
    async def start(cls, module: str, *arguments: str) -> Child:
        return await cls.run([sys.executable, "-m", module, *arguments])

    @classmethod
    async def run(
        cls, argv: Sequence[str | Path], core: int | None = None, env: dict[str, str] | None = None
    ) -> Child:
        """Any program that keeps to this. ``core``: the only one it and its threads run on."""
        return cls(
            await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=LINE_BYTES_MAX,
                env={**os.environ, **(env or {})},
                preexec_fn=functools.partial(_before, core),
            ),
            " ".join(map(str, argv[:3])),
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ask(self, question: object) -> dict[str, Any]:
        return await self.ask_line(orjson.dumps(question))

    async def ask_line(self, question: bytes) -> dict[str, Any]:
        await self.tell(question)
        return await self.answer()

    async def tell(self, line: bytes) -> None:
        """Nothing is answered."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + b"\n")
        await self._process.stdin.drain()

    async def answer(self) -> dict[str, Any]:
        """``SilentError``, ``EndedError``."""
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(ANSWER_S_MAX):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise SilentError(f"`{self._name}` did not answer within {ANSWER_S_MAX:g} s") from None
        if not line:
            raise EndedError(f"`{self._name}` has ended before its answer")
        said: dict[str, Any] = orjson.loads(line)
        return said

    async def end(self) -> None:
        """Its input ends; what is not gone ``END_S_MAX`` later is killed."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(END_S_MAX):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


def _before(core: int | None) -> None:
    """In the process to be. In a group of its own it does not hear the terminal's Ctrl-C: whoever measures
    does, and ends its input."""
    os.setpgid(0, 0)
    if core is not None:
        os.sched_setaffinity(0, {core})
