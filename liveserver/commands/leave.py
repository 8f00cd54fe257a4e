"""``leave``: hear no more of a room. Leaving a room one is not in is no error."""

from __future__ import annotations

from protocol.commands import Leave
from protocol.replies import Left

from .ports import Context
from .session import Session


def handle(context: Context, session: Session, command: Leave) -> Left:
    context.rooms.leave(session, command.room)
    return Left(id=command.id, t=context.clock.now_ms(), room=command.room)
