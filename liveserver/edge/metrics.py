"""The process's Prometheus registry. Pull style: whoever counts keeps plain integers and hands over a way to
read them; they are read when somebody scrapes. Nothing here runs per message."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import NamedTuple

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from liveserver.core.histogram import Histogram

PREFIX = "liveserver_"
SERIES_PER_METRIC_MAX = 1_000  # label values come from the program, yet never without a limit

Labelled = Mapping[str, float]
"""Values by the value of the metric's one label."""

log = logging.getLogger(__name__)


class _Reading(NamedTuple):
    family: type[CounterMetricFamily] | type[GaugeMetricFamily]
    name: str
    says: str
    label: str
    read: Callable[[], float | Labelled]


class Metrics(Collector):
    """``counter`` and ``gauge`` register a reading once, at start; ``exposition`` is what is scraped. A
    reading that fails is logged and left out: one bad number takes no other away."""

    def __init__(self) -> None:
        self.gather: Callable[[], Awaitable[bytes]] | None = None  # with those of other processes
        self._readings: dict[str, _Reading] = {}
        self._histograms: dict[str, tuple[str, Histogram]] = {}
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._registry.register(self)

    def counter(self, name: str, says: str, read: Callable[[], float | Labelled], *, label: str = "") -> None:
        """``liveserver_<name>_total``: only ever grows. With ``label``, ``read`` answers a mapping."""
        self._add(_Reading(CounterMetricFamily, name, says, label, read))

    def gauge(self, name: str, says: str, read: Callable[[], float | Labelled], *, label: str = "") -> None:
        """``liveserver_<name>``: goes up and down."""
        self._add(_Reading(GaugeMetricFamily, name, says, label, read))

    def histogram(self, name: str, says: str, kept: Histogram) -> None:
        """``liveserver_<name>``: a distribution, kept by whoever measures."""
        assert name not in self._histograms and name not in self._readings, name
        assert not name.startswith(PREFIX), name
        self._histograms[name] = says, kept

    def exposition(self) -> tuple[bytes, str]:
        """The body and its media type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST

    async def scraped(self) -> tuple[bytes, str]:
        """What ``/metrics`` answers: this process's exposition, or that of all that ``gather`` knows."""
        if self.gather is None:
            return self.exposition()
        return await self.gather(), CONTENT_TYPE_LATEST

    def collect(self) -> Iterator[Metric]:
        for reading in self._readings.values():
            try:
                yield _family(reading)
            except Exception:
                log.exception("the metric %s can't be read", reading.name)
        for name, (says, kept) in self._histograms.items():
            buckets = [(_bound(bound), float(count)) for bound, count in kept.cumulative()]
            yield HistogramMetricFamily(PREFIX + name, says, buckets=buckets, sum_value=kept.total)

    def _add(self, reading: _Reading) -> None:
        assert reading.name not in self._readings, reading.name
        assert not reading.name.startswith(PREFIX) and not reading.name.endswith("_total"), reading.name
        self._readings[reading.name] = reading


def _bound(bound: float) -> str:
    return "+Inf" if bound == float("inf") else str(bound)


def _family(reading: _Reading) -> Metric:
    value = reading.read()
    if not isinstance(value, Mapping):
        return reading.family(PREFIX + reading.name, reading.says, value=value)
    family = reading.family(PREFIX + reading.name, reading.says, labels=[reading.label])
    for label, number in list(value.items())[:SERIES_PER_METRIC_MAX]:
        family.add_metric([label], number)
    return family
