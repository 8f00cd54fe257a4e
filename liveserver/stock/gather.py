"""Purchases of one moment, gathered into few calls of the ledger.

While two calls of a sale are in flight its orders wait and gather; the next call takes up to 128 of them.
So under load a call carries many orders, and in quiet one order goes at once.

What holds: every order is answered within the deadline of the injected clock, whatever the store does;
``pending`` is said only of an order that may have run, an order that never left the queue is
``unavailable``; a caller that is cancelled, or an order the ledger can't take, harms no other order of its
call; the queue is bounded.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog

from liveserver.core.clock import Clock
from liveserver.stock import limits
from liveserver.stock.checks import check_id
from liveserver.stock.port import (
    Ledger,
    LedgerError,
    LedgerPendingError,
    LedgerUnavailableError,
    Order,
    Outcome,
    OutOfRangeError,
    StockView,
    UnknownItemError,
    Verdict,
)

DEADLINE_MS: Final = 300
IN_FLIGHT_MAX: Final = 2  # calls of one sale: one runs in the store while the other is packed here
QUEUE_MAX: Final = 16_384  # orders of one sale that wait; Guess: more than one deadline's work

log = structlog.get_logger(__name__)

UNAVAILABLE: Final = Verdict(Outcome.UNAVAILABLE)
PENDING: Final = Verdict(Outcome.PENDING)


class _Waiter:
    """An order, from its purchase until its caller has an answer and its call is over."""

    __slots__ = ("answer", "deadline_ms", "order")

    def __init__(self, order: Order, deadline_ms: int, answer: asyncio.Future[Verdict]) -> None:
        self.order = order
        self.deadline_ms = deadline_ms
        self.answer = answer


class _Lane:
    """One sale's orders."""

    def __init__(self) -> None:
        self.queued: deque[_Waiter] = deque()
        self.sent: deque[_Waiter] = deque()  # oldest first; answered ones are passed over
        self.calls: set[asyncio.Task[None]] = set()
        self.watch: asyncio.Task[None] | None = None
        self.starting = False


def _nobody(sale_id: str, order: Order, verdict: Verdict) -> None:
    pass


