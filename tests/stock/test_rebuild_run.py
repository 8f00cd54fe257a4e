"""A rebuild on a real store: what the scripts write is what the plan's rows fold to, and the sale goes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from liveserver.stock import limits, rebuild_run
from liveserver.stock.audit import Progress, audit
from liveserver.stock.export import OrderLine, feed_entries, orders
from liveserver.stock.journal import Fact, Told
from liveserver.stock.journal_ledger import JournalLedger
from liveserver.stock.ledger import ValkeyLedger
from liveserver.stock.port import (
    LedgerUnavailableError,
    Outcome,
    Reservation,
    ReservationState,
    SaleStatus,
    UnknownReservationError,
)
from liveserver.stock.rebuild import Plan, Put, Step
from liveserver.stock.rebuild_report import RebuildReport
from liveserver.stock.rebuild_run import Notes, NotProvedError, carry_out, look
from liveserver.stock.rebuild_sources import RebuildError, SaleOrder
from liveserver.stock.rows import Corrected, Frozen, Rebuilding, Recovered, Ref, Reopened, Restored, parse_row
from liveserver.stock.scripts import feed_key, keys_of
from tests.stock.conftest import HOLD_MS, ValkeyBench, order
from tests.stock.contents import contents
from tests.stock.history import busy

S = ReservationState


class Noted:
    def __init__(self) -> None:
        self.facts: list[Fact] = []

    def append(self, facts: Sequence[Fact]) -> None:
        self.facts += facts


class Shop(ValkeyBench):
    """A bench whose ledger keeps a journal, on a store that can be put back to what it was."""

    def __init__(self, bench: ValkeyBench) -> None:
        super().__init__(bench.clock, bench.client)
        self.journal = Noted()
        inner = ValkeyLedger(bench.client, bench.clock, on_lined=lambda lined: noted.lined(lined))
        self.ledger = noted = JournalLedger(inner, self.journal, bench.clock)

    async def copy(self) -> dict[str, bytes]:
        keys = [key.decode() async for key in self.client.scan_iter(match="*")]
        return {key: await self.client.dump(key) or b"" for key in keys}

    async def put_back(self, copy: dict[str, bytes]) -> None:
        await self.client.flushall()
        for key, value in copy.items():
            await self.client.restore(key, 0, value)
        await self.pin()

    async def notice(self) -> None:
        """The next call finds what was lost, and freezes the sale."""
        assert (await self.ledger.expire("s1")).view.status is SaleStatus.FROZEN

    async def look(self, given: Sequence[OrderLine] = ()) -> Plan:
        notes = Notes(list(self.journal.facts), [])
        return await look(self.client, "s1", notes, given, now_ms=self.clock.now_ms())

    async def rebuild(self, given: Sequence[OrderLine] = ()) -> RebuildReport:
        report = await carry_out(self.client, await self.look(given), actor="eve", command_id="rebuild-1")
        found = await audit(self.client, "s1")
        assert found.findings == []
        assert (found.available, found.held, found.confirmed) == (
            report.available,
            report.held,
            report.confirmed,
        )
        return report

    async def kinds(self) -> list[str]:
        return [fields[b"kind"].decode() async for _, fields in feed_entries(self.client, "s1")]


@pytest.fixture
def shop(valkey_bench: ValkeyBench) -> Shop:
    return Shop(valkey_bench)


async def standing(client: Redis) -> dict[tuple[str, str], tuple[str, ReservationState]]:
    return {
        (one.user_id, one.command_id): (one.reservation_id, one.state) async for one in orders(client, "s1")
    }


async def test_an_ordered_freeze_is_lifted_and_nothing_else_changes(shop: Shop) -> None:
    opened = await shop.open(shop.spec((5,)))
    await shop.buy("ann", "c1")
    await shop.ledger.freeze("s1", actor="eve", command_id="f1")
    before = await standing(shop.client)
    report = await shop.rebuild()
    assert report.whole and report.frozen == ("ordered",) and not report.afresh
    assert await shop.kinds() == ["open", "reserve", "freeze", "rebuild", "reopen"]
    assert await standing(shop.client) == before
    assert await shop.client.hget(keys_of("s1")[0], "format") == str(limits.FORMAT).encode()
    bought = await shop.buy("bob", "c1")
    assert (bought.outcome, bought.epoch > opened.epoch) == (Outcome.RESERVED, True)
    assert bought.reservation is not None and bought.reservation.reservation_id == "s1~bob~0"
    await shop.ledger.confirm("s1~ann~0", command_id="p")
    assert (await audit(shop.client, "s1")).findings == []


async def test_a_busy_sale_behind_what_was_told_is_put_together_again(shop: Shop) -> None:
    """Half of its history is lost; every reservation anybody was told of is there again, by the same id, and
    each command answers it."""
    await busy(shop, calls=30)
    early = await shop.copy()
    for number in range(40):
        await shop.ledger.reserve("s1", [order(f"v{number}", "late", (number % 2, 1))])
        if number % 3 == 0:
            await shop.ledger.adjust("s1", "i1", 1, actor="eve", reason="more", command_id=f"m{number}")
        if number % 4 == 0:
            bought = await shop.ledger.lookup("s1", f"v{number}", "late")
            if bought is not None:
                await shop.ledger.confirm(bought.reservation_id, command_id="p")
        if number % 4 == 1:
            for one in await shop.ledger.reservations_of("s1", f"u{number}"):
                if one.state is S.HELD:
                    await shop.ledger.confirm(one.reservation_id, command_id="p")
    await shop.ledger.pause("s1", actor="eve", command_id="pause-1")
    truth = await standing(shop.client)
    view = await shop.ledger.view("s1")
    await shop.put_back(early)
    await shop.notice()
    report = await shop.rebuild()
    assert report.frozen == ("behind",) and report.conflicts == [] and report.lost == []
    assert len(report.recovered) > 10 and report.corrected and len(report.put_back) > 10
    assert await standing(shop.client) == truth
    again = await shop.ledger.view("s1")
    assert (again.available, again.held, again.confirmed, again.status) == (
        view.available,
        view.held,
        view.confirmed,
        SaleStatus.PAUSED,
    )
    known = await shop.ledger.pause("s1", actor="eve", command_id="pause-1")
    assert (known.epoch, known.seq) == (again.epoch, again.seq)
    await shop.ledger.resume("s1", actor="eve", command_id="resume-1")
    replay = await shop.buy("v0", "late", (0, 1))
    assert (replay.replayed, replay.reservation and replay.reservation.reservation_id) == (True, "s1~v0~0")
    new = await shop.buy("newcomer", "c1", (0, 1))
    assert new.reservation is not None and new.reservation.reservation_id == "s1~newcomer~64"
    assert await shop.ledger.reservation("s1~newcomer~64") == new.reservation
    with pytest.raises(UnknownReservationError):
        await shop.ledger.confirm("s1~newcomer~0", command_id="p")
    await shop.advance(HOLD_MS)
    swept = await shop.ledger.expire("s1")
    while swept.more:
        swept = await shop.ledger.expire("s1")
    assert not any(swept.view.held.values())
    assert (await audit(shop.client, "s1")).findings == []


async def test_a_sale_of_which_nothing_is_left_begins_afresh(shop: Shop) -> None:
    await shop.open(shop.spec((5, 5), limit=3))
    await shop.buy("ann", "c1", (0, 2))
    await shop.buy("bob", "c1", (1, 1))
    await shop.ledger.confirm("s1~ann~0", command_id="p")
    await shop.ledger.adjust("s1", "i0", 2, actor="eve", reason="two more", command_id="a1")
    truth = await standing(shop.client)
    await shop.client.flushall()
    await shop.pin()
    report = await shop.rebuild()
    assert report.afresh and report.epoch == 0 and len(report.recovered) == 2
    assert await shop.kinds() == ["open", "freeze", "rebuild", "adjust", "recover", "recover", "reopen"]
    assert await standing(shop.client) == truth
    rows = [parse_row("s1", *entry) async for entry in feed_entries(shop.client, "s1")]
    assert isinstance(rows[1], Frozen) and rows[1].reason == "lost"
    assert {type(row) for row in rows[2:]} >= {Rebuilding, Recovered, Reopened}
    assert (await shop.buy("ann", "c1", (0, 2))).replayed
    assert (await shop.buy("cat", "c1")).outcome is Outcome.RESERVED
    await shop.ledger.adjust("s1", "i0", 2, actor="eve", reason="two more", command_id="a1")
    assert (await shop.ledger.view("s1")).adjusted == {"i0": 2, "i1": 0}


async def test_a_feed_of_no_use_is_put_aside(shop: Shop) -> None:
    await busy(shop, calls=10)
    await shop.ledger.freeze("s1", actor="eve", command_id="f1")
    truth = await standing(shop.client)
    entries = [entry async for entry in feed_entries(shop.client, "s1")]
    await shop.client.xdel(feed_key("s1"), entries[4][0])
    report = await shop.rebuild()
    assert report.afresh and "gapless" in report.broken[0]
    there = await standing(shop.client)
    assert there.keys() == truth.keys()
    assert {key: named for key, (named, _) in there.items()} == {
        key: named for key, (named, _) in truth.items()
    }
    (aside,) = [key async for key in shop.client.scan_iter(match="*:aside:*")]
    assert await shop.client.xlen(aside) == len(entries) - 1
    keys = {key.decode() async for key in shop.client.scan_iter(match="{sale:s1}*")}
    assert keys - {aside.decode()} <= set(keys_of("s1"))


async def test_a_lost_hold_is_paid_late(shop: Shop) -> None:
    """Its time has run out while the store was away: with units left it is confirmed, without the money goes
    back."""
    await shop.open(shop.spec((2,)))
    early = await shop.copy()
    await shop.buy("ann", "c1")
    await shop.buy("bob", "c1")
    await shop.put_back(early)
    await shop.notice()
    await shop.advance(HOLD_MS)
    report = await shop.rebuild()
    assert [(one.reservation_id, one.why) for one in report.lost] == [
        ("s1~ann~0", "its time has run out"),
        ("s1~bob~0", "its time has run out"),
    ]
    assert (await shop.ledger.confirm("s1~ann~0", command_id="p")).reservation.state is S.CONFIRMED
    assert (await shop.buy("cat", "c1")).outcome is Outcome.RESERVED
    assert (await shop.ledger.confirm("s1~bob~0", command_id="p")).reservation.state is S.REFUND_DUE
    assert (await audit(shop.client, "s1")).findings == []


async def test_what_the_order_service_confirmed_is_confirmed_and_a_return_is_corrected(shop: Shop) -> None:
    await shop.open(shop.spec((3,), limit=2))
    await shop.buy("ann", "c1", (0, 1))
    early = await shop.copy()
    await shop.buy("bob", "c1", (0, 1))
    await shop.ledger.confirm("s1~ann~0", command_id="p")
    await shop.ledger.confirm("s1~bob~0", command_id="p")
    paid = [one async for one in orders(shop.client, "s1")]
    await shop.ledger.return_order("s1~ann~0", command_id="t", limit_back=False)
    shop.journal.facts = [fact for fact in shop.journal.facts if "bob" not in repr(fact)]
    await shop.put_back(early)
    await shop.notice()
    report = await shop.rebuild(paid)
    assert [(one.reservation_id, one.before, one.state) for one in report.corrected] == [
        ("s1~ann~0", S.HELD, S.RETURNED)
    ]
    assert [(one.reservation_id, one.state) for one in report.recovered] == [("s1~bob~0", S.CONFIRMED)]
    assert (report.available, report.confirmed) == ({"i0": 2}, {"i0": 1})
    assert (await shop.buy("ann", "c2", (0, 2))).outcome is Outcome.LIMIT_REACHED  # his return kept it
    rows = [parse_row("s1", *entry) async for entry in feed_entries(shop.client, "s1")]
    (corrected,) = [row for row in rows if isinstance(row, Corrected)]
    assert not corrected.limit_back


async def test_who_stands_in_line_is_served_after_it(shop: Shop) -> None:
    await shop.open(replace(shop.spec((1,)), waitlist=5))
    for user in ("ann", "bob", "cat"):
        await shop.buy(user, "c1")
    await shop.ledger.freeze("s1", actor="eve", command_id="f1")
    await shop.client.delete(keys_of("s1")[5])  # the line is lost: the sale begins afresh
    report = await shop.rebuild()
    assert report.afresh and report.lost == []
    await shop.ledger.release("s1~ann~0", command_id="r")
    await shop.ledger.expire("s1")
    served = await shop.ledger.reservation("s1~bob~0")
    assert served.state is S.HELD
    assert (await shop.ledger.reservation("s1~cat~0")).state is S.WAITING
    assert (await audit(shop.client, "s1")).findings == []


async def test_who_left_the_line_or_was_served_has(shop: Shop) -> None:
    """The feed has them waiting: one gave up, one was served and told so."""
    await shop.open(replace(shop.spec((1,)), waitlist=5))
    for user in ("ann", "bob", "cat", "dan"):
        await shop.buy(user, "c1")
    early = await shop.copy()
    await shop.ledger.release("s1~bob~0", command_id="r1")
    await shop.ledger.release("s1~ann~0", command_id="r2")
    truth = await standing(shop.client)
    assert truth["cat", "c1"][1] is S.HELD
    await shop.put_back(early)
    await shop.notice()
    report = await shop.rebuild()
    assert {(one.reservation_id, one.before, one.state) for one in report.corrected} == {
        ("s1~ann~0", S.HELD, S.RELEASED),
        ("s1~bob~0", S.WAITING, S.RELEASED),
        ("s1~cat~0", S.WAITING, S.HELD),
    }
    assert await standing(shop.client) == truth and report.lost == []
    await shop.advance(HOLD_MS)
    await shop.ledger.expire("s1")
    assert (await standing(shop.client))["dan", "c1"][1] is S.HELD
    assert (await audit(shop.client, "s1")).findings == []


async def test_who_is_served_is_noted_before_he_is_told(shop: Shop) -> None:
    """By whichever call he was served."""
    heard: list[list[Fact]] = []  # what stood in the journal when somebody was told

    def hear(lined: list[Reservation]) -> None:
        assert [one.state for one in lined] == [S.HELD]
        heard.append(list(shop.journal.facts[-1:]))

    inner = ValkeyLedger(shop.client, shop.clock, on_lined=lambda lined: noted.lined(lined))
    noted = JournalLedger(inner, shop.journal, shop.clock, on_lined=hear)
    shop.ledger = noted
    await shop.open(replace(shop.spec((1,)), waitlist=9))
    for user in ("ann", "bob", "cat", "dan", "eve"):
        await shop.buy(user, "c1")
    await noted.release("s1~ann~0", command_id="r1")  # serves bob
    await shop.advance(HOLD_MS)
    await noted.expire("s1")  # cat
    await shop.advance(HOLD_MS)
    await shop.buy("fay", "c1")  # dan
    await noted.adjust("s1", "i0", 1, actor="eve", reason="", command_id="a1")  # eve
    assert [[one.reservation_id for one in facts if isinstance(one, Told)] for facts in heard] == [
        [f"s1~{user}~0"] for user in ("bob", "cat", "dan", "eve")
    ]
    assert all(one.state is S.HELD for facts in heard for one in facts if isinstance(one, Told))


async def test_the_epoch_is_the_stores_time_and_above_all_that_were_told(shop: Shop) -> None:
    opened = await shop.open(shop.spec((5,)))
    await shop.advance(5_000)
    await shop.ledger.freeze("s1", actor="eve", command_id="f1")
    await shop.rebuild()
    first = await shop.ledger.view("s1")
    assert first.epoch == shop.clock.now_ms() > opened.epoch
    await shop.ledger.freeze("s1", actor="eve", command_id="f2")
    await shop.rebuild()
    second = await shop.ledger.view("s1")
    assert second.epoch == first.epoch + 1 and second.seq > first.seq
    await shop.buy("ann", "c1")
    told = shop.journal.facts[-1]
    assert isinstance(told, Told)
    later = replace(told, epoch=told.epoch + 10**6)  # of a primary that is gone
    shop.journal.facts.append(later)
    await shop.ledger.freeze("s1", actor="eve", command_id="f3")
    await shop.rebuild()
    assert (await shop.ledger.view("s1")).epoch == later.epoch + 1


async def test_a_plan_that_does_not_fit_is_refused_by_the_store(shop: Shop) -> None:
    await shop.open(shop.spec((5,)))
    await shop.buy("ann", "c1")
    await shop.ledger.freeze("s1", actor="eve", command_id="f1")

    def put(kind: str, user: str, command: str, units: int) -> Put:
        order = Restored(Ref(user, 0), command, ((0, units),), S.CONFIRMED, 5)
        return Put(kind, 0, True, (order,))

    wrong: dict[str, list[Step]] = {
        "wrong": [
            put("recover", "ann", "c2", 1),
            put("correct", "ann", "c2", 1),
            put("correct", "bob", "c1", 1),
        ],
        "negative": [put("recover", "bob", "c1", 5), SaleOrder("adjust", "eve", "a1", 0, -5)],
    }
    for answer, steps in wrong.items():
        for step in steps:
            made = replace(await shop.look(), steps=[step])
            with pytest.raises(RebuildError, match=answer):
                await carry_out(shop.client, made, actor="eve", command_id="r1")
    assert (await shop.rebuild()).held == {"i0": 1}


async def test_what_cannot_be_verified_stays_frozen(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    await shop.open(shop.spec((5,)))
    await shop.buy("ann", "c1")
    await shop.ledger.freeze("s1", actor="eve", command_id="f1")
    made = await shop.look()

    async def after_some_rot(client: Redis, sale_id: str, **more: Any) -> Any:
        await client.hincrby(keys_of(sale_id)[0], "a0", 1)
        return await audit(client, sale_id, **more)

    monkeypatch.setattr(rebuild_run, "audit", after_some_rot)
    with pytest.raises(NotProvedError, match="counters"):
        await carry_out(shop.client, made, actor="eve", command_id="r1")
    monkeypatch.undo()
    with pytest.raises(LedgerUnavailableError, match="rebuilt"):
        await shop.buy("bob", "c1")
    report = await shop.rebuild()
    assert report.afresh and report.available == {"i0": 4}


async def test_a_sale_that_is_closed_stays_closed(shop: Shop) -> None:
    await shop.open(shop.spec((5,)))
    await shop.buy("ann", "c1")
    await shop.ledger.close("s1", actor="eve", command_id="x1")
    await shop.ledger.freeze("s1", actor="eve", command_id="f1")
    await shop.rebuild()
    assert (await shop.buy("bob", "c1")).outcome is Outcome.CLOSED
    assert (await shop.ledger.confirm("s1~ann~0", command_id="p")).reservation.state is S.CONFIRMED


async def test_looking_changes_nothing(shop: Shop) -> None:
    await busy(shop, calls=10)
    early = await shop.copy()
    await busy_more(shop)
    await shop.put_back(early)
    await shop.notice()
    before = await contents(shop.client)
    made = await shop.look()
    assert made.steps and await contents(shop.client) == before


async def busy_more(shop: Shop) -> None:
    for number in range(20):
        await shop.ledger.reserve("s1", [order(f"w{number}", "c1", (0, 1))])


async def test_a_sale_that_is_not_frozen_is_not_rebuilt(shop: Shop) -> None:
    await shop.open(shop.spec((5,)))
    made = await shop.look()
    before = await contents(shop.client)
    with pytest.raises(RebuildError, match="not frozen"):
        await carry_out(shop.client, made, actor="eve", command_id="r1")
    assert await contents(shop.client) == before


async def test_a_sale_that_moved_since_is_not_rebuilt(shop: Shop) -> None:
    await shop.open(shop.spec((5,)))
    await shop.buy("ann", "c1")
    await shop.ledger.freeze("s1", actor="eve", command_id="f1")
    made = await shop.look()
    await shop.ledger.release("s1~ann~0", command_id="r")
    with pytest.raises(RebuildError, match="look again"):
        await carry_out(shop.client, made, actor="eve", command_id="r1")
    assert (await shop.rebuild()).available == {"i0": 5}


async def test_ended_half_way_it_goes_on_when_asked_again(shop: Shop) -> None:
    """And meanwhile nothing else is done to the sale, which holds every law."""
    await busy(shop, calls=5)
    early = await shop.copy()
    await busy_more(shop)
    await shop.ledger.adjust("s1", "i0", 3, actor="eve", reason="", command_id="z1")
    truth = await standing(shop.client)
    await shop.put_back(early)
    await shop.notice()
    calls = len((await shop.look()).steps)
    assert calls >= 2
    for stop in range(1, calls + 1):
        await shop.put_back(early)
        await shop.notice()

        class EndedError(Exception):
            pass

        def end(progress: Progress, stop: int = stop) -> None:
            if progress.part == rebuild_run.PUT and progress.done == stop:
                raise EndedError

        with pytest.raises(EndedError):
            await carry_out(shop.client, await shop.look(), actor="eve", command_id="r1", on_progress=end)
        assert (await audit(shop.client, "s1")).findings == []
        with pytest.raises(LedgerUnavailableError, match="rebuilt"):
            await shop.buy("eve", "c9")
        with pytest.raises(LedgerUnavailableError, match="rebuilt"):
            await shop.ledger.expire("s1")
        await shop.rebuild()
        assert await standing(shop.client) == truth
