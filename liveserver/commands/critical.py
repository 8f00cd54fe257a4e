"""The commands whose whole effect is one critical event: cart, explaining, deletes, the room's status.

The rules of each stand in ``core.decide``, where they are pure; here is what they share.
"""

from __future__ import annotations

from liveserver.core.decide import decide, made
from protocol.commands import RoomCommand
from protocol.replies import Done

from .ports import Context
from .session import Session


async def handle(context: Context, session: Session, command: RoomCommand) -> Done:
    live = await context.rooms.open(command.room)
    epoch, offset, duplicate = await live.publish(
        idempotency_key(session, command),
        lambda room: decide(room, command, context.clock.now_ms()),
        getattr(command, "stream_time_ms", None),
        makes=lambda event: made(command, event),
    )
    return Done(id=command.id, t=context.clock.now_ms(), epoch=epoch, offset=offset, duplicate=duplicate)


def idempotency_key(session: Session, command: RoomCommand) -> str:
    """Ids are each sender's own: two people may use the same one."""
    return f"{session.who.user_id}/{command.id}"
