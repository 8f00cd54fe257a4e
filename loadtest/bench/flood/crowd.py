"""Who comment, in a process of their own: ``python -m loadtest.bench.flood.crowd CORE``.

Its input is JSON, a line each: first whom to call (``url``, ``tokens``), then how many comments a second from
now on (``per_s``). It answers each with a line: what was sent since the last. It ends when its input does.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from random import Random
from typing import Final

import orjson
import uvloop

from loadtest import machine
from loadtest.bench.flood.urgent import CROWD, be_urgent
from loadtest.bench.inbound import load
from loadtest.bench.inbound.senders import ANSWERS_S_MAX, Sender, opened
from protocol.commands import SendDanmaku

TURN_S: Final = 0.01
PHRASES: Final = 200
REPEATED: Final = 0.5  # Measured: 40 to 78 % of a room's comments repeat one seen before in it


class Crowd:
    def __init__(self, senders: list[Sender], seed: int) -> None:
        self._senders = itertools.cycle(senders)
        self._random = Random(seed)
        self._numbers = itertools.count()
        self.per_s = 0
        self.sent = 0

    async def comment(self) -> None:
        """For ever, evenly: what wasn't sent in time is sent with the next ones."""
        loop = asyncio.get_running_loop()
        owed, at_s = 0.0, loop.time()
        while True:
            await asyncio.sleep(TURN_S)
            now_s = loop.time()
            owed = owed + self.per_s * (now_s - at_s) if self.per_s else 0.0
            at_s = now_s
            while owed >= 1:
                owed -= 1
                self._one()

    def _one(self) -> None:
        number = next(self._numbers)
        repeated = self._random.random() < REPEATED
        text = f"好 {self._random.randrange(PHRASES)} 号" if repeated else f"多少钱 {number} 号的"
        comment = SendDanmaku(id=f"d{number:09d}", room=load.ROOM, text=text)
        next(self._senders).transport.write(load.frame(comment))
        self.sent += 1


async def main(core: int) -> None:
    machine.pin(0, core)
    loop = asyncio.get_running_loop()
    whom = orjson.loads(await loop.run_in_executor(None, sys.stdin.readline))
    try:
        senders = await opened(whom["url"], whom["tokens"], join=True)
    except TimeoutError:
        _say(failed=f"the crowd was not in the room {ANSWERS_S_MAX:g} s after its handshakes")
        return
    crowd = Crowd(senders, whom["seed"])
    commenting = asyncio.create_task(crowd.comment())
    _say(urgent=be_urgent(CROWD))
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        crowd.per_s = orjson.loads(line)["per_s"]
        sent, crowd.sent = crowd.sent, 0
        _say(sent=sent)
    commenting.cancel()
    for sender in senders:
        sender.transport.abort()


def _say(**what: object) -> None:
    sys.stdout.buffer.write(orjson.dumps(what) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
