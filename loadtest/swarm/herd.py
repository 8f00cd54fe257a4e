"""The viewers of one process: who they are, how they come and come back, and what all of them add up to.

Everything is bounded: openings at a time, broken laws kept, the whole run (``worker.py``). What they are told
to do is in ``orders.py``.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from loadtest.swarm.answers import Outcomes
from loadtest.swarm.group import Group
from loadtest.swarm.heard import Ear, Truths
from loadtest.swarm.link import Link
from loadtest.swarm.opening import NotOpenedError
from loadtest.swarm.place import Place
from loadtest.swarm.tokens import mint
from loadtest.swarm.viewer import Viewer
from protocol.codec import JSON, MSGPACK, Codec

OPENINGS_MAX: Final = 128  # handshakes under way at once
BROKEN_KEPT_MAX: Final = 20
SOURCES: Final = 4  # loopback addresses of one process, so that ports last
TOKEN_TTL_S: Final = 24 * 3_600


class Herd:
    def __init__(
        self, *, index: int, secret: str, host: str, port: int, path: str, seed: int, deflate_every: int
    ) -> None:
        """``deflate_every``: each so-many-th viewer offers compression; 0: nobody."""
        self.index = index
        self.address = (host, port)
        self.path = path
        self.random = random.Random(seed * 1_000 + index)
        self.viewers: list[Viewer] = []
        self.groups: dict[str, Group] = {}
        self.counts: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()  # of replies
        self.fates: Counter[str] = Counter()  # of comments
        self.closes: Counter[int] = Counter()
        self.outcomes = Outcomes()
        self.heads: dict[str, tuple[int, int]] = {}  # room -> the furthest (epoch, offset) anybody reached
        self.broken: Counter[str] = Counter()
        self.broken_details: list[str] = []
        self.jitter = True
        self.connected = 0
        self.window_ms = 0  # the widest a ``bye`` gave
        self._secret = secret
        self._deflate_every = deflate_every
        self._truths = Truths(self.broke)
        self._ears: dict[tuple[str, bool], Ear] = {}
        self._openings = asyncio.Semaphore(OPENINGS_MAX)
        self._tasks: set[asyncio.Task[None]] = set()
        self._phase = ""

    # -- who there is ----------------------------------------------------------------------------------

    def add(self, user: str, room: str, group: str, *, receive_buffer: int = 0) -> Viewer:
        """A new viewer, not connected. Codecs and compression take turns."""
        number = len(self.viewers)
        codec: Codec = (MSGPACK, JSON)[number % 2]
        token = mint(self._secret, user, "viewer", [room], ttl_s=TOKEN_TTL_S)
        viewer = Viewer(self, number, user, token, room, self.group(group), codec)
        viewer.deflate = bool(self._deflate_every) and number // 2 % self._deflate_every == 0
        viewer.receive_buffer = receive_buffer
        self.viewers.append(viewer)
        return viewer

    def group(self, name: str) -> Group:
        group = self.groups.get(name)
        if group is None:
            group = self.groups[name] = Group(name)
            group.enter_phase(self._phase)
        return group

    def of(self, group: str) -> list[Viewer]:
        """Of one group; of all, if empty."""
        return [viewer for viewer in self.viewers if not group or viewer.group.name == group]

    def enter_phase(self, phase: str) -> None:
        self._phase = phase
        for group in self.groups.values():
            group.enter_phase(phase)

    # -- coming and coming back ------------------------------------------------------------------------

    def connect(self, viewer: Viewer) -> None:
        if viewer.link is None and not viewer.gone:
            viewer.cut_at_us = viewer.cut_at_us or self.now_us()
            self._start(viewer)

    def come_back(self, viewer: Viewer, wait_ms: float) -> None:
        self.counts["returns"] += 1
        self.later(wait_ms, self._start, viewer)

    def lost(self, viewer: Viewer) -> None:
        """Told, or decided, not to come back."""
        if not viewer.gone:
            viewer.gone = True
            self.counts["turned_away"] += 1

    def came(self, viewer: Viewer) -> None:
        self.connected += 1
        self.counts["opened"] += 1

    def went(self, viewer: Viewer, code: int) -> None:
        self.connected -= 1
        self.closes[code] += 1

    def later(self, wait_ms: float, do: Callable[..., None], *arguments: Any) -> None:
        asyncio.get_running_loop().call_later(wait_ms / 1_000, do, *arguments)

    def know(self, room: str, place: Place) -> None:
        if place.epoch is not None:
            here = (place.epoch, place.offset)
            if here > self.heads.get(room, (0, 0)):
                self.heads[room] = here

    # -- what is shared --------------------------------------------------------------------------------

    def ear(self, codec: Codec, deflate: bool) -> Ear:
        ear = self._ears.get((codec.subprotocol, deflate))
        if ear is None:
            ear = self._ears[codec.subprotocol, deflate] = Ear(codec, deflate, self._truths)
        return ear

    def broke(self, law: str, detail: str) -> None:
        self.broken[law] += 1
        if len(self.broken_details) < BROKEN_KEPT_MAX:
            self.broken_details.append(f"{law}: {detail}"[:400])

    @staticmethod
    def now_us() -> int:
        return time.monotonic_ns() // 1_000

    # -- what it amounts to ----------------------------------------------------------------------------

    def progress(self) -> dict[str, Any]:
        return {
            "viewers": len(self.viewers),
            "connected": self.connected,
            "in_step": sum(viewer.present for viewer in self.viewers),
            "frames": sum(group.frames for group in self.groups.values()),
            "commands": self.counts["commands"],
            "broken": sum(self.broken.values()),
        }

    def report(self) -> dict[str, Any]:
        """Plain, for ``tally.py``."""
        stay = [viewer for viewer in self.viewers if not viewer.gone]
        digests: dict[str, Counter[str]] = {}
        for viewer in stay:
            digests.setdefault(viewer.room, Counter())[viewer.place.digest()] += 1
        return {
            **self.progress(),
            "stay": len(stay),
            "at_the_end": sum(viewer.at_the_end for viewer in stay),
            "waiting": sum(len(viewer.answers.waiting) for viewer in stay),
            "critical_events": sum(viewer.place.events for viewer in self.viewers),
            "missed_frames": sum(viewer.place.missed for viewer in self.viewers),
            "decoded": sum(ear.decoded for ear in self._ears.values()),
            "bytes": sum(viewer.link.received_bytes for viewer in self.viewers if viewer.link),
            "purchases": len(self.outcomes.asked),
            "outcomes_known": self.outcomes.known,
            "window_ms": self.window_ms,
            "outcomes": dict(self.outcomes.counts),
            "reservations": list(self.outcomes.held.values()),
            "counts": dict(self.counts),
            "errors": dict(self.errors),
            "fates": dict(self.fates),
            "closes": {str(code): count for code, count in self.closes.items()},
            "laws_broken": dict(self.broken),
            "broken_details": self.broken_details,
            "digests": {room: dict(each) for room, each in digests.items()},
            "groups": {name: group.report() for name, group in self.groups.items()},
        }

    # -- inside ----------------------------------------------------------------------------------------

    def _start(self, viewer: Viewer) -> None:
        if viewer.link is not None or viewer.gone:
            return
        task = asyncio.create_task(self._open(viewer))
        self._tasks.add(task)
        task.add_done_callback(self._opened)

    def _opened(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.broke("swarm", repr(error))

    async def _open(self, viewer: Viewer) -> None:
        async with self._openings:
            if viewer.link is not None or viewer.gone:
                return
            draw = self.random.randbytes(16)
            link = viewer.link = Link(viewer, viewer.codec.subprotocol, draw, deflate=viewer.deflate)
            source = f"127.0.{1 + self.index}.{1 + viewer.number % SOURCES}"
            try:
                await link.open(
                    self.address, self.path, viewer.token, source=source, receive_buffer=viewer.receive_buffer
                )
            except (NotOpenedError, OSError) as error:
                viewer.refused(error)
