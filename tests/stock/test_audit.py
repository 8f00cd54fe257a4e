"""The audit: silent on a sale that is true, also while it sells; whatever is changed by hand is named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from liveserver.stock import audit as auditing
from liveserver.stock import feed
from liveserver.stock.audit import Progress, audit
from liveserver.stock.fold import Law
from liveserver.stock.rows import Expired
from liveserver.stock.sales import find_sales
from liveserver.stock.scripts import keys_of
from tests.stock.conftest import HOLD_MS, ValkeyBench, order
from tests.stock.history import busy

META, BUYERS, FEED, DUE, _, LINE = keys_of("s1")


async def test_a_busy_sale_is_true(valkey_bench: ValkeyBench) -> None:
    bench = valkey_bench
    await busy(bench)
    told: list[Progress] = []
    report = await audit(bench.client, "s1", on_progress=told.append)
    view = await bench.ledger.view("s1")
    assert report.findings == []
    assert (report.epoch, report.seq) == (view.epoch, view.seq)
    assert (report.available, report.held, report.confirmed) == (view.available, view.held, view.confirmed)
    assert report.confirmed["i0"] and report.held["i0"] and report.adjusted["i0"] and report.buyers > 150
    assert [part for part in ("rows", "buyers", "holds") if any(one.part == part for one in told)] == [
        "rows",
        "buyers",
        "holds",
    ]
    assert all(0 <= one.done <= one.total for one in told)


async def test_a_sale_is_audited_while_it_sells(
    valkey_bench: ValkeyBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before each of its reads orders are granted, one is paid, time goes on and what is due expires."""
    bench = valkey_bench
    await bench.open(bench.spec((100_000, 100_000), limit=3, hold_ms=200))
    calls = 0

    async def sell() -> None:
        nonlocal calls
        calls += 1
        batch = [order(f"v{calls % 397}-{k}", f"c{calls}", (k % 2, 1)) for k in range(5)]
        verdicts, _ = await bench.ledger.reserve("s1", batch)
        if verdicts[0].reservation is not None:
            await bench.ledger.confirm(verdicts[0].reservation.reservation_id, command_id="p")
        await bench.advance(1)

    def selling_before(read: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def reading(*args: Any, **kwargs: Any) -> Any:
            await sell()
            return await read(*args, **kwargs)

        return reading

    for _ in range(300):  # so that neither buyers nor holds fit one page
        await sell()
    monkeypatch.setattr(auditing, "PAGE", 20)
    monkeypatch.setattr(auditing, "read_entries", selling_before(feed.read_entries))
    monkeypatch.setattr(auditing._Audit, "_page", selling_before(auditing._Audit._page))
    told: list[Progress] = []
    report = await audit(bench.client, "s1", on_progress=told.append)
    pages = Counter(one.part for one in told)
    assert report.findings == []
    assert pages["buyers"] > 20 and pages["holds"] > 5 and calls > 350
    expired = [row for row in await bench.feed() if isinstance(row, Expired)]
    assert expired[-1].last > 1 + 5 * 300  # holds that were there at its first page have ended under it


async def test_pages_of_a_large_hash_are_all_seen(valkey_bench: ValkeyBench) -> None:
    bench = valkey_bench
    await bench.open(bench.spec((99_999,)))
    for call in range(12):
        await bench.ledger.reserve("s1", [order(f"u{call}-{k}", "c") for k in range(120)])
    shown: list[Progress] = []
    report = await audit(bench.client, "s1", on_progress=shown.append)
    assert report.findings == [] and report.buyers == 1_440
    assert sum(one.part == "buyers" for one in shown) > 1
    await bench.client.hdel(BUYERS, "u7-77")
    report = await audit(bench.client, "s1")
    assert [(one.where, one.law, one.text) for one in report.findings] == [
        ("buyers u7-77", Law.BUYER, "is missing")
    ]


Break = Callable[[Redis], Awaitable[Any]]


async def _entry(client: Redis, place: int) -> tuple[bytes, dict[bytes, bytes]]:
    entries: Any = await client.xrange(FEED)
    entry: tuple[bytes, dict[bytes, bytes]] = entries[place]
    return entry


async def _delete_row(client: Redis, place: int) -> None:
    await client.xdel(FEED, (await _entry(client, place))[0])


async def _rewrite(client: Redis, kind: bytes, field: bytes, change: Callable[[bytes], bytes]) -> None:
    """The first row of a kind, changed in place: streams only grow, so all of it is written anew."""
    entries: Any = await client.xrange(FEED)
    at = next(place for place, (_, fields) in enumerate(entries) if fields[b"kind"] == kind)
    entries[at][1][field] = change(entries[at][1][field])
    await client.delete(FEED)
    for entry_id, fields in entries:
        await client.xadd(FEED, fields, id=entry_id)


async def _put_off(client: Redis) -> None:
    """The holds of a call end a millisecond later than they were promised to."""
    members: Any = await client.zrange(DUE, 0, -1)
    await client.zincrby(DUE, 1, members[0])


async def _rename_buyer(client: Redis) -> None:
    value = await client.hget(BUYERS, "ann")
    await client.hdel(BUYERS, "ann")
    await client.hset(BUYERS, "mallory", value or b"")


@pytest.mark.parametrize(
    ("harm", "law", "where"),
    [
        (lambda c: c.hincrby(META, "a0", 1), Law.COUNTERS, "meta a0"),
        (lambda c: c.hincrby(META, "h1", -1), Law.COUNTERS, "meta h1"),
        (lambda c: c.hincrby(META, "c0", 1), Law.COUNTERS, "meta c0"),
        (lambda c: c.hset(META, "d0", "2"), Law.COUNTERS, "meta d0"),
        (lambda c: c.hdel(META, "a0"), Law.COUNTERS, "meta a0"),
        (lambda c: c.hincrby(META, "seq", -1), Law.POSITION, "meta seq"),
        (lambda c: c.hincrby(META, "epoch", 1), Law.POSITION, "meta seq"),
        (lambda c: c.hset(META, "status", "closed"), Law.STATUS, "meta status"),
        (lambda c: c.hset(META, "limit", "9"), Law.TERMS, "meta limit"),
        (lambda c: c.delete(META), Law.MISSING, "meta"),
        (lambda c: c.delete(FEED), Law.MISSING, "feed"),
        (lambda c: _delete_row(c, 0), Law.GAPLESS, "row 1"),
        (lambda c: _delete_row(c, 2), Law.GAPLESS, "row 3"),
        (lambda c: _delete_row(c, -1), Law.POSITION, "meta seq"),
        (
            lambda c: _rewrite(c, b"reserve", b"orders", lambda text: text.replace(b"0=2", b"0=1")),
            Law.COUNTERS,
            "meta a0",
        ),
        (
            lambda c: _rewrite(c, b"reserve", b"orders", lambda text: text.replace(b"0=2", b"0=2x")),
            Law.FORMAT,
            "row 1",
        ),
        (lambda c: _rewrite(c, b"confirm", b"kind", lambda _: b"gift"), Law.UNKNOWN_KIND, "row 2"),
        (lambda c: _rewrite(c, b"confirm", b"kind", lambda _: b"release"), Law.COUNTERS, "meta a0"),
        (lambda c: _rewrite(c, b"release", b"reservation", lambda _: b"ann 0"), Law.TRANSITION, "row 3"),
        (lambda c: c.hset(BUYERS, "bob", "9;b1 0=1,1=1 h1;"), Law.BUYER, "buyers bob"),
        (lambda c: c.hset(BUYERS, "ann", "2;c1 0=2 r1767000060000;"), Law.BUYER, "buyers ann"),
        (lambda c: c.hdel(BUYERS, "ann"), Law.BUYER, "buyers ann"),
        (lambda c: c.hset(BUYERS, "mallory", "1;c 0=1 h1;"), Law.BUYER, "buyers mallory"),
        (_rename_buyer, Law.BUYER, "buyers mallory"),
        (lambda c: c.delete(DUE), Law.DUE_INDEX, "due of row 1"),
        (lambda c: c.zadd(DUE, {"1-000000000009": 5}), Law.DUE_INDEX, "due 1-000000000009"),
        (lambda c: c.zincrby(DUE, 1, "no member"), Law.DUE_INDEX, "due no member"),
        (lambda c: _put_off(c), Law.DUE_INDEX, "due of row 1"),
    ],
)  # fmt: skip
async def test_what_is_changed_by_hand_is_found_and_named(
    valkey_bench: ValkeyBench, harm: Break, law: Law, where: str
) -> None:
    """Rows: 0 open, 1 reserve of ann, bob and cat, 2 confirm ann, 3 release cat, 4 adjust."""
    bench = valkey_bench
    await bench.open(bench.spec((9, 9), limit=4))
    verdicts, _ = await bench.ledger.reserve(
        "s1", [order("ann", "c1", (0, 2)), order("bob", "b1", (0, 1), (1, 1)), order("cat", "d1", (1, 1))]
    )
    held = [verdict.reservation.reservation_id for verdict in verdicts if verdict.reservation is not None]
    await bench.ledger.confirm(held[0], command_id="p1")
    await bench.ledger.release(held[2], command_id="r1")
    await bench.ledger.adjust("s1", "i0", 1, actor="eve", reason="", command_id="a1")
    entries: Any = await bench.client.xrange(FEED)
    ids: list[bytes] = [entry_id for entry_id, _ in entries]
    await harm(bench.client)
    report = await audit(bench.client, "s1")
    if where.startswith("row "):
        where = ids[int(where.removeprefix("row "))].decode()
    elif where == "due of row 1":
        epoch, last = ids[1].decode().split("-")
        where = f"due {epoch}-{int(last):012d}"
    assert report.findings, "nothing was found"
    assert (report.findings[0].law, report.findings[0].where) == (law, where)


async def test_a_due_entry_lost_is_found_only_while_a_hold_needs_it(valkey_bench: ValkeyBench) -> None:
    bench = valkey_bench
    await bench.open(bench.spec((9,)))
    await bench.buy("ann", "c1")
    await bench.advance(HOLD_MS)
    await bench.ledger.expire("s1")
    assert await bench.client.zcard(DUE) == 0
    assert (await audit(bench.client, "s1")).findings == []


@pytest.mark.parametrize(
    ("harm", "law", "where"),
    [
        (lambda c: c.zrem(LINE, "bob 0"), Law.LINE_INDEX, "line bob 0"),
        (lambda c: c.zadd(LINE, {"eve 0": 9}), Law.LINE_INDEX, "line eve 0"),
        (lambda c: c.zincrby(LINE, 2, "bob 0"), Law.LINE_INDEX, "line bob 0"),
        (lambda c: c.hset(META, "waitlist", "7"), Law.TERMS, "meta waitlist"),
        (lambda c: c.hset(META, "spread", "7"), Law.TERMS, "meta spread"),
        (lambda c: c.hset(META, "ships", "7"), Law.TERMS, "meta ships"),
        (
            lambda c: _rewrite(c, b"wait", b"orders", lambda text: text.replace(b"bob 0 b1", b"bob 0 b2")),
            Law.BUYER,
            "buyers bob",
        ),
    ],
)
async def test_a_line_changed_by_hand_is_found_and_named(
    valkey_bench: ValkeyBench, harm: Break, law: Law, where: str
) -> None:
    bench = valkey_bench
    await bench.open(bench.spec((1, 9), waitlist=5))
    await bench.ledger.reserve("s1", [order(user, f"{user[0]}1") for user in ("ann", "bob", "cat")])
    assert await bench.client.zcard(LINE) == 2
    assert (await audit(bench.client, "s1")).findings == []
    await harm(bench.client)
    findings = (await audit(bench.client, "s1")).findings
    assert findings and (findings[0].law, findings[0].where) == (law, where)


async def test_findings_are_bounded(valkey_bench: ValkeyBench) -> None:
    bench = valkey_bench
    await bench.open(bench.spec((999,)))
    await bench.ledger.reserve("s1", [order(f"u{k}", "c") for k in range(60)])
    await bench.client.delete(BUYERS)
    findings = (await audit(bench.client, "s1")).findings
    assert len(findings) == auditing.FINDINGS_MAX and {one.law for one in findings} == {Law.BUYER}


async def test_a_frozen_and_a_closed_sale_are_true(valkey_bench: ValkeyBench) -> None:
    bench = valkey_bench
    for sale_id in ("s1", "s2"):
        await bench.open(bench.spec((9,), sale_id=sale_id))
    await bench.ledger.close("s1", actor="eve", command_id="x")
    view = await bench.ledger.view("s2")
    bench.ledger.learn(view.__class__("s2", view.epoch, view.seq + 5, view.status, {}, 0, 1))
    await bench.buy("ann", "c1", sale_id="s2")
    for sale_id, status in (("s1", b"closed"), ("s2", b"frozen")):
        assert await bench.client.hget(keys_of(sale_id)[0], "status") == status
        assert (await audit(bench.client, sale_id)).findings == []
        await bench.client.hset(keys_of(sale_id)[0], "status", "open")
        assert [one.law for one in (await audit(bench.client, sale_id)).findings] == [Law.STATUS]


async def test_every_sale_is_found_by_whatever_is_left_of_it(valkey_bench: ValkeyBench) -> None:
    bench = valkey_bench
    for sale_id in ("s1", "a:b@c", "z"):
        await bench.open(bench.spec((9,), sale_id=sale_id))
    await bench.client.delete(keys_of("z")[0])
    await bench.client.set("{sale:no sale}:meta", "")
    await bench.client.set("{sale:other}:stranger", "")
    assert await find_sales(bench.client) == ["a:b@c", "s1", "z"]
    nobody = await audit(bench.client, "nobody")
    assert [one.law for one in nobody.findings] == [Law.MISSING]
