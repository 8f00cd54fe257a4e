"""All processes of a swarm, as whoever plays a scenario sees them: start, order, report, end."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final, Self

import orjson

from loadtest.swarm.tally import Tally

VIEWERS_A_PROCESS: Final = 5_000
ANSWER_BYTES_MAX: Final = 1 << 28
END_S_MAX: Final = 15.0

Progress = Callable[[dict[str, int]], None]


class SwarmError(Exception):
    """A process of the swarm failed, or did not answer in time."""


class Swarm:
    def __init__(self, on_progress: Progress | None = None) -> None:
        self._on_progress = on_progress
        self._workers: list[_Worker] = []
        self._came: dict[str, int] = {}  # group -> viewers so far

    @classmethod
    async def start(
        cls,
        processes: int,
        *,
        host: str,
        port: int,
        path: str,
        secret: str,
        seed: int,
        core: int | None,
        seconds_max: float,
        deflate_every: int = 2,
        on_progress: Progress | None = None,
    ) -> Self:
        """Cancelled: those already started end by themselves, for their input does."""
        swarm = cls(on_progress)
        about = {
            "secret": secret,
            "host": host,
            "port": port,
            "path": path,
            "seed": seed,
            "deflate_every": deflate_every,
            "core": core,
            "seconds_max": seconds_max,
        }
        for index in range(processes):
            worker = await _Worker.start({**about, "index": index}, swarm._progress)
            swarm._workers.append(worker)
        return swarm

    # -- orders ----------------------------------------------------------------------------------------

    async def come(
        self,
        count: int,
        *,
        rooms: Sequence[str],
        group: str,
        over_s: float,
        seed: int | None = None,
        receive_buffer: int = 0,
    ) -> None:
        """So many more viewers, shared among the processes; room by room in turn. With a ``seed`` they
        arrive in the recording's rhythm, else evenly."""
        first = self._came.get(group, 0)
        self._came[group] = first + count
        parts = _shares(count, len(self._workers))
        starts = [first + sum(parts[:index]) for index in range(len(parts))]
        fields = {
            "rooms": list(rooms),
            "group": group,
            "over_s": over_s,
            "seed": seed,
            "receive_buffer": receive_buffer,
        }
        await asyncio.gather(
            *(
                worker.ask("come", over_s + 120, first=start, count=part, **fields)
                for worker, start, part in zip(self._workers, starts, parts, strict=True)
                if part
            )
        )

    async def all(self, do: str, *, within_s: float = 60.0, **fields: Any) -> list[dict[str, Any]]:
        """The same order to every process; their answers. Raises ``SwarmError``."""
        return list(await asyncio.gather(*(worker.ask(do, within_s, **fields) for worker in self._workers)))

    async def phase(self, name: str) -> None:
        await self.all("phase", name=name)

    async def chat(self, seconds: float, *, copies: int, group: str = "", stamp_every: int = 0) -> int:
        """Play the recording, superposed. How many comments, likes and entries were said."""
        said = await asyncio.gather(
            *(
                worker.ask(
                    "chat",
                    seconds + 60,
                    seconds=seconds,
                    copies=copies,
                    group=group,
                    stamp_every=stamp_every,
                    of=len(self._workers),
                    part=part,
                )
                for part, worker in enumerate(self._workers)
            )
        )
        return sum(each["said"] for each in said)

    async def flood(self, seconds: float, *, per_s: float, seed: int, group: str = "") -> tuple[int, float]:
        """So many comments a second in all; how many were said, and in how many seconds."""
        said = await asyncio.gather(
            *(
                worker.ask(
                    "flood",
                    seconds + 60,
                    seconds=seconds,
                    per_s=per_s / len(self._workers),
                    seed=seed + part,
                    group=group,
                )
                for part, worker in enumerate(self._workers)
            )
        )
        return sum(each["said"] for each in said), max(each["seconds"] for each in said)

    async def trade(
        self, seconds: float, *, per_s: float, group: str = "", sale: str = "", item: str = ""
    ) -> int:
        done = await self.all(
            "trade",
            within_s=seconds + 60,
            seconds=seconds,
            per_s=per_s / len(self._workers),
            group=group,
            sale=sale,
            item=item,
        )
        return sum(each["done"] for each in done)

    async def settle(self, seconds: float) -> int:
        """Until everybody knows the end of his room and has his answers; how many do not, after
        ``seconds``."""
        answers = await self.all("settle", within_s=seconds + 30, seconds=seconds)
        heads: dict[str, list[int]] = {}
        for each in answers:
            for room, head in each["heads"].items():
                heads[room] = max(heads.get(room, [0, 0]), head)
        answers = await self.all("settle", within_s=seconds + 30, seconds=seconds, heads=heads)
        return sum(int(each["waiting"]) for each in answers)

    async def report(self) -> Tally:
        return Tally(await self.all("report", within_s=120.0))

    async def end(self) -> None:
        """Their input ends; what has not gone ``END_S_MAX`` later is killed."""
        await asyncio.gather(*(worker.end() for worker in self._workers))
        self._workers.clear()

    def pids(self) -> list[int]:
        return [worker.pid for worker in self._workers]

    def _progress(self) -> None:
        if self._on_progress is not None:
            latest = [worker.latest for worker in self._workers if worker.latest]
            if latest:
                self._on_progress({name: sum(each[name] for each in latest) for name in latest[0]})


class _Worker:
    def __init__(self, process: asyncio.subprocess.Process, on_progress: Callable[[], None]) -> None:
        self.latest: dict[str, int] = {}
        self.pid = process.pid
        self._process = process
        self._on_progress = on_progress
        self._asked: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._number = 0
        self._fault = ""
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def start(cls, about: dict[str, Any], on_progress: Callable[[], None]) -> _Worker:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "loadtest.swarm.worker"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=ANSWER_BYTES_MAX,
        )
        worker = cls(process, on_progress)
        worker._write(about)
        return worker

    async def ask(self, do: str, within_s: float, **fields: Any) -> dict[str, Any]:
        if self._fault:
            raise SwarmError(self._fault)
        self._number += 1
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._asked[self._number] = answer
        self._write({"re": self._number, "do": do, **fields})
        try:
            async with asyncio.timeout(within_s):
                said = await answer
        except TimeoutError:
            raise SwarmError(f"no answer to {do!r} within {within_s:.0f} s") from None
        if "fault" in said:
            raise SwarmError(str(said["fault"]))
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
        self._listening.cancel()

    def _write(self, what: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(orjson.dumps(what) + b"\n")

    async def _listen(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            said: dict[str, Any] = orjson.loads(line)
            if "progress" in said:
                self.latest = said["progress"]
                self._on_progress()
            elif "re" in said:
                answer = self._asked.pop(said.pop("re"), None)
                if answer is not None and not answer.done():
                    answer.set_result(said)
            else:
                self._fault = str(said.get("fault", ""))
        self._fault = self._fault or "a process of the swarm has ended"
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(SwarmError(self._fault))


def _shares(count: int, parts: int) -> list[int]:
    """As even as whole numbers allow."""
    return [count // parts + (part < count % parts) for part in range(parts)]
