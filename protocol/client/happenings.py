"""What a session tells its application: one small value per thing that happened, in order.

They are message shapes too (``happening`` is the tag), so that the scenario vectors can hold them as JSON.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from ..events import Envelope
from ..frames import Snapshot
from ..replies import Bye, ErrorReply, Me, Notice, Reply, Welcome
from ..shape import ShapeMeta
from ..types import Danmaku, Gift, Repeat, Stock


class HappeningBase(msgspec.Struct, metaclass=ShapeMeta, tag_field="happening"):
    pass


class RoomHappeningBase(HappeningBase):
    room: str


# -- of one room ---------------------------------------------------------------------------------------


class Entered(RoomHappeningBase, tag="entered", kw_only=True):
    """The room's mirror is true up to ``offset``: after a join, and again after each resume. ``replayed``
    events came again one by one (as ``happened``), or a ``snapshotted`` replaced everything."""

    epoch: int
    offset: int
    mode: Literal["replayed", "snapshot"]
    replayed: int = 0
    me: Me


class Happened(RoomHappeningBase, tag="happened"):
    """A critical event: every one, once, in the order of offsets."""

    epoch: int
    envelope: Envelope


class Snapshotted(RoomHappeningBase, tag="snapshotted", kw_only=True):
    """Forget what you knew of the room: this is it. ``skipped`` > 0: made by this client itself, because
    its reader left that many events unread."""

    epoch: int
    snapshot: Snapshot
    skipped: int = 0


class StateChanged(RoomHappeningBase, tag="stateChanged"):
    """Only what is newer than what was known; ``None``: not changed."""

    stock: list[Stock] = []
    viewers: int | None = None
    likes: int | None = None


class DanmakuShown(RoomHappeningBase, tag="danmakuShown"):
    """Comments and gifts of one tick, less what was deleted, muted or shown before. The counts are the
    server's, of the block as sent. ``own``: made from a receipt, ahead of the frame that carries it."""

    danmaku: list[Danmaku] = []
    repeats: list[Repeat] = []
    gifts: list[Gift] = []
    entered: int = 0
    offered: int = 0
    merged: int = 0
    shed: int = 0
    own: bool = False


class Missed(RoomHappeningBase, tag="missed"):
    """A gap in ``n``: so many frames of state and danmaku were not sent to this viewer."""

    frames: int


class GapFound(RoomHappeningBase, tag="gapFound"):
    """A critical event did not follow the last one. It was not applied; the session asks to resume."""

    epoch: int
    expected: int
    got: int


class RoomRefused(RoomHappeningBase, tag="roomRefused"):
    """The server does not let us into the room; the session has forgotten it."""

    reply: ErrorReply


class Dropped(RoomHappeningBase, tag="dropped"):
    """So many danmaku blocks found the application's queue full (never from a session itself)."""

    danmaku_blocks: int


RoomHappening = (
    Entered | Happened | Snapshotted | StateChanged | DanmakuShown | Missed | GapFound | RoomRefused | Dropped
)


# -- of the session ------------------------------------------------------------------------------------


class Welcomed(HappeningBase, tag="welcomed"):
    """Connected and known; the rooms are being resumed."""

    welcome: Welcome


class NotWelcome(HappeningBase, tag="notWelcome"):
    """The token was refused, in the handshake or of ``authenticate``; the server will close."""

    reply: ErrorReply


class Answered(HappeningBase, tag="answered"):
    """The one reply to a command of the application."""

    command_id: str
    reply: Reply


class Unknown(HappeningBase, tag="unknown"):
    """No reply will be matched any more: the command may or may not have been carried out. ``repeatable``:
    sending it again (a purchase with ``attempt`` raised) tells the truth."""

    command_id: str
    why: Literal["disconnected", "timeout", "ended"]
    repeatable: bool


class Noticed(HappeningBase, tag="noticed"):
    notice: Notice


class ByeSaid(HappeningBase, tag="byeSaid"):
    bye: Bye


class GaveUp(HappeningBase, tag="gaveUp"):
    """Nothing was heard for too long: abort the transport and call ``disconnected``."""

    silent_ms: int


class Disconnected(HappeningBase, tag="disconnected"):
    """``retryInMs`` ``None``: the session is over and must not come back by itself."""

    code: int
    retry_in_ms: int | None


Happening = (
    RoomHappening | Welcomed | NotWelcome | Answered | Unknown | Noticed | ByeSaid | GaveUp | Disconnected
)
