"""The server that is flooded: ``python -m loadtest.bench.flood.server CORE STORE VIEWERS``.

It says one line of JSON when it listens, then answers each line on its input with what CPU it has used so
far. It ends when its input does.
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
from loadtest import machine
from loadtest.bench.flood.urgent import SERVER, be_urgent

PER_SESSION: Final = 40  # comments a second: so that all that is offered gets as far as the room
BUYERS: Final = 20


async def main(core: int, store_url: str, viewers: int) -> None:
    configure_logging(level="warning")
    machine.pin(0, core)
    settings = Settings(
        port=0,
        redis_url=store_url,
        sessions_max=viewers + 100,
        danmaku_per_s=PER_SESSION,
        danmaku_burst=PER_SESSION,
    )
    async with running(settings) as server:
        collector.settle()
        _say(
            url=server.url,
            urgent=be_urgent(SERVER),
            tokens=[server.mint("viewer", f"viewer-{n:05d}") for n in range(viewers)],
            streamer=server.mint("streamer", "eve"),
            buyers=[server.mint("viewer", f"buyer-{n:05d}") for n in range(BUYERS)],
        )
        loop = asyncio.get_running_loop()
        while await loop.run_in_executor(None, sys.stdin.readline):
            _say(cpu_s=time.process_time())


def _say(**what: object) -> None:
    sys.stdout.buffer.write(orjson.dumps(what) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
