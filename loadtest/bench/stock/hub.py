"""A hub process to measure, on its own core: ``python -m loadtest.bench.stock.hub CORE STORE_URL BUYERS``.

It says one line of JSON when it listens, then answers each line on its input with what CPU it has used so
far. It ends when its input does, so it never outlives the benchmark.
"""

from __future__ import annotations

import asyncio
import sys
import time

import orjson
import uvloop

from liveserver.app import running
from liveserver.cli import collector
from liveserver.cli.logs import configure_logging
from liveserver.config import Settings
from loadtest import machine


async def main(core: int, store_url: str, buyers: int) -> None:
    configure_logging(level="warning")
    machine.pin(0, core)
    async with running(Settings(port=0, redis_url=store_url)) as server:
        collector.settle()
        _say(
            url=server.url,
            streamer=server.mint("streamer", "eve"),
            viewers=[server.mint("viewer", f"buyer-{number:012d}") for number in range(buyers)],
        )
        loop = asyncio.get_running_loop()
        while await loop.run_in_executor(None, sys.stdin.readline):
            _say(cpu_s=time.process_time())


def _say(**what: object) -> None:
    sys.stdout.buffer.write(orjson.dumps(what) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
