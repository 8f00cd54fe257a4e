"""``danmaku``: a comment. First half of the first walk: who, how fast, which words; then the room's pool."""

from __future__ import annotations

from liveserver.core.priority import priority_of
from liveserver.core.text import clean
from protocol.commands import SendDanmaku
from protocol.replies import Receipt
from protocol.types import Danmaku, Fate, Role

from .joined import joined_room
from .ports import Context
from .session import Session


def handle(context: Context, session: Session, command: SendDanmaku) -> Receipt | None:
    live = joined_room(context, session, command.room)
    identity = session.who
    text = clean(command.text)
    now_ms = context.clock.now_ms()

    if muted_until_ms := live.view.muted_until_ms(identity.user_id, now_ms):
        return _receipt(command, now_ms, Fate.LIMITED, "muted", muted_until_ms - now_ms)
    if context.blocked_word(text) is not None:
        return _receipt(command, now_ms, Fate.BLOCKED, "words")

    danmaku = Danmaku(
        context.danmaku_id(),
        identity.user_id,
        identity.said_under,
        text,
        "" if identity.role is Role.VIEWER else identity.role.value,
    )
    buyer = live.is_buyer(identity.user_id)
    priority = priority_of(identity.role, buyer=buyer, fan=identity.fan)
    live.offer_danmaku(danmaku, priority, (session, command.id))
    return None  # its receipt is said at the tick, when its fate is known


def limited(command: SendDanmaku, now_ms: int, wait_ms: int) -> Receipt:
    """Said too soon after the last ones: the sender is told, nobody else hears of it."""
    return _receipt(command, now_ms, Fate.LIMITED, "rate", wait_ms)


def _receipt(command: SendDanmaku, now_ms: int, fate: Fate, reason: str, retry_ms: int = 0) -> Receipt:
    return Receipt(id=command.id, t=now_ms, room=command.room, fate=fate, reason=reason, retry_ms=retry_ms)
