"""The shipped server: ``python -m loadtest.bench.doors.ours ALGORITHM TOKENS``.

The whole process with its own embedded store; tokens, lanes and metrics on. It mints ``TOKENS`` tokens, each
of another viewer and signed by ``ALGORITHM``, and one of a streamer.
"""

from __future__ import annotations

import sys
import time

import uvloop
from redis.asyncio import Redis

from liveserver.app import running
from liveserver.cli import collector
from liveserver.cli.logs import configure_logging
from liveserver.config import Settings
from liveserver.edge.tokens import Tokens
from loadtest.bench.doors import answering, keys
from protocol.types import Role

SESSIONS_MAX = 20_000
TTL_MS = 3_600_000


async def main(algorithm: str, tokens: int) -> None:
    configure_logging(level="warning")
    signing = keys.config(algorithm)
    settings = Settings(
        port=0, secret=signing.secret, public_key=signing.public_key, sessions_max=SESSIONS_MAX
    )
    minter, now_ms = Tokens(signing), time.time_ns() // 1_000_000
    told: dict[str, object] = {
        "streamer": minter.mint("eve", Role.STREAMER, ["*"], now_ms=now_ms, ttl_ms=TTL_MS),
        "tokens": [
            minter.mint(f"viewer-{number:012d}", Role.VIEWER, ["*"], now_ms=now_ms, ttl_ms=TTL_MS)
            for number in range(tokens)
        ],
    }
    async with running(settings) as server:
        store = Redis.from_url(server.store_url)
        store_pid = int((await store.info("server"))["process_id"])
        await store.aclose()
        collector.settle()
        await answering.answer({"port": server.serving.port} | told, [store_pid])


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2])))
