"""``join``: enter a room, or resume it from where the client was."""

from __future__ import annotations

from collections.abc import Awaitable

from protocol.commands import Join
from protocol.errors import CommandError
from protocol.limits import ROOMS_PER_SESSION_MAX

from .ports import Context, Said
from .session import Session


def handle(context: Context, session: Session, command: Join) -> Awaitable[None] | Said:
    rooms = session.rooms.keys() | session.entering.keys()  # the joins said in the same breath count too
    if command.room not in rooms and len(rooms) >= ROOMS_PER_SESSION_MAX:
        raise CommandError("too_many_rooms", f"at most {ROOMS_PER_SESSION_MAX} at a time", field="room")
    if (command.epoch is None) != (command.offset is None):
        raise CommandError("missing_field", "epoch and offset go together", field="offset")
    return context.rooms.join(session, command)  # says the reply itself, before the room's first frame
