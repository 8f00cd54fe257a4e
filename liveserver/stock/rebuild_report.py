"""What a rebuild found, as values: for whoever decides whether to go on, and for the record. Pure."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from liveserver.stock.port import Line, ReservationState


class Source(StrEnum):
    """Who says so, the most trusted first."""

    FEED = "feed"
    JOURNAL = "journal"
    ORDERS = "orders"


class Found(msgspec.Struct, frozen=True):
    """One reservation and what becomes of it."""

    reservation_id: str
    user_id: str
    command_id: str
    lines: tuple[Line, ...]
    before: ReservationState | None  # in the feed; None: the feed didn't know it
    state: ReservationState  # from now on
    sources: tuple[Source, ...]
    why: str = ""  # it is lost


class Conflict(msgspec.Struct, frozen=True):
    """Two sources that can't both be right, and which was taken."""

    where: str  # a reservation id, or a command
    text: str


class Oversold(msgspec.Struct, frozen=True):
    """More was paid for than there was. ``orders``: the latest ones that make up those units."""

    item_id: str
    units: int
    orders: tuple[str, ...]  # reservation ids


class PutBack(msgspec.Struct, frozen=True):
    """An order to the sale itself that the feed didn't have."""

    kind: str
    actor: str
    command_id: str
    item_id: str = ""
    delta: int = 0


class RebuildReport(msgspec.Struct, frozen=True):
    """``available``, ``held``, ``confirmed``: as they are after it, by item id."""

    sale_id: str
    epoch: int  # of what the store had, with its seq; 0: nothing of use
    seq: int
    afresh: bool  # the feed begins anew: what the store had was of no use
    frozen: tuple[str, ...]  # why it was frozen
    facts: int  # read of journals, of this sale
    orders: int  # read of the order service
    recovered: list[Found]  # unknown to the feed
    corrected: list[Found]  # known to it in another state
    lost: list[Found]  # holds, and places in line, that could not be kept: one by one
    oversold: list[Oversold]  # judged on what is paid for
    conflicts: list[Conflict]
    put_back: list[PutBack]
    gaps: list[str]  # of the journals: what they don't know nobody does
    available: dict[str, int]
    held: dict[str, int]
    confirmed: dict[str, int]
    broken: list[str] = []  # laws the store's keys did not hold

    @property
    def whole(self) -> bool:
        """Nothing was lost, as far as the sources tell."""
        return not (self.lost or self.oversold or self.conflicts or self.gaps)