class Gatherer:
    """``on_view`` gets the view of every reply; ``answered(sale_id, order, verdict)`` what a caller was told;
    ``settled(sale_id, order, verdict)`` what became of an order whose caller was told ``pending`` or has
    gone. All are called in the event loop and must not raise."""

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        *,
        on_view: Callable[[StockView], None],
        settled: Callable[[str, Order, Verdict], None],
        answered: Callable[[str, Order, Verdict], None] = _nobody,
        deadline_ms: int = DEADLINE_MS,
        in_flight_max: int = IN_FLIGHT_MAX,
        batch_max: int = limits.BATCH_MAX,
        queue_max: int = QUEUE_MAX,
    ) -> None:
        assert 1 <= batch_max <= limits.BATCH_MAX
        self._ledger = ledger
        self._clock = clock
        self._on_view = on_view
        self._settled = settled
        self._answered = answered
        self._deadline_ms = deadline_ms
        self._in_flight_max = in_flight_max
        self._batch_max = batch_max
        self._queue_max = queue_max
        self._lanes: dict[str, _Lane] = {}
        self._closed = False

    async def purchase(self, sale_id: str, order: Order) -> Verdict:
        """``ask``, awaited. Cancelled: an order not yet sent is withdrawn, a sent one may take effect (its
        command id tells)."""
        return await self.ask(sale_id, order)

    def ask(self, sale_id: str, order: Order) -> asyncio.Future[Verdict]:
        """Needs no task of its own. The future raises ``UnknownSaleError``, ``UnknownItemError`` and
        ``OutOfRangeError`` (which this does for a malformed sale id): the ledger looks at each order, nobody
        before it. What the store or the time do is an outcome. Cancelling the future: as for ``purchase``."""
        answer: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        waiter = _Waiter(order, self._clock.now_ms() + self._deadline_ms, answer)
        if self._closed:
            self._answer(sale_id, waiter, UNAVAILABLE)
            return answer
        lane = self._lanes.get(sale_id)
        if lane is None:
            check_id(sale_id, "sale id")
            lane = self._lanes[sale_id] = _Lane()
        if len(lane.queued) >= self._queue_max:
            self._answer(sale_id, waiter, UNAVAILABLE)
            return answer
        lane.queued.append(waiter)
        if lane.watch is None:
            lane.watch = asyncio.ensure_future(self._watch(sale_id, lane))
        self._start_soon(sale_id, lane)
        return answer

    async def aclose(self) -> None:
        """Orders not yet sent are ``unavailable``, sent ones ``pending``; nothing is left running."""
        self._closed = True
        for sale_id, lane in self._lanes.items():
            self._answer_all(sale_id, lane.queued, UNAVAILABLE)
            self._answer_all(sale_id, lane.sent, PENDING)
        tasks = [task for lane in self._lanes.values() for task in (*lane.calls, lane.watch) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._lanes.clear()

    def _start_soon(self, sale_id: str, lane: _Lane) -> None:
        """At the end of this loop turn, so that one turn's orders go together."""
        if not lane.starting and len(lane.calls) < self._in_flight_max:
            lane.starting = True
            asyncio.get_running_loop().call_soon(self._start, sale_id, lane)

    def _start(self, sale_id: str, lane: _Lane) -> None:
        lane.starting = False
        if lane.queued and len(lane.calls) < self._in_flight_max and not self._closed:
            call = asyncio.ensure_future(self._call(sale_id, lane))
            lane.calls.add(call)
            call.add_done_callback(partial(self._call_over, sale_id, lane))
            if len(lane.queued) > self._batch_max:
                self._start_soon(sale_id, lane)

    async def _call(self, sale_id: str, lane: _Lane) -> None:
        """Batch after batch, until none waits."""
        while batch := self._take(lane):
            lane.sent.extend(batch)
            await self._send(sale_id, batch)

    def _call_over(self, sale_id: str, lane: _Lane, call: asyncio.Task[None]) -> None:
        lane.calls.discard(call)
        if lane.queued:  # by an order that came after the call had looked
            self._start_soon(sale_id, lane)
        self._retire(sale_id, lane)

    def _take(self, lane: _Lane) -> list[_Waiter]:
        batch: list[_Waiter] = []
        while lane.queued and len(batch) < self._batch_max:
            waiter = lane.queued.popleft()
            if not waiter.answer.done():
                batch.append(waiter)
        return batch

    async def _send(self, sale_id: str, batch: list[_Waiter]) -> None:
        """Never raises but when cancelled. Malformed orders, and those naming unknown items, are set apart;
        a sale's items don't change, so the rest goes through."""
        try:
            while True:
                try:
                    verdicts, view = await self._ledger.reserve(sale_id, [waiter.order for waiter in batch])
                    break
                except (OutOfRangeError, UnknownItemError) as error:
                    if not error.orders:
                        raise
                    batch = _set_apart(batch, error)
                    if not batch:
                        return
        except LedgerUnavailableError:
            self._settle_all(sale_id, batch, UNAVAILABLE)
        except LedgerPendingError:
            self._answer_all(sale_id, batch, PENDING)
        except LedgerError as error:
            for waiter in batch:
                _fail(waiter, type(error)(*error.args))
        except Exception:
            log.exception("a call of the ledger failed in a way nobody foresaw", sale=sale_id)
            self._answer_all(sale_id, batch, PENDING)
        else:
            self._on_view(view)
            for waiter, verdict in zip(batch, verdicts, strict=True):
                self._settle(sale_id, waiter, verdict)

    def _settle_all(self, sale_id: str, batch: list[_Waiter], verdict: Verdict) -> None:
        for waiter in batch:
            self._settle(sale_id, waiter, verdict)

    def _settle(self, sale_id: str, waiter: _Waiter, verdict: Verdict) -> None:
        if waiter.answer.done():
            self._settled(sale_id, waiter.order, verdict)
        else:
            self._answer(sale_id, waiter, verdict)

    def _answer(self, sale_id: str, waiter: _Waiter, verdict: Verdict) -> None:
        waiter.answer.set_result(verdict)
        self._answered(sale_id, waiter.order, verdict)

    def _answer_all(self, sale_id: str, waiters: deque[_Waiter] | list[_Waiter], verdict: Verdict) -> None:
        for waiter in waiters:
            if not waiter.answer.done():
                self._answer(sale_id, waiter, verdict)

    async def _watch(self, sale_id: str, lane: _Lane) -> None:
        """Keeps the deadline of every order of this sale; ends when none waits."""
        while waiter := _oldest(lane):
            now_ms = self._clock.now_ms()
            if waiter.deadline_ms > now_ms:
                await self._clock.sleep_ms(waiter.deadline_ms - now_ms)
                continue
            if lane.sent and lane.sent[0] is waiter:
                self._answer(sale_id, lane.sent.popleft(), PENDING)
            else:
                self._answer(sale_id, lane.queued.popleft(), UNAVAILABLE)
        lane.watch = None
        self._retire(sale_id, lane)

    def _retire(self, sale_id: str, lane: _Lane) -> None:
        """A lane with nothing left to do is forgotten."""
        idle = not (lane.calls or lane.queued or lane.watch or lane.starting)
        if idle and self._lanes.get(sale_id) is lane:
            del self._lanes[sale_id]


def _oldest(lane: _Lane) -> _Waiter | None:
    """The unanswered order whose deadline is next: sent ones are older than queued ones."""
    for waiters in (lane.sent, lane.queued):
        while waiters and waiters[0].answer.done():
            waiters.popleft()
        if waiters:
            return waiters[0]
    return None


def _set_apart(batch: list[_Waiter], error: OutOfRangeError | UnknownItemError) -> list[_Waiter]:
    """Those at fault are told; what is left is of fewer orders."""
    for place in error.orders:
        _fail(batch[place], type(error)(str(error)))
    return [waiter for place, waiter in enumerate(batch) if place not in error.orders]


def _fail(waiter: _Waiter, error: LedgerError) -> None:
    if not waiter.answer.done():
        waiter.answer.set_exception(error)
