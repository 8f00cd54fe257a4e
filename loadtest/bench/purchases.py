"""From socket to outcome, through one hub process: what a core of the hub carries.

The hub has a core; its buyers, and the store, share the other. Each buyer is in the room (and is sent its
frames) and has one order under way at a time.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any, Final

import msgspec
import orjson

from loadtest.bench.loads import WrongAnswerError

ORDERS_EACH: Final = 8  # the server lets a session buy ten at once
REST_S: Final = 1.0  # then it may again
LINE_BYTES_MAX: Final = 1 << 22
ANSWER_S_MAX: Final = 60.0
END_S_MAX: Final = 15.0


class Rush(msgspec.Struct, frozen=True):
    """One round."""

    per_s: float
    per_hub_core: float  # by the CPU the hub used, frames to its viewers included
    outcomes: dict[str, int]


class Child:
    """A process of ours that is asked and answers by lines, and ends when its input does."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, module: str, *arguments: str) -> Child:
        return cls(
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", module, *arguments),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=LINE_BYTES_MAX,
            )
        )

    async def ask(self, question: object) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(orjson.dumps(question) + b"\n")
        return await self.answer()

    async def answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        async with asyncio.timeout(ANSWER_S_MAX):
            line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("a process of the benchmark has ended")
        said: dict[str, Any] = orjson.loads(line)
        return said

    async def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(END_S_MAX):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


async def rushes(
    store_url: str,
    *,
    hub_core: int,
    crowd_core: int,
    buyers: int,
    rounds: int,
    say: Callable[[str], None],
) -> tuple[list[Rush], list[Rush]]:
    """Rounds of buying, and of being told ``sold_out``, in turn."""
    hub = await Child.start("loadtest.bench.hub", str(hub_core), store_url, str(buyers))
    try:
        who = await hub.answer()
        crowd = await Child.start("loadtest.bench.crowd", str(crowd_core))
        try:
            await crowd.ask(who)
            bought, refused = [], []
            for turn in range(rounds):
                say(f"purchases through a hub: round {turn + 1} of {rounds}")
                bought.append(await _rush(hub, crowd, f"many-{turn}", 1_000_000, "reserved"))
                refused.append(await _rush(hub, crowd, f"few-{turn}", 1, "sold_out"))
            return bought, refused
        finally:
            await crowd.end()
    finally:
        await hub.end()


async def _rush(hub: Child, crowd: Child, sale: str, stock: int, outcome: str) -> Rush:
    await asyncio.sleep(REST_S)
    before = (await hub.ask({}))["cpu_s"]
    told = await crowd.ask({"sale": sale, "stock": stock, "orders": ORDERS_EACH})
    used_s = (await hub.ask({}))["cpu_s"] - before
    outcomes: dict[str, int] = told["outcomes"]
    if set(outcomes) - {outcome, "pending"} or told["first"] != {"reserved": 1}:
        raise WrongAnswerError(f"{sale}: {outcomes} after {told['first']}")
    answered = outcomes[outcome]
    return Rush(answered / told["wall_s"], answered / used_s, outcomes)
