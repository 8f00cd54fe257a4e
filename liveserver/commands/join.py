"""``join``: enter a room, or resume it from where the client was."""

from __future__ import annotations

from protocol.commands import Join
from protocol.errors import CommandError
from protocol.limits import ROOMS_PER_SESSION_MAX

from .ports import Context
from .session import Session


async def handle(context: Context, session: Session, command: Join) -> None:
    if command.room not in session.rooms and len(session.rooms) >= ROOMS_PER_SESSION_MAX:
        raise CommandError("too_many_rooms", f"at most {ROOMS_PER_SESSION_MAX} at a time", field="room")
    if (command.epoch is None) != (command.offset is None):
        raise CommandError("missing_field", "epoch and offset go together", field="offset")
    await context.rooms.join(session, command)  # says the reply itself, before the room's first frame
