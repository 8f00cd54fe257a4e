"""The group's feed in the store: what the holder of the lease may do, and nobody else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from liveserver.orders import limits
from liveserver.orders.keys import is_group, keys_of_group
from liveserver.orders.lag import lags, waiting
from liveserver.orders.store import DeadFullError, GroupFeed, LeaseLostError, Letter, make_group
from liveserver.orders.window import Under
from tests.stock.conftest import ValkeyBench, order


async def group_feed(bench: ValkeyBench, owner: str) -> GroupFeed:
    await make_group(bench.client, "s1", "orders")
    return GroupFeed(bench.client, "s1", "orders", owner)


async def two_rows(bench: ValkeyBench) -> None:
    await bench.open(bench.spec())
    await bench.ledger.reserve("s1", [order("ann", "c1"), order("bob", "c1")])


async def everything(client: Redis) -> dict[str, Any]:
    """All that is kept for the group, but how long it lasts."""
    keys = keys_of_group("s1", "orders")
    hashes = {key: await client.hgetall(key) for key in (keys.rows, keys.dead, keys.again)}
    groups: Any = await client.xinfo_groups("{sale:s1}:feed")
    return hashes | {"lease": await client.get(keys.lease), "groups": groups}


Act = Callable[[GroupFeed, Under], Awaitable[object]]
ACTS: dict[str, Act] = {
    "renew": lambda feed, one: feed.renew(),
    "news": lambda feed, one: feed.news(),
    "unacknowledged": lambda feed, one: feed.unacknowledged("0"),
    "taken": lambda feed, one: feed.taken(one, ()),
    "taken, the last of its entry": lambda feed, one: feed.taken(one, (one.place,)),
    "failed": lambda feed, one: feed.failed(one, 3),
    "dead": lambda feed, one: feed.dead(one, Letter(one.row, 1, "no", 1), (one.place,)),
}


@pytest.mark.parametrize("act", ACTS)
async def test_who_lost_the_lease_can_do_nothing(bench: ValkeyBench, act: str) -> None:
    await two_rows(bench)
    late, now = await group_feed(bench, "late"), await group_feed(bench, "now")
    assert await late.lease() and not await now.lease()
    _, took = await late.news()
    one = Under(took.rows[0], took.entry_id, 0)
    await bench.client.delete(keys_of_group("s1", "orders").lease)
    assert await now.lease()
    await bench.buy("cid", "c1")
    before = await everything(bench.client)
    with pytest.raises(LeaseLostError):
        await ACTS[act](late, one)
    await late.give_back()
    assert await everything(bench.client) == before
    if act not in ("renew", "news"):
        await ACTS[act](now, one)  # the control: to the holder it is allowed


async def test_entries_without_rows_are_acknowledged_by_the_holder_alone(bench: ValkeyBench) -> None:
    await two_rows(bench)
    late = await group_feed(bench, "late")
    await late.lease()
    opened, _ = await late.news()
    assert opened.rows == ()
    await bench.client.set(keys_of_group("s1", "orders").lease, "now")
    with pytest.raises(LeaseLostError):
        await late.acknowledge([opened])
    assert (await lags(bench.client, "s1"))[0].pending == 2
    await GroupFeed(bench.client, "s1", "orders", "now").acknowledge([opened])
    assert (await lags(bench.client, "s1"))[0].pending == 1


async def test_a_lease_lasts_as_long_as_it_is_renewed(bench: ValkeyBench) -> None:
    await two_rows(bench)
    feed, key = await group_feed(bench, "me"), keys_of_group("s1", "orders").lease
    assert await feed.lease()
    assert 0 < await bench.client.pttl(key) <= limits.LEASE_MS
    await bench.client.pexpire(key, 1_000)
    await feed.renew()
    assert await bench.client.pttl(key) > 1_000
    await feed.give_back()
    assert not await bench.client.exists(key)


async def test_what_is_remembered_of_rows_goes_with_their_entry(bench: ValkeyBench) -> None:
    await two_rows(bench)
    feed = await group_feed(bench, "me")
    await feed.lease()
    _, took = await feed.news()
    ann, bob = [Under(row, took.entry_id, 0) for row in took.rows]
    await feed.taken(ann, ())
    await feed.failed(bob, 2)
    opened, again = await feed.unacknowledged("0")
    assert again.rows == took.rows
    assert set(again.done) == {ann.place} and again.attempts == {bob.place: 2}
    await feed.taken(bob, (ann.place, bob.place))
    assert not await bench.client.exists(keys_of_group("s1", "orders").rows)
    assert [one.entry_id for one in await feed.unacknowledged("0")] == [opened.entry_id]


async def test_a_full_list_of_dead_letters_takes_none(
    bench: ValkeyBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "DEAD_MAX", 1)
    await two_rows(bench)
    feed = await group_feed(bench, "me")
    await feed.lease()
    _, took = await feed.news()
    ann, bob = [Under(row, took.entry_id, 0) for row in took.rows]
    await feed.dead(ann, Letter(ann.row, 1, "no", 1), ())
    with pytest.raises(DeadFullError):
        await feed.dead(bob, Letter(bob.row, 1, "no", 1), (ann.place, bob.place))
    assert (await lags(bench.client, "s1"))[0].pending == 2
    await feed.dead(ann, Letter(ann.row, 2, "no", 1), ())  # one that is there may be written anew


async def test_which_sales_wait(bench: ValkeyBench) -> None:
    await two_rows(bench)
    await bench.open(bench.spec(sale_id="s2"))
    sales = ["s1", "s2", "nothing"]
    assert await waiting(bench.client, sales, "orders") == ["s1", "s2"]
    feed = await group_feed(bench, "me")
    await feed.lease()
    took = await feed.news()
    assert await waiting(bench.client, sales, "orders") == ["s1", "s2"]
    await feed.acknowledge(took)
    assert await waiting(bench.client, sales, "orders") == ["s2"]
    assert await waiting(bench.client, sales, "accounts") == ["s1", "s2"]
    await bench.client.hset(keys_of_group("s1", "orders").again, "1-1", "{}")
    assert await waiting(bench.client, sales, "orders") == ["s1", "s2"]


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("orders", True),
        ("a.b-c_1", True),
        ("", False),
        ("a b", False),
        ("a:b", False),
        ("x" * 65, False),
        ("a\n", False),
    ],
)
def test_names_of_groups(text: str, is_one: bool) -> None:
    assert is_group(text) is is_one
