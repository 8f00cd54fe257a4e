"""One sale, from its feed to the order service, until nothing is left to deliver.

What holds: whatever ends a delivery, every row that was not told to be delivered is delivered again by the
next one, wherever that runs; one that was told so is not. In between lie the rows whose answer had come, or
was lost, when it was to be written down (one a request under way): they come again, under the same ids.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from liveserver.core.clock import Clock
from liveserver.orders import limits
from liveserver.orders.attempts import Again, Patience
from liveserver.orders.sink import Answer, Failed, Sink, Taken
from liveserver.orders.store import DeadFullError, GroupFeed, Letter, Took
from liveserver.orders.window import Under, Window

log = structlog.get_logger(__name__)


class Totals:
    """What this process has done, in rows."""

    def __init__(self) -> None:
        self.delivered = 0
        self.failed = 0  # attempts
        self.dead = 0


class Throttle:
    """The one order service of all sales: how many requests may be under way, and whether it asked for
    quiet."""

    def __init__(self, sink: Sink, clock: Clock, *, at_once: int = limits.AT_ONCE) -> None:
        self._sink = sink
        self._clock = clock
        self._free = asyncio.Semaphore(at_once)
        self._quiet_until_ms = 0
        self.at_once = at_once

    async def deliver(self, one: Under) -> Answer:
        """Never raises but when cancelled."""
        async with self._free:
            while (quiet_ms := self._quiet_until_ms - self._clock.now_ms()) > 0:
                await self._clock.sleep_ms(quiet_ms)
            try:
                answer = await self._sink.deliver(one.row)
            except Exception as error:
                log.exception("a row could not be delivered, in a way nobody foresaw", row=one.row.id)
                return Failed(repr(error)[: limits.WHY_CHARS_MAX])
        if isinstance(answer, Failed) and answer.quiet_ms:
            until_ms = self._clock.now_ms() + answer.quiet_ms
            self._quiet_until_ms = max(self._quiet_until_ms, until_ms)
        return answer


class SaleDelivery:
    """For the holder of the sale's lease."""

    def __init__(
        self,
        feed: GroupFeed,
        throttle: Throttle,
        clock: Clock,
        totals: Totals,
        *,
        patience: Patience,
        chance: Callable[[], float],
    ) -> None:
        self._feed = feed
        self._throttle = throttle
        self._clock = clock
        self._totals = totals
        self._patience = patience
        self._chance = chance
        self._window = Window()
        self._out: set[asyncio.Task[None]] = set()
        self._look_ms = 0  # when to ask the feed for news again
        # One row at a time is written down: else two last rows of an entry each take the other for the last.
        self._settling = asyncio.Lock()

    async def run(self) -> None:
        """Returns when every row of the feed has found its end. Raises ``LeaseLostError``, redis-py's
        exceptions, ``ValueError``. Cancelled, or failing: no request is left under way."""
        renewing = asyncio.create_task(self._renew())
        try:
            await self._take_over()
            while await self._fill() or self._out or self._window.rows:
                self._send()
                await self._wait(renewing)
        finally:
            for task in (renewing, *self._out):
                task.cancel()
            await asyncio.gather(renewing, *self._out, return_exceptions=True)

    async def _take_over(self) -> None:
        """What was read before and has found no end. All of it at once: it was one window's at most."""
        after = "0"
        while page := await self._feed.unacknowledged(after):
            await self._enter(page)
            after = page[-1].entry_id

    async def _fill(self) -> bool:
        """News, as long as there is room. True: there may be more."""
        if self._window.rows >= limits.WINDOW_ROWS_MAX:
            return True
        if self._clock.now_ms() < self._look_ms:
            return False
        for row in await self._feed.redriven():
            self._window.redrive(row)
        page = await self._feed.news()
        await self._enter(page)
        if len(page) < limits.PAGE_ENTRIES:
            self._look_ms = self._clock.now_ms() + limits.POLL_MS
            return False
        return True

    async def _enter(self, page: list[Took]) -> None:
        over = [
            took
            for took in page
            if not self._window.take(took.entry_id, took.rows, done=took.done, attempts=took.attempts)
        ]
        if over:
            await self._feed.acknowledge(over)

    def _send(self) -> None:
        while len(self._out) < self._throttle.at_once:
            one = self._window.next(self._clock.now_ms())
            if one is None:
                return
            self._out.add(asyncio.create_task(self._deliver(one)))

    async def _wait(self, renewing: asyncio.Task[None]) -> None:
        """For the first answer, a row's next attempt, or news. Raises what went wrong."""
        now_ms = self._clock.now_ms()
        moments = [limits.POLL_MS]
        due_ms = self._window.due_ms()
        if due_ms is not None and len(self._out) < self._throttle.at_once:
            moments.append(max(0, due_ms - now_ms))
        if self._window.rows or self._out:
            waiting = asyncio.wait(
                {renewing, *self._out}, timeout=min(moments) / 1000, return_when=asyncio.FIRST_COMPLETED
            )
            done, _ = await waiting
            for task in done:
                self._out.discard(task)
                task.result()

    async def _deliver(self, one: Under) -> None:
        answer = await self._throttle.deliver(one)
        async with self._settling:
            await self._settle(one, answer)

    async def _settle(self, one: Under, answer: Answer) -> None:
        if isinstance(answer, Taken):
            await self._feed.taken(one, self._entry_of(one))
            self._totals.delivered += 1
            self._window.ended(one)
            return
        self._totals.failed += 1
        attempts = one.attempts + 1
        verdict = self._patience.after(answer, attempts, self._chance)
        if isinstance(verdict, Again):
            await self._feed.failed(one, attempts)
            self._window.again(one, self._clock.now_ms() + verdict.wait_ms)
            return
        letter = Letter(one.row, attempts, verdict.why, self._clock.now_ms())
        try:
            await self._feed.dead(one, letter, self._entry_of(one))
        except DeadFullError:
            log.error("too many dead letters: the row is tried on", row=one.row.id, why=verdict.why)
            self._window.again(one, self._clock.now_ms() + self._patience.wait_ms_most)
            return
        log.warning("a row became a dead letter", row=one.row.id, why=verdict.why)
        self._totals.dead += 1
        self._window.ended(one)

    def _entry_of(self, one: Under) -> tuple[str, ...]:
        return self._window.places(one) if self._window.closes(one) else ()

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(limits.LEASE_MS / 3000)
            await self._feed.renew()
