"""A crowd's lookups: shared calls, each his own answer, and nobody left waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from liveserver.hub.lookups import CALLS_MAX, Lookups
from liveserver.hub.tasks import Tasks
from liveserver.stock.limits import LOOKUP_USERS_MAX
from liveserver.stock.port import Ledger, LedgerUnavailableError, Reservation, UnknownSaleError


class SlowLedger:
    """Answers when the test says so; whoever asks gets his own name back."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, list[str]]] = []
        self.may_answer = asyncio.Event()
        self.error: Exception | None = None

    async def reservations_of_each(self, sale_id: str, user_ids: Sequence[str]) -> list[list[Reservation]]:
        self.asked.append((sale_id, list(user_ids)))
        await self.may_answer.wait()
        if self.error is not None:
            raise self.error
        return [cast(Any, [sale_id, user_id]) for user_id in user_ids]


@pytest.fixture
def ledger() -> SlowLedger:
    return SlowLedger()


@pytest.fixture
def tasks() -> Tasks:
    return Tasks()


@pytest.fixture
def lookups(ledger: SlowLedger, tasks: Tasks) -> Lookups:
    return Lookups(cast(Ledger, ledger), tasks)


async def asked_by(lookups: Lookups, sale_id: str, users: Sequence[str]) -> list[asyncio.Task[Any]]:
    asking = [asyncio.create_task(lookups.of(sale_id, user)) for user in users]
    for _ in range(3):
        await asyncio.sleep(0)
    return asking


async def test_a_crowd_shares_calls_and_each_hears_his_own(ledger: SlowLedger, lookups: Lookups) -> None:
    crowd = [f"u{number}" for number in range(3 * LOOKUP_USERS_MAX)]
    asking = await asked_by(lookups, "s1", crowd)
    ledger.may_answer.set()
    assert await asyncio.gather(*asking) == [["s1", user] for user in crowd]
    assert [len(users) for _, users in ledger.asked] == [LOOKUP_USERS_MAX] * 3
    assert (lookups._waiting, lookups._calls) == ({}, {})


async def test_who_asks_during_a_call_is_answered_by_a_later_one(
    ledger: SlowLedger, lookups: Lookups
) -> None:
    first = await asked_by(lookups, "s1", ["ann"])
    second = await asked_by(lookups, "s1", ["ann", "bob"])
    third = await asked_by(lookups, "s1", ["ann", "cleo", "ann"])
    assert ledger.asked == [("s1", ["ann"]), ("s1", ["ann", "bob"])], f"{CALLS_MAX} calls are under way"
    ledger.may_answer.set()
    assert await asyncio.gather(*first, *second, *third) == [
        ["s1", user] for user in ("ann", "ann", "bob", "ann", "cleo", "ann")
    ]
    assert ledger.asked[2:] == [("s1", ["ann", "cleo"])], "each once"


async def test_sales_are_asked_apart(ledger: SlowLedger, lookups: Lookups) -> None:
    ledger.may_answer.set()
    one, other = await asyncio.gather(lookups.of("s1", "ann"), lookups.of("s2", "ann"))
    assert cast(Any, (one, other)) == (["s1", "ann"], ["s2", "ann"])


@pytest.mark.parametrize("error", [LedgerUnavailableError("away"), UnknownSaleError("s1")])
async def test_a_failure_is_everybody_s_and_the_next_call_s_no_more(
    ledger: SlowLedger, lookups: Lookups, error: Exception
) -> None:
    ledger.error = error
    ledger.may_answer.set()
    for asking in await asked_by(lookups, "s1", ["ann", "bob"]):
        with pytest.raises(type(error)):
            await asking
    ledger.error = None
    assert cast(Any, await lookups.of("s1", "ann")) == ["s1", "ann"]


async def test_one_who_goes_takes_nobody_along(ledger: SlowLedger, lookups: Lookups) -> None:
    gone, stays = await asked_by(lookups, "s1", ["ann", "bob"])
    gone.cancel()
    await asyncio.sleep(0)
    ledger.may_answer.set()
    assert await stays == ["s1", "bob"]


async def test_when_the_hub_stops_nobody_is_left_waiting(
    ledger: SlowLedger, lookups: Lookups, tasks: Tasks
) -> None:
    under_way = await asked_by(lookups, "s1", ["ann"]) + await asked_by(lookups, "s1", ["bob"])
    waiting = await asked_by(lookups, "s1", ["cleo"])
    await tasks.stop()
    for asking in under_way + waiting:
        with pytest.raises(LedgerUnavailableError):
            await asking


async def test_nobody_waits_for_a_call_that_can_not_begin(
    lookups: Lookups, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("liveserver.hub.tasks.TASKS_MAX", 0)
    with pytest.raises(LedgerUnavailableError):
        await lookups.of("s1", "ann")
