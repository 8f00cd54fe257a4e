"""When this process stood still: how late its loop calls, and how long the cycle collector ran.

Everything a viewer waits for waits for the loop; the collector is one of the things that hold it up.
"""

from __future__ import annotations

import asyncio
import gc
from time import perf_counter
from typing import Final, Literal

from liveserver.core.histogram import Histogram

SAMPLE_S: Final = 0.1
BOUNDS_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


class Standstills:
    """Both in seconds. ``with`` watches the running loop and the whole process's collector.

    The lag is that of a timer, so up to a millisecond of it is the timer's own.
    """

    def __init__(self) -> None:
        self.lag = Histogram(BOUNDS_S)
        self.collector = Histogram(BOUNDS_S)
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0
        self._began_s = 0.0

    def __enter__(self) -> Standstills:
        self._loop = asyncio.get_running_loop()
        gc.callbacks.append(self._collecting)
        self._wait()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._timer is not None
        self._timer.cancel()
        gc.callbacks.remove(self._collecting)

    def _wait(self) -> None:
        self._due_s = perf_counter() + SAMPLE_S
        self._timer = self._loop.call_later(SAMPLE_S, self._called)

    def _called(self) -> None:
        self.lag.add(max(0.0, perf_counter() - self._due_s))
        self._wait()

    def _collecting(self, phase: Literal["start", "stop"], _: dict[str, int]) -> None:
        if phase == "start":
            self._began_s = perf_counter()
        else:
            self.collector.add(perf_counter() - self._began_s)
