"""The desk and the holds of its sales: who is swept, until when, and who is told of it. On a real store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import cast

import pytest
from redis.asyncio import Redis

from liveserver.commands.ports import NoticeKind, decided
from liveserver.hub.notices import Notices
from liveserver.hub.rooms import Rooms
from liveserver.hub.shelf import Shelf
from liveserver.hub.stock_desk import StockDesk
from liveserver.stock.ledger import ValkeyLedger
from liveserver.stock.port import LedgerError, Reservation, SaleStatus, StockView
from liveserver.stock.scripts import keys_of
from liveserver.valkey.connect import call_client
from tests.clock import ManualClock
from tests.stock.conftest import ValkeyBench, order

ROOM = "r1"


class OneRoom:
    """The rooms of this process: one, which hears what the desk says."""

    def __init__(self) -> None:
        self.views: list[StockView] = []
        self.told: list[tuple[str, str, str]] = []  # (kind, user, reservation)
        self.bought_by: list[str] = []

    def held(self, room: str) -> OneRoom | None:
        return self if room == ROOM else None

    def observe(self, view: StockView) -> bool:
        self.views.append(view)
        return True

    def bought(self, user_id: str) -> None:
        self.bought_by.append(user_id)

    def tell(self, kind: NoticeKind, reservation: Reservation, rooms: list[str], *, anywhere: bool) -> None:
        assert rooms == [ROOM] and not anywhere
        self.told.append((kind, reservation.user_id, reservation.reservation_id))


class Swept(ValkeyBench):
    def __init__(self, clock: ManualClock, client: Redis) -> None:
        super().__init__(clock, client)
        self.rooms = OneRoom()
        self.desk = StockDesk(self.ledger, clock, deadline_ms=300)
        shelf = SimpleNamespace(observe=lambda _: None)
        self.desk.use(cast(Rooms, self.rooms), cast(Notices, self.rooms), cast(Shelf, shelf))

    async def buys(self, user_id: str) -> None:
        await decided(self.desk.purchase("s1", order(user_id, "c1"), attempt=0))

    async def beats(self, delay_ms: int) -> None:
        """Time passes, and the sweeper has done what is to be done then."""
        await self.advance(delay_ms)
        await self.beat()

    async def beat(self) -> None:
        async with asyncio.timeout(10):
            await self.desk._sweeper.beat()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def swept(valkey: Redis, valkey_url: str, clock: ManualClock) -> AsyncIterator[Swept]:
    client = call_client(valkey_url)
    made = Swept(clock, client)
    yield made
    await made.desk.aclose()
    await client.aclose()


async def test_a_hold_that_runs_out_is_told_its_own_user_and_only_once(swept: Swept) -> None:
    await swept.open(swept.spec((5,), hold_ms=5_000))
    swept.desk.concerns(ROOM, "s1")
    for user in ("ann", "bob"):
        await swept.buys(user)
    assert swept.rooms.bought_by == ["ann", "bob"]
    await swept.ledger.confirm("s1~bob~0", command_id="p")
    await swept.beats(4_999)
    assert swept.rooms.told == []
    await swept.beats(1)
    await swept.beats(1_000)
    assert swept.rooms.told == [("reservationExpired", "ann", "s1~ann~0")]
    assert swept.rooms.views[-1].available == {"i0": 4}


async def test_a_closed_sale_is_swept_until_nothing_is_held(swept: Swept) -> None:
    await swept.open(swept.spec((5,), hold_ms=5_000))
    swept.desk.concerns(ROOM, "s1")
    await swept.buys("ann")
    swept.desk.observe(await swept.ledger.close("s1", actor="eve", command_id="x"))
    await swept.beats(5_000)
    assert swept.rooms.told == [("reservationExpired", "ann", "s1~ann~0")]
    last = swept.rooms.views[-1]
    assert (last.status, last.held) == (SaleStatus.CLOSED, {"i0": 0})
    heard = len(swept.rooms.views)
    swept.desk.concerns(ROOM, "s1")  # its room is held still, but there is nothing left to sweep
    await swept.beats(5_000)
    assert len(swept.rooms.views) == heard


async def test_a_sale_opened_anew_after_its_end_is_swept_again_and_its_holders_are_told(swept: Swept) -> None:
    """It was archived, and its id is used once more; so it is with one that a rebuild opened again."""
    await swept.open(swept.spec((5,), hold_ms=5_000))
    swept.desk.concerns(ROOM, "s1")
    swept.desk.observe(await swept.ledger.close("s1", actor="eve", command_id="x"))
    assert swept.desk.sales() == []
    await swept.client.delete(*keys_of("s1"))
    await swept.advance(1_000)
    swept.desk.observe(await swept.open(swept.spec((5,), hold_ms=5_000)))
    swept.desk.concerns(ROOM, "s1")
    assert swept.desk.sales() == ["s1"]
    await swept.buys("ann")
    await swept.beats(5_000)
    assert swept.rooms.told == [("reservationExpired", "ann", "s1~ann~0")]


async def test_a_sale_that_cannot_be_swept_stops_no_other_and_is_swept_when_it_can(swept: Swept) -> None:
    await swept.open(swept.spec((5,), hold_ms=5_000))
    swept.desk.concerns(ROOM, "s0")  # announced, and never opened
    swept.desk.concerns(ROOM, "s1")
    await swept.buys("ann")
    await swept.advance(5_000)
    await swept.client.config_set("maxmemory", "1")  # so that it refuses every write
    try:
        with pytest.raises(LedgerError):
            await swept.ledger.expire("s1")
        await swept.beat()
    finally:
        await swept.client.config_set("maxmemory", "0")
    assert swept.rooms.told == []
    await swept.beats(1_000)
    assert swept.rooms.told == [("reservationExpired", "ann", "s1~ann~0")]


async def test_who_waits_is_told_that_he_was_served_or_skipped(swept: Swept) -> None:
    told: list[Reservation] = []
    await swept.open(swept.spec((1,), limit=1, waitlist=5))
    swept.desk.concerns(ROOM, "s1")
    for user in ("ann", "bob", "cem"):
        await swept.buys(user)
    assert swept.rooms.bought_by == ["ann"]
    assert isinstance(swept.ledger, ValkeyLedger)
    swept.ledger._on_lined = told.extend  # as the program wires it
    await swept.ledger.release("s1~ann~0", command_id="r")
    swept.desk.lined(told)
    assert swept.rooms.told == [("reservationServed", "bob", "s1~bob~0")]
    assert swept.rooms.bought_by == ["ann", "bob"]


async def test_who_is_skipped_in_line_is_told_so_and_has_bought_nothing(swept: Swept) -> None:
    """Bob waits for one item and reaches his limit with another."""
    told: list[Reservation] = []
    await swept.open(swept.spec((1, 1), limit=1, waitlist=5))
    swept.desk.concerns(ROOM, "s1")
    for user in ("ann", "bob", "cem"):
        await swept.buys(user)
    await swept.ledger.reserve("s1", [order("bob", "c9", (1, 1))])
    assert isinstance(swept.ledger, ValkeyLedger)
    swept.ledger._on_lined = told.extend
    await swept.ledger.release("s1~ann~0", command_id="r")
    swept.desk.lined(told)
    expected = [("reservationSkipped", "bob", "s1~bob~0"), ("reservationServed", "cem", "s1~cem~0")]
    assert sorted(swept.rooms.told) == sorted(expected)
    assert swept.rooms.bought_by == ["ann", "cem"]
