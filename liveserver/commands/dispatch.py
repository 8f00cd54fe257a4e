"""The one door from a decoded command to its handler: who, may he, how fast; then the handler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from liveserver.core.roles import may
from protocol import commands, limits
from protocol.commands import Command
from protocol.errors import CommandError

from . import (
    adjust_stock,
    authenticate,
    close_sale,
    confirm,
    critical,
    danmaku,
    freeze_sale,
    gift,
    join,
    leave,
    like,
    mute,
    open_sale,
    pause_sale,
    ping,
    purchase,
    release,
    resume_sale,
    return_order,
)
from .ports import Answer, Context
from .session import Session

UNANSWERED_RETRY_MS = 100  # too many commands wait for their reply

Handler = Callable[[Context, Session, Any], Answer]

HANDLERS: dict[type, Handler] = {
    commands.Authenticate: authenticate.handle,
    commands.Join: join.handle,
    commands.Leave: leave.handle,
    commands.Ping: ping.handle,
    commands.SendDanmaku: danmaku.handle,
    commands.Like: like.handle,
    commands.SendGift: gift.handle,
    commands.Purchase: purchase.handle,
    commands.Release: release.handle,
    commands.Confirm: confirm.handle,
    commands.Return: return_order.handle,
    commands.PublishListing: critical.handle,
    commands.UpdateListing: critical.handle,
    commands.WithdrawListing: critical.handle,
    commands.OrderCart: critical.handle,
    commands.StartExplaining: critical.handle,
    commands.StopExplaining: critical.handle,
    commands.OpenSale: open_sale.handle,
    commands.AdjustStock: adjust_stock.handle,
    commands.PauseSale: pause_sale.handle,
    commands.ResumeSale: resume_sale.handle,
    commands.FreezeSale: freeze_sale.handle,
    commands.CloseSale: close_sale.handle,
    commands.Mute: mute.handle,
    commands.DeleteDanmaku: critical.handle,
    commands.StartRoom: critical.handle,
    commands.PauseRoom: critical.handle,
    commands.EndRoom: critical.handle,
}


def dispatch(context: Context, session: Session, command: Command) -> Answer:
    """The reply, what it will come of, or None if the room says it. Raises ``CommandError``."""
    now_ms = context.clock.now_ms()
    check_identity(session, command, now_ms)
    if wait_ms := too_fast_for(session, command, now_ms):
        if isinstance(command, commands.SendDanmaku):
            return danmaku.limited(command, now_ms, wait_ms)
        raise CommandError("rate_limited", retry_ms=wait_ms)
    return HANDLERS[type(command)](context, session, command)


def check_identity(session: Session, command: Command, now_ms: int) -> None:
    """Who it is, that the token still holds, and that role and room allow this: at every command."""
    if isinstance(command, commands.Authenticate):
        return
    identity = session.identity
    if identity is None:
        raise CommandError("not_authenticated")
    if identity.expires_at_ms <= now_ms:
        raise CommandError("token_expired")
    if not may(identity.role, type(command)):
        raise CommandError("forbidden", f"a {identity.role} may not {command.__struct_config__.tag}")
    if isinstance(command, commands.RoomCommand) and not identity.may_enter(command.room):
        raise CommandError("forbidden", "the token is not for this room", field="room")


def too_fast_for(session: Session, command: Command, now_ms: int) -> int:
    """0, or the milliseconds to wait before saying this again."""
    if session.in_flight >= limits.COMMANDS_IN_FLIGHT_MAX:
        return UNANSWERED_RETRY_MS
    return session.limits.take(type(command), now_ms)
