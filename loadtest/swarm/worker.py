"""A process of the swarm: ``python -m loadtest.swarm.worker``, with a first line of JSON that says who it is.

Orders come in on standard input, one JSON object a line with ``re`` (a number to answer by) and ``do``;
several may be under way. Answers and, each second, ``{"progress": …}`` go out on standard output. It ends
when its input does, or after ``seconds_max``: it never outlives whoever plays the scenario.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any, Final

import orjson
import uvloop

from loadtest import machine
from loadtest.swarm.herd import Herd
from loadtest.swarm.orders import ORDERS

LINE_BYTES_MAX: Final = 1 << 20
PROGRESS_S: Final = 1.0


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
    progress = asyncio.create_task(_progress(herd))
    try:
        async with asyncio.timeout(seconds_max):
            while line := await orders.readline():
                task = asyncio.create_task(_carry_out(herd, orjson.loads(line)))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
    except TimeoutError:
        _say({"fault": f"the scenario took longer than {seconds_max} s"})
    finally:
        progress.cancel()
        for task in tasks:
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


def _say(what: dict[str, Any]) -> None:
    try:
        sys.stdout.buffer.write(orjson.dumps(what) + b"\n")
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        pass  # whoever asked has gone; our input ends with him


if __name__ == "__main__":
    uvloop.run(main())
