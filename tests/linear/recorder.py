"""Concurrent clients on a real store, through what the server itself uses, while wires break; their notes.

A *process* is a gatherer, a latch and a ledger on a wire of its own. Times are ``monotonic_ns``: taken before
anything of an operation is done, and after its answer is there.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from types import TracebackType

from redis.asyncio import Redis

from liveserver.stock.gather import Gatherer
from liveserver.stock.latch import STALE_MS, SoldOutLatch
from liveserver.stock.ledger import ValkeyLedger
from liveserver.stock.port import (
    Change,
    LedgerError,
    LedgerPendingError,
    LedgerUnavailableError,
    Line,
    Order,
    Outcome,
    SaleItem,
    SaleSpec,
    StockView,
    Swept,
    Verdict,
)
from liveserver.valkey.connect import call_client
from tests.faults.proxy import Proxy
from tests.faults.rush import WallClock
from tests.linear.history import NOTHING_RAN, Answer, Asked, Kind, Op, Refused

ITEMS = 3
HOLD_MS = 150
LIMIT = 6
DEADLINE_MS = 60
ACT_WITHIN_MS = (2_000, 2_000, 40)  # one process in a hurry: much of what is late for it does nothing
HELD_BACK_MS = (20, 120)
STALE_NS = (STALE_MS + 2_000) * 1_000_000  # a view is learnt some time after it was true: Guess
RESUMES_MAX = 200
STEERING_MAX = 900  # adjusts, pauses, resumes: a sale remembers 1,024

MIX = (
    [Kind.PURCHASE] * 50
    + [Kind.CONFIRM] * 14
    + [Kind.RELEASE] * 10
    + [Kind.RETURN] * 6
    + [Kind.ADJUST] * 6
    + [Kind.EXPIRE] * 4
    + [Kind.LOOKUP] * 4
    + [Kind.RESERVATIONS] * 3
    + [Kind.VIEW] * 2
    + [Kind.PAUSE]
)


class Process:
    """``async with``: closed at the end, and nothing of it left running."""

    def __init__(self, number: int, store_url: str) -> None:
        self.number = number
        self.wire = Proxy(store_url)
        self._clock = WallClock()

    async def __aenter__(self) -> Process:
        await self.wire.__aenter__()
        self._client = call_client(self.wire.url)
        act_within_ms = ACT_WITHIN_MS[self.number % len(ACT_WITHIN_MS)]
        self.ledger = ValkeyLedger(self._client, self._clock, act_within_ms=act_within_ms)
        self._latch = SoldOutLatch()
        self._gatherer = Gatherer(
            self.ledger,
            self._clock,
            on_view=self._learn,
            settled=lambda *_: None,
            deadline_ms=DEADLINE_MS,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._gatherer.aclose()
        await self._client.aclose()
        await self.wire.__aexit__(kind, error, trace)

    def _learn(self, view: StockView) -> None:
        self._latch.learn(view, self._clock.now_ms())

    def latched(self, order: Order, sale_id: str) -> Verdict | None:
        at = self._latch.sold_out(sale_id, order, self._clock.now_ms())
        return None if at is None else Verdict(Outcome.SOLD_OUT, *at)

    async def ask(self, asked: Asked) -> Answer:
        if asked.kind is Kind.PURCHASE:
            return await self._gatherer.purchase(asked.sale_id, asked.order)
        answer = await asked.of(self.ledger)
        match answer:
            case StockView():
                self._learn(answer)
            case Change() | Swept():
                self._learn(answer.view)
        return answer


class Recorder:
    """Clients of ``processes``. The same seed asks for much the same; what meets what is chance."""

    def __init__(self, processes: list[Process], admin: Redis, *, seed: int, ops_max: int) -> None:
        self.ops: list[Op] = []
        self.counted: Counter[str] = Counter()
        self._processes = processes
        self._admin = admin
        self._draw = random.Random(seed)
        self._left = 0
        self._users = max(50, ops_max // 25)
        self._granted: list[tuple[str, int]] = []  # (user, place) somebody was told of
        self._bought: list[Asked] = []
        self._steered = 0
        self._killing = asyncio.Lock()
        self._deliveries: set[asyncio.Task[None]] = set()

    async def run(self, ops: int, *, at_once: int) -> None:
        """About so many operations, of so many clients."""
        self._left = ops
        async with asyncio.TaskGroup() as group:
            for client in range(at_once):
                group.create_task(self._client(self._processes[client % len(self._processes)]))
        await asyncio.gather(*self._deliveries)

    async def _client(self, process: Process) -> None:
        while self._left > 0:
            self._left -= 1
            await self._harm(process.wire)
            asked, attempt = self._next()
            await self._one(process, asked, attempt)
            if asked.kind is Kind.PAUSE:  # whatever became of it
                again = Asked(Kind.RESUME, command_id=asked.command_id + "r")
                for _ in range(RESUMES_MAX):
                    if await self._one(process, again, 1):
                        break

    async def _one(self, process: Process, asked: Asked, attempt: int) -> bool:
        """Whether there was an answer for good."""
        op = Op(len(self.ops), asked, time.monotonic_ns(), process=process.number)
        self.ops.append(op)
        try:
            answer: Answer = None
            if asked.kind is Kind.PURCHASE and attempt == 0:
                answer = process.latched(asked.order, asked.sale_id)
                op.latched = answer is not None
            if answer is None:
                async with asyncio.timeout(DEADLINE_MS / 1000 * 2):
                    answer = await process.ask(asked)
        except (LedgerPendingError, TimeoutError):
            answer = Verdict(Outcome.PENDING)
        except LedgerUnavailableError:
            answer = Verdict(Outcome.UNAVAILABLE)
        except LedgerError as error:
            answer = Refused.of(error)
        self._note(op, answer)
        return op.known and op.answer != NOTHING_RAN

    def _note(self, op: Op, answer: Answer) -> None:
        outcome = answer.outcome if isinstance(answer, Verdict) else None
        self.counted["ops"] += 1
        if outcome is Outcome.PENDING:
            self.counted["unknown"] += 1
            return
        op.end = time.monotonic_ns()
        op.answer = NOTHING_RAN if outcome is Outcome.UNAVAILABLE else answer
        match answer:
            case Verdict(reservation=None):
                self.counted["latched" if op.latched else str(outcome)] += 1
            case Verdict():
                new = "waiting" if outcome is Outcome.WAITING else "granted"
                self.counted["replayed" if answer.replayed else new] += 1
                assert answer.reservation is not None
                self._granted.append((op.asked.user_id, int(answer.reservation.reservation_id.split("~")[2])))
            case Change():
                state = answer.reservation.state if answer.changed else "unchanged"
                self.counted[f"{op.asked.kind}: {state}"] += 1
            case Refused():
                self.counted[f"{op.asked.kind}: {answer.code}"] += 1
            case _:
                self.counted[str(op.asked.kind)] += 1

    def _next(self) -> tuple[Asked, int]:
        """What a client asks, and how often it has asked before."""
        draw, number = self._draw, len(self.ops)
        kind = draw.choice(MIX)
        if kind in (Kind.ADJUST, Kind.PAUSE):
            self._steered += 1 + (kind is Kind.PAUSE)
            if self._steered > STEERING_MAX:
                kind = Kind.PURCHASE
        if kind is Kind.PURCHASE:
            if self._bought and draw.random() < 0.2:
                return draw.choice(self._bought[-200:]), 1
            asked = Asked(kind, user_id=self._user(), command_id=f"c{number}", lines=self._lines())
            self._bought.append(asked)
            return asked, 0
        if kind in (Kind.CONFIRM, Kind.RELEASE, Kind.RETURN):
            user, place = (
                draw.choice(self._granted[-100 if draw.random() < 0.8 else -2_000 :])
                if self._granted
                else (self._user(), 0)
            )
            command = f"e{number // 40}" if draw.random() < 0.3 else f"e{number}"
            back = draw.random() < 0.7
            return Asked(kind, user_id=user, place=place, command_id=command, limit_back=back), 0
        if kind is Kind.ADJUST:
            delta = draw.choice([-1, 1, 1, 2])
            item_id = f"i{draw.randrange(ITEMS)}"
            return Asked(kind, command_id=f"a{number}", delta=delta, item_id=item_id), 0
        command = draw.choice(self._bought).command_id if self._bought else "c0"
        return Asked(
            kind, user_id=self._user(), command_id=f"x{number}" if kind is Kind.PAUSE else command
        ), 0

    def _user(self) -> str:
        return f"u{self._draw.randrange(self._users)}"

    def _lines(self) -> tuple[Line, ...]:
        lines = [Line(f"i{self._draw.randrange(ITEMS)}", self._draw.choice([1, 1, 2]))]
        if self._draw.random() < 0.2:
            lines.append(Line(f"i{self._draw.randrange(ITEMS)}", 1))
        return tuple(lines)

    async def _harm(self, wire: Proxy) -> None:
        """Of the next script call on this wire, mostly none."""
        fate = self._draw.random()
        if fate < 0.02:
            wire.lose_reply = True
        elif fate < 0.03:
            wire.lose_call = True
        elif fate < 0.05:
            wire.hold_call = True
            task = asyncio.ensure_future(self._deliver(wire, self._draw.uniform(*HELD_BACK_MS)))
            self._deliveries.add(task)
            task.add_done_callback(self._deliveries.discard)
        elif fate < 0.053:
            async with self._killing:  # or one killer kills the other
                await self._admin.client_kill_filter(_type="normal", skipme=True)

    async def _deliver(self, wire: Proxy, after_ms: float) -> None:
        await asyncio.sleep(after_ms / 1000)
        await wire.deliver()


def spec(ops_max: int, *, scarce: bool = False, waitlist: int = 0) -> SaleSpec:
    """Of ``ops_max`` operations' needs, a part: it is sold out, restocked, and sold out again."""
    now_ms = WallClock().now_ms()
    stock = 5 if scarce else ops_max // 120
    items = tuple(SaleItem(f"i{number}", stock) for number in range(ITEMS))
    return SaleSpec("s1", items, LIMIT, now_ms - 1_000, now_ms + 3_600_000, HOLD_MS, waitlist)
