"""A process of the swarm: ``python -m loadtest.swarm.worker``, with a first line of JSON that says who it is.

Orders come in on standard input, one JSON object a line with ``re`` (a number to answer by) and ``do``;
several may be under way. Answers and, each second, ``{"progress": …}`` go out on standard output. It ends
when its input does, or after ``seconds_max``: it never outlives whoever plays the scenario. Ctrl-C is his to
hear, though the terminal tells us both.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import Any, Final

import orjson
import uvloop

from loadtest import machine
from loadtest.swarm.herd import Herd
from loadtest.swarm.orders import ORDERS

LINE_BYTES_MAX: Final = 1 << 20
PROGRESS_S: Final = 1.0
LAG_S: Final = 0.02


async def main() -> None:
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader(limit=LINE_BYTES_MAX)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    about: dict[str, Any] = orjson.loads(await orders.readline())
    if about.get("core") is not None:
        machine.pin(0, about.pop("core"))
    about.pop("core", None)
    seconds_max = about.pop("seconds_max")
    herd = Herd(**about)
    loop.set_exception_handler(
        lambda _, context: herd.broke("swarm", repr(context.get("exception", context)))
    )
    tasks: set[asyncio.Task[None]] = set()
    watching = [asyncio.create_task(_progress(herd)), asyncio.create_task(_lag(herd))]
    try:
        async with asyncio.timeout(seconds_max):
            while line := await orders.readline():
                task = asyncio.create_task(_carry_out(herd, orjson.loads(line)))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
    except TimeoutError:
        _say({"fault": f"the scenario took longer than {seconds_max} s"})
    finally:
        for task in (*watching, *tasks):
            task.cancel()


async def _carry_out(herd: Herd, order: dict[str, Any]) -> None:
    try:
        _say({"re": order["re"], **await ORDERS[order["do"]](herd, order)})
    except Exception as error:
        _say({"re": order["re"], "fault": f"{order['do']}: {error!r}"})


async def _progress(herd: Herd) -> None:
    while True:
        await asyncio.sleep(PROGRESS_S)
        _say({"progress": herd.progress()})


async def _lag(herd: Herd) -> None:
    """How late we ourselves are: what is measured here can't be finer than that."""
    group = herd.group(f"(swarm {herd.index})")
    while True:
        before_us = herd.now_us()
        await asyncio.sleep(LAG_S)
        now_us = herd.now_us()
        group.replied("lag", now_us - before_us - int(LAG_S * 1_000_000), now_us)


def _say(what: dict[str, Any]) -> None:
    try:
        sys.stdout.buffer.write(orjson.dumps(what) + b"\n")
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        pass  # whoever asked has gone; our input ends with him


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    uvloop.run(main())
