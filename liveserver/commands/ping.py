"""``ping``: are you there, and what time is it?"""

from __future__ import annotations

from protocol.commands import Ping
from protocol.replies import Pong

from .ports import Context
from .session import Session


def handle(context: Context, session: Session, command: Ping) -> Pong:
    return Pong(id=command.id, t=context.clock.now_ms())
