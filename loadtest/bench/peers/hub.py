"""The shipped server as a process to measure: ``python -m loadtest.bench.peers.hub SETTINGS`` (JSON).

It says ``{"port": N, "sender": NAME}`` when it listens. Then each line on its input is a number of seconds:
for so long it watches its loop, and answers how late a timer was. It ends when its input does.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Final

import orjson
import uvloop

from liveserver.app import running
from liveserver.cli import collector
from liveserver.cli.logs import configure_logging
from liveserver.config import Settings
from liveserver.edge.senders import sender

LOOK_S: Final = 0.002


async def main(settings: Settings) -> None:
    configure_logging(level="warning")
    async with running(settings) as server:
        collector.settle()
        _say(port=int(server.http_url.rpartition(":")[2]), sender=sender(settings.sender).name)
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            _say(**await _lag(float(line)))


async def _lag(seconds: float) -> dict[str, float]:
    """In milliseconds; of a timer, so the timer's own millisecond is in it. ``own``: what of it this process
    worked, so that neighbours on its core are not in it."""
    late: list[float] = []
    own: list[float] = []
    until_s = time.monotonic() + seconds
    while (asleep_s := time.monotonic()) < until_s:
        worked_s = time.process_time()
        await asyncio.sleep(LOOK_S)
        late.append(1000 * (time.monotonic() - asleep_s - LOOK_S))
        own.append(1000 * max(0.0, time.process_time() - worked_s - LOOK_S))
    late.sort()
    own.sort()
    p99 = len(late) * 99 // 100
    return {
        "samples": len(late),
        "p50_ms": late[len(late) // 2],
        "p99_ms": late[p99],
        "own_p99_ms": own[p99],
    }


def _say(**what: object) -> None:
    sys.stdout.buffer.write(orjson.dumps(what) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    uvloop.run(main(Settings(**orjson.loads(sys.argv[1]))))
