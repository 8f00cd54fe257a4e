"""Downwards, the reply lane: one reply per command, matched by ``id``; and notices to one session.

``t`` is the server's time in milliseconds when the reply was made.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from .shape import Shape, ShapeMeta
from .types import Fate, HeldReservation, Id, Role


class ReplyBase(msgspec.Struct, metaclass=ShapeMeta, tag_field="type"):
    id: str
    t: int


class Welcome(ReplyBase, tag="welcome"):
    """To ``authenticate``; sent unasked, with an empty id, where the handshake carried the token."""

    user_id: Id
    role: Role
    session_id: str
    process: str  # which process of the server this is; frames are numbered per process
    keepalive_ms: int  # the server pings this often; twice that without a sign of it: reconnect
    expires_at_ms: int  # of the token


class Me(Shape):
    """What the room knows of the one who joins: the truth behind notices that may have been lost."""

    muted_until_ms: int = 0
    reservations: list[HeldReservation] = []
    known: bool = True  # false: the ledger could not be asked in time; look your purchases up again


class Joined(ReplyBase, tag="joined", kw_only=True):
    """``replayed`` events follow in frames if ``mode`` says so, else a snapshot frame. Frames of this room
    are numbered from ``n + 1`` on."""

    room: Id
    epoch: int
    offset: int  # everything up to here is known once what follows has arrived
    mode: Literal["replayed", "snapshot"]
    replayed: int = 0
    n: int
    me: Me


class Left(ReplyBase, tag="left"):
    room: Id


class Pong(ReplyBase, tag="pong"):
    pass


class Receipt(ReplyBase, tag="receipt"):
    """To ``danmaku``: what became of it, said when it is known."""

    room: Id
    fate: Fate
    danmaku_id: str = ""  # of the one shown; of the one it was merged into
    reason: str = ""  # rate, budget, muted, words
    retry_ms: int = 0


class Done(ReplyBase, tag="done"):
    """It is so. ``epoch`` and ``offset`` name the critical event that says it, if there is one; it may
    arrive before or after this reply. ``duplicate``: it had been done before by this same command id."""

    epoch: int = 0
    offset: int = 0
    duplicate: bool = False


class PurchaseOutcome(ReplyBase, tag="outcome"):
    """To ``purchase``. ``outcome`` is one of the closed set of the reference; ``epoch`` and ``seq`` name the
    instant of the sale it was true at (0 where the ledger wasn't reached)."""

    sale_id: Id
    outcome: str
    epoch: int = 0
    seq: int = 0
    reservation: HeldReservation | None = None
    ahead: int = 0  # of ``waiting``: how many stand before you in the line of this item
    replayed: bool = False
    durability: str = ""  # memory, fsynced, replicated: what the grant has reached
    retry_ms: int = 0


class ReservationChanged(ReplyBase, tag="reservation"):
    """To ``release``, ``confirm`` and ``return``: the reservation as it now is."""

    reservation: HeldReservation
    changed: bool


class ErrorReply(ReplyBase, tag="error"):
    """The command was not carried out. ``id`` is empty where it couldn't be read."""

    code: str  # one of ``errors.CODES``
    field: str = ""  # the wire name of the field to mend, with its path
    detail: str = ""  # for the developer, in English
    retry_ms: int = 0  # > 0: the same command may succeed after this


class Notice(msgspec.Struct, metaclass=ShapeMeta, tag_field="type", tag="notice"):
    """Something that concerns this session alone. At most once: its truth is ``me`` in every ``joined``."""

    t: int
    kind: Literal[
        "reservationExpired",
        "reservationReleased",
        "reservationConfirmed",
        "reservationRefundDue",
        "reservationReturned",
        "reservationFrozen",
        "reservationServed",
        "reservationSkipped",
        "muted",
        "tokenExpires",
    ]
    reservation: HeldReservation | None = None
    until_ms: int = 0
    room: str = ""


class Bye(msgspec.Struct, metaclass=ShapeMeta, tag_field="type", tag="bye"):
    """The server will close. Come back inside ``retryMs`` … ``retryMs + spreadMs``, if at all, and resume
    each room from the ``(epoch, offset)`` you stand at: it holds at every process of the server."""

    t: int
    reason: str
    reconnect: bool
    retry_ms: int = 0
    spread_ms: int = 0


Reply = Welcome | Joined | Left | Pong | Receipt | Done | PurchaseOutcome | ReservationChanged | ErrorReply
