"""``mute``: a critical event like the others, and a word to the one it concerns."""

from __future__ import annotations

from protocol.commands import Mute
from protocol.replies import Done

from . import critical
from .ports import Context
from .session import Session


async def handle(context: Context, session: Session, command: Mute) -> Done:
    done = await critical.handle(context, session, command)
    if live := context.rooms.held(command.room):
        until_ms = live.view.muted_until_ms(command.user_id, done.t)
        context.rooms.notify_muted(command.room, command.user_id, until_ms)
    return done
