"""The delivery contract of every message type, as a table that code, docs and tests read."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from . import commands, events, frames, replies


class Lane(StrEnum):
    REPLY = "reply"
    CRITICAL = "critical"
    STATE = "state"
    DANMAKU = "danmaku"


class Repeatable(StrEnum):
    """What sending the same command again does."""

    IDEMPOTENT = "idempotent"  # the same id takes effect at most once, and the answer is the truth
    HARMLESS = "harmless"  # doing it twice is the same as once
    AT_MOST_ONCE = "at most once"  # don't send it again: it may count twice


class CommandContract(NamedTuple):
    reply: type
    repeat: Repeatable


COMMANDS: dict[type, CommandContract] = {
    commands.Authenticate: CommandContract(replies.Welcome, Repeatable.HARMLESS),
    commands.Join: CommandContract(replies.Joined, Repeatable.HARMLESS),
    commands.Leave: CommandContract(replies.Left, Repeatable.HARMLESS),
    commands.Ping: CommandContract(replies.Pong, Repeatable.HARMLESS),
    commands.SendDanmaku: CommandContract(replies.Receipt, Repeatable.AT_MOST_ONCE),
    commands.Like: CommandContract(replies.Done, Repeatable.AT_MOST_ONCE),
    commands.SendGift: CommandContract(replies.Done, Repeatable.AT_MOST_ONCE),
    commands.Purchase: CommandContract(replies.PurchaseOutcome, Repeatable.IDEMPOTENT),
    commands.Release: CommandContract(replies.ReservationChanged, Repeatable.IDEMPOTENT),
    commands.Confirm: CommandContract(replies.ReservationChanged, Repeatable.IDEMPOTENT),
    commands.Return: CommandContract(replies.ReservationChanged, Repeatable.IDEMPOTENT),
    commands.PublishListing: CommandContract(replies.Done, Repeatable.IDEMPOTENT),
    commands.UpdateListing: CommandContract(replies.Done, Repeatable.IDEMPOTENT),
    commands.WithdrawListing: CommandContract(replies.Done, Repeatable.IDEMPOTENT),
    commands.OrderCart: CommandContract(replies.Done, Repeatable.IDEMPOTENT),
    commands.StartExplaining: CommandContract(replies.Done, Repeatable.IDEMPOTENT),
    commands.StopExplaining: CommandContract(replies.Done, Repeatable.IDEMPOTENT),
    commands.OpenSale: CommandContract(replies.Done, Repeatable.IDEMPOTENT),
    commands.OpenShelfSale: CommandContract(replies.Done, Repeatable.IDEMPOTENT),
    commands.AttachSale: CommandContract(replies.Done, Repeatable.IDEMPOTENT),
    commands.DetachSale: CommandContract(replies.Done, Repeatable.IDEMPOTENT),
    commands.AdjustStock: CommandContract(replies.Done, Repeatable.IDEMPOTENT),
    commands.PauseSale: CommandContract(replies.Done, Repeatable.IDEMPOTENT),
    commands.ResumeSale: CommandContract(replies.Done, Repeatable.IDEMPOTENT),
    commands.FreezeSale: CommandContract(replies.Done, Repeatable.IDEMPOTENT),
    commands.CloseSale: CommandContract(replies.Done, Repeatable.IDEMPOTENT),
    commands.Mute: CommandContract(replies.Done, Repeatable.IDEMPOTENT),
    commands.DeleteDanmaku: CommandContract(replies.Done, Repeatable.IDEMPOTENT),
    commands.StartRoom: CommandContract(replies.Done, Repeatable.IDEMPOTENT),
    commands.PauseRoom: CommandContract(replies.Done, Repeatable.IDEMPOTENT),
    commands.EndRoom: CommandContract(replies.Done, Repeatable.IDEMPOTENT),
}
"""Every command's reply (or ``error`` instead), while the connection lives; lost with it, else."""


class DownContract(NamedTuple):
    lane: Lane
    shed: bool  # may the server leave it out under load?
    replayed: bool  # does a resume bring it again?
    promise: str


_REPLY = DownContract(Lane.REPLY, False, False, "one per command received while the connection lives")
_CRITICAL = DownContract(
    Lane.CRITICAL, False, True, "gapless offset within an epoch; after a resume by replay or snapshot"
)

DOWNWARD: dict[type, DownContract] = {
    replies.Welcome: _REPLY,
    replies.Joined: _REPLY,
    replies.Left: _REPLY,
    replies.Pong: _REPLY,
    replies.Receipt: _REPLY,
    replies.Done: _REPLY,
    replies.PurchaseOutcome: _REPLY,
    replies.ReservationChanged: _REPLY,
    replies.ErrorReply: _REPLY,
    replies.Notice: DownContract(
        Lane.REPLY, False, False, "at most once; its truth is `me` in every joined reply"
    ),
    replies.Bye: DownContract(Lane.REPLY, False, False, "at most once, before a close the server decides"),
    events.ListingPublished: _CRITICAL,
    events.ListingUpdated: _CRITICAL,
    events.ListingWithdrawn: _CRITICAL,
    events.CartOrdered: _CRITICAL,
    events.ExplainingStarted: _CRITICAL,
    events.ExplainingStopped: _CRITICAL,
    events.SaleOpened: _CRITICAL,
    events.SaleSoldOut: _CRITICAL,
    events.SaleRestocked: _CRITICAL,
    events.SaleClosed: _CRITICAL,
    events.SaleDetached: _CRITICAL,
    events.DanmakuDeleted: _CRITICAL,
    events.UserMuted: _CRITICAL,
    events.RoomStatusChanged: _CRITICAL,
    frames.State: DownContract(
        Lane.STATE, False, False, "latest wins by version, never goes back, at most once a tick"
    ),
    frames.DanmakuBlock: DownContract(
        Lane.DANMAKU, True, False, "budgeted: equal ones merged, the rest sampled; every block counts both"
    ),
}
