"""``authenticate``: who this session is."""

from __future__ import annotations

from liveserver.core.identity import Identity
from protocol.commands import Authenticate
from protocol.errors import CommandError
from protocol.replies import Welcome

from .ports import Context
from .session import Session


def handle(context: Context, session: Session, command: Authenticate) -> Welcome:
    if session.identity is not None:
        raise CommandError("already_authenticated")
    identity = context.verify(command.token)
    context.admit(session, identity)
    return welcome(context, session, identity, command.id)


def welcome(context: Context, session: Session, identity: Identity, command_id: str) -> Welcome:
    """Also said unasked, with an empty id, to a session whose handshake carried the token."""
    return Welcome(
        id=command_id,
        t=context.clock.now_ms(),
        user_id=identity.user_id,
        role=identity.role,
        session_id=session.session_id,
        process=context.process,
        keepalive_ms=context.keepalive_ms,
        expires_at_ms=identity.expires_at_ms,
    )
