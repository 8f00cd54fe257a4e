"""One scrape has the numbers of every process of the host."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from liveserver.edge.metrics import Metrics
from liveserver.edge.siblings import Post, Siblings, last_word_path


def sibling(folder: Path, number: int, process: str, counted: int, generation: int = 1) -> Siblings:
    metrics = Metrics()
    metrics.counter("danmaku", "comments", lambda: {"shown": counted}, label="fate")
    return Siblings(metrics, Post(socket.socket(), number, 3, generation, folder), process)


def samples(text: bytes, name: str) -> dict[tuple[tuple[str, str], ...], float]:
    return {
        tuple(sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
        if sample.name == name
    }


async def test_all_that_answer_stand_in_one_scrape(tmp_path: Path) -> None:
    one, other = sibling(tmp_path, 0, "aaa", 3), sibling(tmp_path, 1, "bbb", 4, generation=7)
    await one.listen()
    await other.listen()
    try:
        text = await one.gather()
        assert samples(text, "liveserver_danmaku_total") == {
            (("fate", "shown"), ("process", "aaa"), ("worker", "0")): 3,
            (("fate", "shown"), ("process", "bbb"), ("worker", "1")): 4,
        }
        assert list(samples(text, "liveserver_worker_generation").values()) == [1, 7]
        assert list(samples(text, "liveserver_worker_up").values()) == [1, 1, 0]
        assert text.count(b"# TYPE liveserver_danmaku_total counter") == 1
        assert samples(text, "process_cpu_seconds_total").keys() == {
            (("process", "aaa"), ("worker", "0")),
            (("process", "bbb"), ("worker", "1")),
        }
    finally:
        await one.aclose()
        await other.aclose()
    assert os.listdir(tmp_path) == []


async def test_one_that_is_gone_or_stands_still_is_left_out(tmp_path: Path) -> None:
    one = sibling(tmp_path, 0, "aaa", 3)
    await one.listen()
    with socket.socket(socket.AF_UNIX) as dead, socket.socket(socket.AF_UNIX) as still:
        dead.bind(str(tmp_path / "1-bbb.sock"))  # nobody listens
        still.bind(str(tmp_path / "2-ccc.sock"))
        still.listen()  # and never answers
        try:
            text = await asyncio.wait_for(one.gather(), 30)
        finally:
            await one.aclose()
    assert list(samples(text, "liveserver_danmaku_total").values()) == [3]
    assert list(samples(text, "liveserver_worker_up").values()) == [1, 0, 0]


async def test_one_that_ends_leaves_what_it_has_counted_in_no_scrape_but_a_file(tmp_path: Path) -> None:
    one, other = sibling(tmp_path, 0, "aaa", 3), sibling(tmp_path, 1, "bbb", 4)
    await other.listen()
    try:
        one.leave_word()
        assert samples(last_word_path(tmp_path, 0, "aaa").read_bytes(), "liveserver_danmaku_total") == {
            (("fate", "shown"), ("process", "aaa"), ("worker", "0")): 3
        }
        assert list(samples(await other.gather(), "liveserver_danmaku_total").values()) == [4]
    finally:
        await other.aclose()


def test_an_end_without_a_folder_is_an_end(tmp_path: Path) -> None:
    sibling(tmp_path / "gone", 0, "aaa", 3).leave_word()
