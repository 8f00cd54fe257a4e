"""``gift``: a gift that was paid, said by the gift service."""

from __future__ import annotations

from protocol.commands import SendGift
from protocol.replies import Done
from protocol.types import Gift

from .joined import joined_room
from .ports import Context
from .session import Session


def handle(context: Context, session: Session, command: SendGift) -> Done:
    live = joined_room(context, session, command.room)
    live.offer_gift(Gift(command.user_id, command.name, command.gift, command.count))
    return Done(id=command.id, t=context.clock.now_ms())
