"""``like``: taps, summed by the client, by the process and by the tick."""

from __future__ import annotations

from protocol.commands import Like
from protocol.replies import Done

from .joined import joined_room
from .ports import Context
from .session import Session


def handle(context: Context, session: Session, command: Like) -> Done:
    live = joined_room(context, session, command.room)
    live.add_likes(command.count)
    return Done(id=command.id, t=context.clock.now_ms())
