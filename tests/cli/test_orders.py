"""``liveserver orders`` as it is typed, its process killed among others."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from typer.testing import CliRunner, Result

from liveserver.cli import orders_app
from liveserver.orders import limits
from liveserver.orders.keys import keys_of_group
from liveserver.orders.lag import lags
from liveserver.stock.scripts import feed_key
from liveserver.valkey.connect import call_client
from tests.clock import ManualClock
from tests.orders.order_service import OK, OrderService, Row, answer, order_service
from tests.orders.shop import arrived, expected
from tests.stock.conftest import ValkeyBench, order
from tests.stock.history import busy

WITHIN_S = 20.0  # a bound for what must end, and no measure


@pytest.fixture
async def bench(valkey: Redis, valkey_url: str) -> AsyncIterator[ValkeyBench]:
    client = call_client(valkey_url)
    yield ValkeyBench(ManualClock(), client)
    await client.aclose()


@pytest.fixture
async def service() -> AsyncIterator[OrderService]:
    async with order_service() as started:
        yield started


async def started(*words: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "liveserver", "orders", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def ended(process: asyncio.subprocess.Process) -> tuple[int | None, str]:
    async with asyncio.timeout(WITHIN_S):
        _, said = await process.communicate()
    return process.returncode, said.decode()


async def typed(*words: str, redis_url: str) -> Result:
    """In this process; for commands that open no signal handlers."""
    environ = {"LIVESERVER_REDIS_URL": redis_url, "LIVESERVER_DATA_DIR": ""}
    return await asyncio.to_thread(CliRunner().invoke, orders_app.app, list(words), env=environ)


async def test_delivered_once_and_killed_in_between(
    bench: ValkeyBench, valkey_url: str, service: OrderService
) -> None:
    """kill -9 between two rows of one call; the next process delivers what is left, when the lease of the
    killed one has run out (here: it is made to)."""
    await bench.open(bench.spec())
    await bench.ledger.reserve("s1", [order(f"u{number}", "c1") for number in range(4)])
    asked = asyncio.Event()

    async def behave(row: Row, nth: int) -> bytes:
        if row["userId"] == "u2" and nth == 1:
            asked.set()
            await asyncio.sleep(WITHIN_S)
        return OK

    service.behave = behave
    where = ("--url", service.url, "--redis-url", valkey_url, "--at-once", "1")
    first = await started("deliver", *where)
    async with asyncio.timeout(WITHIN_S):
        await asked.wait()
    first.kill()
    assert (await ended(first))[0] == -signal.SIGKILL
    keys = keys_of_group("s1", "orders")
    ttl_ms = await bench.client.pttl(keys.lease)
    assert 0 < ttl_ms <= limits.LEASE_MS
    assert [lag.pending for lag in await lags(bench.client, "s1")] == [1]
    await bench.client.pexpire(keys.lease, 1)
    second = await started("deliver", *where, "--once")
    code, said = await ended(second)
    assert code == 0, said
    assert "2 rows delivered, 0 dead letters" in said
    assert arrived(service.effects) == expected("s1", await bench.feed())
    assert sorted(service.seen.values()) == [1, 1, 1, 2]


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
async def test_told_to_end_it_gives_its_leases_back(
    bench: ValkeyBench, valkey_url: str, service: OrderService, sent: signal.Signals
) -> None:
    await bench.open(bench.spec())
    await bench.buy("ann", "c1")
    asked = asyncio.Event()

    async def behave(row: Row, nth: int) -> bytes:
        asked.set()
        await asyncio.sleep(WITHIN_S)
        return OK

    service.behave = behave
    process = await started("deliver", "--url", service.url, "--redis-url", valkey_url)
    async with asyncio.timeout(WITHIN_S):
        await asked.wait()
    process.send_signal(sent)
    code, said = await ended(process)
    assert (code, said.splitlines()[-1]) == (0, "0 rows delivered, 0 dead letters")
    assert "Traceback" not in said
    assert not await bench.client.exists(keys_of_group("s1", "orders").lease)
    service.behave = lambda row, nth: OK
    code, said = await ended(
        await started("deliver", "--url", service.url, "--redis-url", valkey_url, "--once")
    )
    assert code == 0 and len(service.effects) == 1


async def test_status_and_dead_letters(
    bench: ValkeyBench, valkey_url: str, service: OrderService, tmp_path: Path
) -> None:
    await busy(bench, calls=2)
    nothing = await typed("status", redis_url=valkey_url)
    assert nothing.stdout.startswith("no group reads a sale")
    assert (await typed("dead", "list", redis_url=valkey_url)).stdout == "no dead letters\n"

    wanted = expected("s1", await bench.feed())
    bad = sorted(wanted)[:2]
    service.behave = lambda row, nth: answer(422, "no") if row["id"] in bad else OK
    secret = tmp_path / "secret"
    secret.write_text("a secret of thirty-two bytes, or more")
    where = ("--url", service.url, "--redis-url", valkey_url, "--secret-file", str(secret))
    code, said = await ended(await started("deliver", *where, "--once"))
    assert code == 1 and f"{len(wanted) - 2} rows delivered, 2 dead letters" in said
    assert all("webhook-signature" in head for head in service.heads)

    told = await typed("status", "--sale", "s1", redis_url=valkey_url)
    assert told.stdout.startswith("s1 orders: 0 behind, 0 pending, 2 dead, 0 tried again, read to ")
    (lag,) = json.loads((await typed("status", "--json", redis_url=valkey_url)).stdout)
    assert (lag["sale_id"], lag["group"], lag["dead"], lag["read_until"]) == ("s1", "orders", 2, lag["end"])
    told = await typed("dead", "list", redis_url=valkey_url)
    assert [line.split("  ")[1] for line in told.stdout.splitlines()] == bad
    assert told.stdout.count("1 attempt: HTTP 422: no") == 2
    told = await typed("dead", "list", "--json", redis_url=valkey_url)
    assert [json.loads(line)["row"]["id"] for line in told.stdout.splitlines()] == bad

    again = await typed("dead", "retry", bad[0], "s1/1-1", redis_url=valkey_url)
    assert again.exit_code == 1 and "1 row will be delivered once more" in again.stderr
    assert "1 are no dead letters of the group orders" in again.stderr
    assert (await typed("dead", "drop", "--all", redis_url=valkey_url)).exit_code == 0
    service.behave = lambda row, nth: OK
    code, said = await ended(await started("deliver", *where, "--once"))
    assert code == 0 and "1 row delivered" in said
    assert set(wanted) - set(service.effects) == {bad[1]}
    assert (await typed("dead", "list", redis_url=valkey_url)).stdout == "no dead letters\n"


async def test_once_ends_though_a_feed_can_not_be_read(
    bench: ValkeyBench, valkey_url: str, service: OrderService
) -> None:
    for sale_id in ("s1", "s2"):
        await bench.open(bench.spec(sale_id=sale_id))
        await bench.buy("ann", "c1", sale_id=sale_id)
    await bench.client.xadd(feed_key("s1"), {"kind": "poetry", "first": "9", "at": "1"}, id="9999999999999-9")
    code, said = await ended(
        await started("deliver", "--url", service.url, "--redis-url", valkey_url, "--once")
    )
    assert code == 1 and "s1 could not be read: " in said
    assert {row["saleId"] for row in service.effects.values()} == {"s2"}


async def test_without_a_server_there_only_once(tmp_path: Path) -> None:
    told = await typed("deliver", "--url", "http://h/", "--data-dir", str(tmp_path), redis_url="")
    assert told.exit_code == 2 and "no server runs in" in told.output


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("deliver", "--url", "shop.example"), "--url"),
        (("deliver", "--url", "http://h/", "--group", "a b"), "--group"),
        (("deliver", "--url", "http://h/", "--sale", "a b"), "--sale"),
        (("deliver", "--url", "http://h/", "--timeout", "5"), "--timeout"),
        (("deliver", "--url", "http://h/", "--timeout", "1m"), "--timeout"),
        (("deliver", "--url", "http://h/", "--secret-file", "/nowhere/at/all"), "--secret-file"),
        (("dead", "retry"), "ROW"),
        (("dead", "retry", "s1/7-1", "--all"), "ROW"),
        (("dead", "drop", "s1"), "SALE/EPOCH-SEQ|night-1/"),
        (("status", "--sale", "~"), "--sale"),
    ],
)
async def test_what_is_typed_wrong_is_named(words: tuple[str, ...], names: str, valkey_url: str) -> None:
    told = await typed(*words, redis_url=valkey_url)
    assert told.exit_code == 2
    assert any(name in told.output for name in names.split("|")), told.output
    assert "Errno" not in told.output
