"""One of the processes ``serve --workers`` starts: ``python -m liveserver.cli.worker ORDER``, where the order
is an inherited pipe (see ``workers/order.py``). Nobody starts it by hand.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from pathlib import Path
from typing import Final

import uvloop

from liveserver.app import running
from liveserver.cli import collector
from liveserver.cli.faults import in_words
from liveserver.cli.logs import configure_logging
from liveserver.cli.serve_faults import CANNOT_SERVE
from liveserver.config import Settings
from liveserver.edge.siblings import Post
from liveserver.workers.order import Order, say_ready, take

COMMAND: Final = (sys.executable, "-m", "liveserver.cli.worker")


async def work(order: Order, settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    listener = socket.socket(fileno=order.listener_fd)
    post = Post(listener, order.number, order.workers, order.generation, Path(order.folder))
    async with running(settings, post=post) as server:
        collector.settle()
        say_ready(order.says_fd, server.process)
        stopping = asyncio.create_task(stop.wait())
        ended = asyncio.create_task(server.wait())
        await asyncio.wait({stopping, ended}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if ended.done():
            ended.result()
        ended.cancel()


def main() -> int:
    order = take(int(sys.argv[1]))
    settings = Settings(**order.settings)
    configure_logging(json=settings.log_json, level=settings.log_level, worker=order.number)
    try:
        uvloop.run(work(order, settings))
    except CANNOT_SERVE as error:
        print(f"worker {order.number} cannot serve: {in_words(error)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
