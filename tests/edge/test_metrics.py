"""Numbers are read when somebody scrapes, and one that fails takes no other away."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from liveserver.core.histogram import Histogram
from liveserver.edge.metrics import SERIES_PER_METRIC_MAX, Metrics


def scraped(metrics: Metrics) -> dict[str, float]:
    body, _ = metrics.exposition()
    return {
        sample.name + "".join(f",{value}" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def test_numbers_are_read_at_the_scrape() -> None:
    metrics, counts = Metrics(), {"n": 0}
    reads: list[int] = []

    def read() -> float:
        reads.append(counts["n"])
        return counts["n"]

    metrics.counter("danmaku_offered", "comments that came", read)
    metrics.gauge("rooms", "rooms held", lambda: 3)
    assert reads == []
    for expected in (0, 7):
        counts["n"] = expected
        found = scraped(metrics)
        assert found["liveserver_danmaku_offered_total"] == expected
        assert found["liveserver_rooms"] == 3
    assert "process_cpu_seconds_total" in scraped(metrics)


def test_values_by_one_label_and_no_more_than_the_limit() -> None:
    metrics = Metrics()
    many = {str(number): float(number) for number in range(SERIES_PER_METRIC_MAX + 50)}
    metrics.gauge("many", "too many", lambda: many, label="which")
    metrics.counter("shed", "by lane", lambda: {"danmaku": 2, "state": 1}, label="lane")
    found = scraped(metrics)
    assert found["liveserver_shed_total,danmaku"] == 2
    assert sum(name.startswith("liveserver_many,") for name in found) == SERIES_PER_METRIC_MAX


def test_a_number_that_fails_is_left_out_alone(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics()
    metrics.gauge("good", "is read", lambda: 1)
    metrics.gauge("bad", "is not", lambda: 1 // 0)
    metrics.gauge("other", "is read", lambda: 2)
    found = scraped(metrics)
    assert (found["liveserver_good"], found["liveserver_other"]) == (1, 2)
    assert "liveserver_bad" not in found
    assert "ZeroDivisionError" in caplog.text


def test_a_distribution_by_its_buckets() -> None:
    metrics, lag = Metrics(), Histogram((0.001, 0.01))
    metrics.histogram("lag_seconds", "how late", lag)
    for seconds in (0.0005, 0.001, 0.002, 3.0):
        lag.add(seconds)
    found = scraped(metrics)
    buckets = {name.rpartition(",")[2]: count for name, count in found.items() if "_bucket" in name}
    assert buckets == {"0.001": 2, "0.01": 3, "+Inf": 4}
    assert found["liveserver_lag_seconds_count"] == 4
    assert found["liveserver_lag_seconds_sum"] == pytest.approx(3.0035)


def test_a_name_is_given_once() -> None:
    metrics = Metrics()
    metrics.gauge("rooms", "rooms held", lambda: 1)
    with pytest.raises(AssertionError):
        metrics.counter("rooms", "again", lambda: 1)
