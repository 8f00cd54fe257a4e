"""What several handlers check: that the session is in the room, and that the room isn't over."""

from __future__ import annotations

from protocol.errors import CommandError
from protocol.types import RoomStatus

from .ports import Context, LiveRoom
from .session import Session


def joined_room(context: Context, session: Session, room: str) -> LiveRoom:
    live = context.rooms.held(room) if room in session.rooms else None
    if live is None:
        raise CommandError("not_joined", field="room")
    if live.view.status is RoomStatus.ENDED:
        raise CommandError("room_ended", field="room")
    return live
