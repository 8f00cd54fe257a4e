"""The benchmark of the stock counter, in its shortest form: that it measures what it says. Never how fast."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from redis.asyncio import Redis

from liveserver.stock.ledger import ValkeyLedger
from liveserver.stock.scripts import keys_of
from liveserver.store.server_clock import ServerClock
from loadtest.bench.figures import at_most, ratios
from loadtest.bench.stock.loads import WrongAnswerError
from loadtest.bench.stock.orders import CALL_ORDERS, Orders
from loadtest.bench.stock.proof import prove
from loadtest.bench.stock.store import Store
from loadtest.bench.stock.table import rows
from loadtest.bench.stock.targets import TARGETS, figure

RUN_S_MAX = 120.0  # when it hangs

REMEMBERED, ROUNDS, SEED = 2_000, 2, 7


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two cores")
    file = tmp_path_factory.mktemp("bench") / "figures.json"
    command = [sys.executable, "-m", "loadtest", "bench", "stock", "--quick"]
    command += ["--remembered", str(REMEMBERED), "--rounds", str(ROUNDS), "--seed", str(SEED)]
    done = subprocess.run(
        [*command, "--json", str(file)], capture_output=True, text=True, timeout=RUN_S_MAX, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "reserve_per_s.fsynced" in done.stdout  # the table names every figure
    made: dict[str, Any] = orjson.loads(file.read_bytes())
    return made


@pytest.mark.slow
def test_every_figure_that_is_promised_is_there(report: dict[str, Any]) -> None:
    figures = dict(rows(report))
    assert figures.keys() >= {
        "reserve_per_s.memory",
        "reserve_per_s.fsynced",
        "ratio_to_floor",
        "ratio_to_one_call_per_order",
        "purchases_per_s",
        "sold_out_per_s",
        "bytes_per_order",
        "bytes_per_remembered_id",
        "cost_growth.1000",
        f"cost_growth.{REMEMBERED}",
    }
    for name, one in figures.items():
        assert 0 < one["low"] <= one["value"] <= one["high"] < math.inf, name
        assert one.get("target") == TARGETS.get(name) or name.startswith("cost_growth"), name
        if "target" in one:
            at_least = "target_is" not in one
            enough = one["value"] >= one["target"] if at_least else one["value"] <= one["target"]
            assert one["met"] is enough, name


@pytest.mark.slow
def test_it_says_what_it_ran_on(report: dict[str, Any]) -> None:
    assert report["seed"] == SEED
    assert report["size"]["remembered"] == REMEMBERED
    assert report["machine"]["cores"] >= 2
    assert report["pinned"]["store"] != report["pinned"]["client"]
    assert report["machine"]["libraries"]["redis"]
    assert report["load_average"]["before"] >= 0  # a busy neighbour shows


@pytest.mark.slow
def test_an_order_takes_the_bytes_of_its_ids_and_more(report: dict[str, Any]) -> None:
    (order,) = Orders(seed=SEED).batch(1)
    kept_twice = 2 * (len(order.user_id) + len(order.command_id))  # by its buyer, and in the feed
    assert kept_twice < report["bytes_per_order"]["value"] < 10 * kept_twice
    assert kept_twice / 2 < report["bytes_per_remembered_id"]["value"] < report["bytes_per_order"]["value"]


@pytest.mark.slow
def test_what_was_measured_was_read_by_another_process_and_verifies(report: dict[str, Any]) -> None:
    size = report["size"]
    for name, singles in (("memory", size["singles"]), ("fsynced", 0)):
        proof = report["ledger_verify"][name]
        measured = ROUNDS * (size["orders"] + singles)
        assert proof["reservations"] == proof["buyers"] == REMEMBERED + measured
        assert report["feed_reader"]["rows"][name] == ROUNDS * size["orders"] // CALL_ORDERS
    assert report["feed_reader"]["process"].startswith("of its own")


async def test_a_sale_that_does_not_verify_is_no_figure(valkey: Redis, valkey_url: str) -> None:
    """A counter changed behind the ledger's back."""
    clock = ServerClock()
    await clock.sync(valkey)
    store = Store("memory", valkey_url, 0, valkey, clock, ValkeyLedger(valkey, clock))
    await store.open("bench", stock=10)
    assert (await prove(store, "bench")).rows == 1
    await valkey.hincrby(keys_of("bench")[0], "a0", 1)
    with pytest.raises(WrongAnswerError, match="does not verify"):
        await prove(store, "bench")


def test_more_than_fits_into_memory_is_refused_before_anything_starts() -> None:
    command = [sys.executable, "-m", "loadtest", "bench", "stock", "--remembered", str(10**12)]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert refused.returncode == 2 and "--remembered" in refused.stderr and "are free" in refused.stderr


@pytest.mark.slow
def test_every_purchase_was_what_its_round_was_made_for(report: dict[str, Any]) -> None:
    outcomes = report["outcomes"]
    assert len(outcomes["purchases"]) == len(outcomes["sold_out"]) == ROUNDS
    for one in outcomes["purchases"]:
        assert one["reserved"] > 0 and set(one) <= {"reserved", "pending"}
    for one in outcomes["sold_out"]:
        assert one["sold_out"] > 0 and set(one) <= {"sold_out", "pending"}


def test_a_figure_is_the_median_and_a_missed_target_is_missed() -> None:
    made = figure("ratio_to_floor", [0.5, 0.1, 0.34])
    assert (made.value, made.low, made.high, made.rounds) == (0.34, 0.1, 0.5, 3)
    assert made.met is False
    assert figure("ratio_to_floor", [0.35]).met is True
    assert figure("floor_per_s", [1.0]).met is None
    assert at_most([1.3], 1.2).met is False and at_most([1.2], 1.2).met is True


def test_ratios_compare_what_ran_beside_each_other() -> None:
    assert ratios([10, 30], [5, 10]) == [2, 3]


def test_no_user_and_no_command_comes_twice() -> None:
    orders = Orders(seed=3)
    made = [order for _ in range(50) for order in orders.batch()]
    assert len({order.user_id for order in made}) == len({order.command_id for order in made}) == 5_000
    assert all(len(order.user_id) >= 16 and len(order.command_id) >= 16 for order in made)
    assert Orders(seed=3).batch(10) == made[:10]
    assert Orders(seed=4).batch(10) != made[:10]


def test_the_other_verbs_need_no_server() -> None:
    code = "import sys, loadtest.__main__; print([m for m in sys.modules if m.startswith('liveserver')])"
    root = Path(__file__).parents[2]
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, timeout=60)
    assert said.stdout.strip() == "[]", said.stderr
