"""A rush of buyers who note what they were told, and what must be true of it at the end, whatever happened.

An answer that is unknown, or a refusal that changed nothing, is asked again with the same command id, as a
client does, until there is an answer for good.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence

from redis.asyncio import Redis

from liveserver.stock.audit import Report, audit
from liveserver.stock.export import OrderLine, orders
from liveserver.stock.ledger import ValkeyLedger
from liveserver.stock.port import (
    Ledger,
    LedgerError,
    LedgerPendingError,
    LedgerUnavailableError,
    Outcome,
    SaleItem,
    SaleSpec,
    Verdict,
)
from tests.stock.conftest import order

TRIES_MAX = 2_000
AGAIN_S = 0.005
HOLD_MS = 120_000


class WallClock:
    ahead_ms = 0

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self.ahead_ms

    async def sleep_ms(self, delay_ms: float) -> None:
        await asyncio.sleep(delay_ms / 1000)


def sale(stock: int = 10_000, *, limit: int = 0, sale_id: str = "s1") -> SaleSpec:
    now_ms = WallClock().now_ms()
    return SaleSpec(sale_id, (SaleItem("i0", stock),), limit, now_ms - 1_000, now_ms + 600_000, HOLD_MS)


class Rush:
    """``ledgers``: one for each process that sells. The same seed asks for the same."""

    def __init__(self, ledgers: Sequence[Ledger], *, seed: int = 1, users: int = 200) -> None:
        self._ledgers = ledgers
        self._draw = random.Random(seed)
        self._users = users
        self._number = 0
        self.told: dict[tuple[str, str], str] = {}  # (user, command) -> reservation id
        self.answers: Counter[Outcome] = Counter()  # for good
        self.unknown = 0
        self.refused = 0  # certainly not executed

    async def run(self, calls: int, *, at_once: int = 4) -> None:
        """So many calls of 1 to 4 orders. Raises AssertionError where one never gets an answer for good."""
        left = iter(range(calls))

        async def buyer() -> None:
            for _ in left:
                await self._call()

        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(buyer())

    async def _call(self) -> None:
        self._number += 1
        ledger = self._ledgers[self._number % len(self._ledgers)]
        asked = [
            order(
                f"u{self._draw.randrange(self._users)}", f"c{self._number}-{k}", (0, self._draw.randint(1, 2))
            )
            for k in range(self._draw.randint(1, 4))
        ]
        for _ in range(TRIES_MAX):
            try:
                verdicts, _ = await ledger.reserve("s1", asked)
            except LedgerPendingError:
                self.unknown += 1
            except LedgerUnavailableError:
                self.refused += 1
            else:
                for one, verdict in zip(asked, verdicts, strict=True):
                    self.note(one.user_id, one.command_id, verdict)
                return
            await asyncio.sleep(AGAIN_S)
        raise AssertionError("a purchase never got an answer")

    def _user(self) -> str:
        return f"u{self._draw.randrange(self._users)}"

    def note(self, user_id: str, command_id: str, verdict: Verdict) -> None:
        self.answers[verdict.outcome] += 1
        if verdict.reservation is not None:
            before = self.told.setdefault((user_id, command_id), verdict.reservation.reservation_id)
            assert before == verdict.reservation.reservation_id, "one command, two reservations"


async def standing(client: Redis) -> dict[tuple[str, str], OrderLine]:
    """What the store has, by (user, command)."""
    return {(one.user_id, one.command_id): one async for one in orders(client, "s1")}


async def lost(client: Redis, rush: Rush) -> int:
    """How many of the reservations told to a buyer the store hasn't."""
    there = await standing(client)
    return sum(there[key].reservation_id != told if key in there else True for key, told in rush.told.items())


async def judge(client: Redis, rush: Rush) -> Report:
    """Every law holds, and the store has exactly what the buyers were told."""
    report = await audit(client, "s1")
    assert report.findings == []
    there = await standing(client)
    assert {key: one.reservation_id for key, one in there.items()} == rush.told
    assert rush.told, "nobody bought anything"
    return report


async def outcome(ledger: ValkeyLedger, user_id: str) -> Outcome:
    """What he is told of one purchase."""
    for _ in range(500):
        try:
            verdicts, _ = await ledger.reserve("s1", [order(user_id, "c")])
        except LedgerError:  # connections to the killed one
            await asyncio.sleep(0.01)
        else:
            return verdicts[0].outcome
    raise AssertionError("no answer")
