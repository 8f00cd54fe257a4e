"""One scrape of all the processes behind one address.

Whoever is asked for ``/metrics`` on a shared port is any one of them. Each listens on a private unix socket
too, which answers its own exposition to whoever connects, and the one that was asked gathers all of them:
every series with two labels more, ``worker`` (its place, from 0) and ``process`` (its name, another one after
each restart, so that no counter is ever taken for its predecessor's).

What a process had counted is in no later scrape. One that ends in order leaves it in a file, for whoever
started it (``leave_word``); what a killed one had counted is gone. ``liveserver_worker_generation`` says the
how-manieth process of its place each is, ``liveserver_worker_up`` whether a place has one that answers.

The folder is private (0700): who can write to it is us.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket as sockets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families

from liveserver.edge.metrics import PREFIX, Metrics

EXPOSITION_BYTES_MAX: Final = 4 * 1024 * 1024
ANSWER_SECONDS_MAX: Final = 1.0  # a process that stands still is left out of a scrape
SUFFIX: Final = ".sock"
LAST_WORD: Final = ".last"


@dataclass(frozen=True)
class Post:
    """Where a process stands among those of its host that share one address."""

    listener: sockets.socket  # of its place, bound and listening; others may hold it too
    number: int  # of its place, from 0
    workers: int  # how many places there are
    generation: int  # the how-manieth process of its place, from 1
    folder: Path  # private, shared by all of them


class Siblings:
    """``process`` is this one's name."""

    def __init__(self, metrics: Metrics, post: Post, process: str) -> None:
        self._metrics = metrics
        self._folder = post.folder
        self._workers = post.workers
        self._labels = {"worker": str(post.number), "process": process}
        self._last_word = last_word_path(post.folder, post.number, process)
        self._path = socket_path(post.folder, post.number, process)
        self._server: asyncio.Server | None = None
        metrics.gauge("worker_generation", "How many processes this place has had.", lambda: post.generation)
        metrics.gather = self.gather

    async def listen(self) -> None:
        """Raises ``OSError``."""
        self._server = await asyncio.start_unix_server(self._answer, self._path)

    async def aclose(self) -> None:
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)

    def leave_word(self) -> None:
        """What this process has counted, at its end: as it would stand in a scrape. Never raises for a folder
        that is gone or full: then nobody learns it."""
        text = self._metrics.exposition()[0].decode()
        with contextlib.suppress(OSError):
            self._last_word.write_bytes(_exposition(_families([(self._labels, text)])))

    async def _answer(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(self._metrics.exposition()[0])
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                await writer.drain()
        except (OSError, TimeoutError):
            pass  # who asked has gone
        finally:
            writer.close()

    async def gather(self) -> bytes:
        """The exposition of all that answer in time, this one among them."""
        paths = sorted(self._folder.glob(f"*{SUFFIX}"))
        texts = await asyncio.gather(*(_read(path) for path in paths))
        labels = [dict(zip(("worker", "process"), path.stem.split("-", 1), strict=True)) for path in paths]
        found = [(label, text) for label, text in zip(labels, texts, strict=True) if text]
        return merged(found, up=self._up({label["worker"] for label, _ in found}))

    def _up(self, answered: set[str]) -> Metric:
        family = GaugeMetricFamily(
            f"{PREFIX}worker_up", "Does a process of this place answer?", labels=["worker"]
        )
        for number in range(self._workers):
            family.add_metric([str(number)], str(number) in answered)
        return family


def socket_path(folder: Path, worker: int, process: str) -> Path:
    return folder / f"{worker}-{process}{SUFFIX}"


def last_word_path(folder: Path, worker: int, process: str) -> Path:
    return folder / f"{worker}-{process}{LAST_WORD}"


async def _read(path: Path) -> str:
    """Empty where nobody answers in time."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                text = b""
                while piece := await reader.read(EXPOSITION_BYTES_MAX - len(text)):
                    text += piece
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return ""
    return text.decode(errors="replace")


def merged(found: Iterable[tuple[dict[str, str], str]], *, up: Metric) -> bytes:
    """Several expositions as one: a family stands once, each sample with its labels. Pure."""
    return _exposition({up.name: up, **_families(found)})


def _families(found: Iterable[tuple[dict[str, str], str]]) -> dict[str, Metric]:
    families: dict[str, Metric] = {}
    for labels, text in found:
        for theirs in text_string_to_metric_families(text):
            family = families.setdefault(theirs.name, Metric(theirs.name, theirs.documentation, theirs.type))
            family.samples += [
                sample._replace(labels={**sample.labels, **labels}) for sample in theirs.samples
            ]
    return families


def _exposition(families: dict[str, Metric]) -> bytes:
    class Gathered(CollectorRegistry):
        def collect(self) -> Iterator[Metric]:
            return iter(families.values())

    return generate_latest(Gathered())
