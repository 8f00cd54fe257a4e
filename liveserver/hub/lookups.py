"""What buyers have in a sale, looked up for a crowd: a call for many, not a call for each.

Who joins a room is told what he has in its sales. When a whole room comes back at once, those who ask while
a call is under way share the next one; nobody is answered by a call that began before he asked.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import NamedTuple

from liveserver.stock.limits import LOOKUP_USERS_MAX
from liveserver.stock.port import Ledger, LedgerError, LedgerUnavailableError, Reservation

from .tasks import Tasks

CALLS_MAX = 2  # of one sale, under way at the same time

Found = list[Reservation]


class _Asked(NamedTuple):
    user_id: str
    answer: asyncio.Future[Found]


class Lookups:
    def __init__(self, ledger: Ledger, tasks: Tasks) -> None:
        self._ledger = ledger
        self._tasks = tasks
        self._waiting: dict[str, deque[_Asked]] = {}  # by sale; those there are calls for
        self._calls: dict[str, int] = {}

    async def of(self, sale_id: str, user_id: str) -> Found:
        """His reservations in this sale, as of some instant after this was called. Raises what the ledger
        does. Cancelled: the call goes on, for the others."""
        answer: asyncio.Future[Found] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(sale_id, deque()).append(_Asked(user_id, answer))
        if self._calls.get(sale_id, 0) < CALLS_MAX:
            self._call(sale_id)
        return await answer

    def _call(self, sale_id: str) -> None:
        self._calls[sale_id] = self._calls.get(sale_id, 0) + 1
        if self._tasks.start(self._carry_on(sale_id), name=f"lookup {sale_id}") is None:
            self._over(sale_id)

    async def _carry_on(self, sale_id: str) -> None:
        """One call after the other, until nobody waits. It begins a turn of the loop later, so that those
        who ask in this one are in it."""
        try:
            while batch := self._take(sale_id):
                await self._ask(sale_id, batch)
        finally:
            self._over(sale_id)

    def _over(self, sale_id: str) -> None:
        self._calls[sale_id] -= 1
        if not self._calls[sale_id]:
            del self._calls[sale_id]
            for asked in self._waiting.pop(sale_id, ()):  # the call was given up, or could not begin
                _fail(asked, LedgerUnavailableError("this process has too much to do"))

    def _take(self, sale_id: str) -> list[_Asked]:
        waiting = self._waiting.get(sale_id)
        if waiting is None:
            return []
        batch = [waiting.popleft() for _ in range(min(len(waiting), LOOKUP_USERS_MAX))]
        if not waiting:
            del self._waiting[sale_id]
        return batch

    async def _ask(self, sale_id: str, batch: list[_Asked]) -> None:
        user_ids = list(dict.fromkeys(asked.user_id for asked in batch))
        try:
            found = await self._ledger.reservations_of_each(sale_id, user_ids)
        except LedgerError as error:
            for asked in batch:
                _fail(asked, error)
            return
        except BaseException:
            for asked in batch:
                _fail(asked, LedgerUnavailableError("the lookup was given up"))
            raise
        of = dict(zip(user_ids, found, strict=True))
        for asked in batch:
            if not asked.answer.done():  # he went meanwhile
                asked.answer.set_result(of[asked.user_id])


def _fail(asked: _Asked, error: LedgerError) -> None:
    if not asked.answer.done():
        asked.answer.set_exception(error)
