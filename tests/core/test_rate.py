from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveserver.core.limits import Rate, SessionRates
from liveserver.core.rate import NEVER_MS, Bucket, SessionLimits
from protocol import commands

from .make import NOW_MS, many


def test_a_burst_at_once_then_the_rate() -> None:
    bucket = Bucket(rate_per_s=1, burst=3)
    assert [bucket.take(NOW_MS) for _ in range(4)] == [0, 0, 0, 1_000]
    assert bucket.take(NOW_MS + 999) == 1
    assert bucket.take(NOW_MS + 1_000) == 0
    assert bucket.take(NOW_MS + 1_000) == 1_000


def test_idle_time_saves_up_no_more_than_the_burst() -> None:
    bucket = Bucket(rate_per_s=1, burst=2)
    assert bucket.take(NOW_MS, 2) == 0
    assert bucket.take(NOW_MS + 3_600_000, 2) == 0
    assert bucket.take(NOW_MS + 3_600_000) == 1_000


def test_time_that_runs_backwards_gives_nothing() -> None:
    bucket = Bucket(rate_per_s=10, burst=1)
    assert bucket.take(NOW_MS) == 0
    assert bucket.take(NOW_MS - 5_000) == 100
    assert bucket.take(NOW_MS) == 100


def test_without_inflow_there_is_no_next_time() -> None:
    bucket = Bucket(rate_per_s=0, burst=1)
    assert bucket.take(NOW_MS) == 0
    assert bucket.take(NOW_MS + 10**9) == NEVER_MS


def test_more_than_a_burst_at_once_is_our_mistake() -> None:
    with pytest.raises(AssertionError):
        Bucket(rate_per_s=10, burst=5).take(NOW_MS, 6)


def test_retuned_down_what_was_saved_is_lost() -> None:
    bucket = Bucket(rate_per_s=30, burst=30)
    bucket.retune(10, 10)
    assert bucket.take(NOW_MS, 10) == 0
    assert bucket.take(NOW_MS) == 100


rates = st.integers(1, 1_000)


def test_drained_it_gives_what_there_is_and_owes_nothing() -> None:
    bucket = Bucket(5, 3)
    for _ in range(10):
        bucket.drain(NOW_MS)
    assert bucket.whole(NOW_MS) == 0
    assert (bucket.whole(NOW_MS + 199), bucket.whole(NOW_MS + 200)) == (0, 1)


@many
@given(rates, st.integers(1, 100), st.lists(st.tuples(st.integers(0, 3_000), st.integers(0, 100))))
def test_the_wait_it_names_is_exact(rate: int, burst: int, takes: list[tuple[int, int]]) -> None:
    bucket, now_ms = Bucket(rate, burst), NOW_MS
    for passes_ms, cost in takes:
        now_ms += passes_ms
        wait_ms = bucket.take(now_ms, min(cost, burst))
        if wait_ms:
            assert bucket.take(now_ms + wait_ms - 1, min(cost, burst)) == 1
            now_ms += wait_ms
            assert bucket.take(now_ms, min(cost, burst)) == 0


@many
@given(st.integers(1, 50), st.integers(1, 20), st.lists(st.integers(0, 500), min_size=1, max_size=20))
def test_never_more_than_burst_plus_rate(rate: int, burst: int, pauses_ms: list[int]) -> None:
    bucket, now_ms, taken = Bucket(rate, burst), NOW_MS, 0
    for pause_ms in pauses_ms:
        now_ms += pause_ms
        for _ in range(burst + 1):
            taken += bucket.take(now_ms) == 0
        assert taken <= burst + (now_ms - NOW_MS) * rate / 1_000


@pytest.mark.parametrize(
    ("command", "at_once", "wait_ms"),
    [
        (commands.SendDanmaku, 3, 1_000),
        (commands.Like, 5, 200),
        (commands.Purchase, 10, 100),
        (commands.Ping, 100, 20),
    ],
)
def test_what_a_session_may_send(command: type, at_once: int, wait_ms: int) -> None:
    limits = SessionLimits(SessionRates())
    assert [limits.take(command, NOW_MS) for _ in range(at_once)] == [0] * at_once
    assert limits.take(command, NOW_MS) == wait_ms


def test_all_commands_share_one_bucket_and_refused_ones_cost_too() -> None:
    limits = SessionLimits(SessionRates(commands=Rate(1, 4), danmaku=Rate(1, 1)))
    assert limits.take(commands.SendDanmaku, NOW_MS) == 0
    assert limits.take(commands.SendDanmaku, NOW_MS) == 1_000
    assert limits.take(commands.Join, NOW_MS) == 0
    assert limits.take(commands.Purchase, NOW_MS) == 0
    assert limits.take(commands.Ping, NOW_MS) == 1_000


def test_one_kind_used_up_leaves_the_others() -> None:
    limits = SessionLimits(SessionRates())
    for _ in range(4):
        limits.take(commands.SendDanmaku, NOW_MS)
    assert limits.take(commands.Purchase, NOW_MS) == 0


def test_an_idle_session_costs_no_buckets() -> None:
    idle = SessionLimits(SessionRates())
    assert idle._buckets is None
    assert sys.getsizeof(idle) < 100
