"""Downwards, what a room says to everybody: one frame, encoded once per variant.

A frame with ``n`` > 0 is a broadcast, numbered per (room, process, variant): a gap in ``n`` is a frame
this viewer was not sent. Snapshot and catch-up frames are for those who need them and have no ``n``.
"""

from __future__ import annotations

import msgspec

from .events import Envelope
from .shape import Shape, ShapeMeta
from .types import Danmaku, Gift, Id, Listing, Repeat, RoomStatus, Sale, Stock


class State(Shape):
    """Latest wins. ``stock`` is versioned by its own (epoch, seq); the counts by ``version``."""

    version: int = 0  # milliseconds of the server's time; a smaller one is older
    viewers: int | None = None
    likes: int | None = None
    stock: list[Stock] = []


class DanmakuBlock(Shape):
    """The danmaku of one tick. Always: offered = len(danmaku) + len(gifts) + merged + shed."""

    offered: int = 0
    merged: int = 0  # counted into an equal one: by ``repeats``, or into one of this block
    shed: int = 0  # beyond the room's budget
    danmaku: list[Danmaku] = []
    repeats: list[Repeat] = []
    gifts: list[Gift] = []
    entered: int = 0  # viewers who came in since the last block; not part of ``offered``


class Snapshot(Shape):
    """The room as it stood at (frame's epoch, ``offset``)."""

    offset: int
    status: RoomStatus = RoomStatus.LIVE
    listings: list[Listing] = []  # in the cart's order
    explaining: str = ""  # listing id
    sales: list[Sale] = []
    muted: dict[str, int] = {}  # user id -> until ms, so a client can hide what comes late
    recent: list[Danmaku] = []  # the last comments shown; not counted by the conservation law


class Frame(msgspec.Struct, metaclass=ShapeMeta, tag_field="type", tag="frame"):
    room: Id
    t: int
    n: int = 0
    epoch: int = 0  # of the room; given where critical or snapshot is
    head: int = 0  # the room's last offset as this process knows it
    critical: list[Envelope] = []  # consecutive offsets
    state: State | None = None
    danmaku: DanmakuBlock | None = None
    snapshot: Snapshot | None = None
