"""Who may say what: the role × command table. Default deny: what doesn't stand here, nobody may.

The table knows roles and command types only. Whether the session is authenticated, its token allows the
room, or a reservation is one's own is asked elsewhere.
"""

from __future__ import annotations

from protocol import commands
from protocol.types import Role

ROLES = (Role.VIEWER, Role.MODERATOR, Role.STREAMER, Role.SERVICE)

_EVERYBODY = (True, True, True, True)
_PEOPLE = (True, True, True, False)  # whoever is in the room as a person
_MODERATION = (False, True, True, False)
_SHOP = (False, False, True, True)  # the streamer, or the shop's backend for him
_STREAMER = (False, False, True, False)
_SERVICE = (False, False, False, True)

TABLE: dict[type, tuple[bool, bool, bool, bool]] = {
    commands.Authenticate: _EVERYBODY,  # whether it is the moment for it, the session knows
    commands.Join: _EVERYBODY,
    commands.Leave: _EVERYBODY,
    commands.Ping: _EVERYBODY,
    commands.SendDanmaku: _PEOPLE,
    commands.Like: _PEOPLE,
    commands.SendGift: _SERVICE,  # it was paid: nobody says that of himself
    commands.Purchase: _PEOPLE,  # the buyer is the session's user, and a service is no buyer
    commands.Release: _EVERYBODY,
    commands.Confirm: _SERVICE,
    commands.Return: _SERVICE,
    commands.PublishListing: _SHOP,
    commands.UpdateListing: _SHOP,
    commands.WithdrawListing: _SHOP,
    commands.OrderCart: _STREAMER,
    commands.StartExplaining: _STREAMER,
    commands.StopExplaining: _STREAMER,
    commands.OpenSale: _SHOP,
    commands.OpenShelfSale: _SERVICE,  # of no room, so of no streamer
    commands.AttachSale: _SHOP,
    commands.DetachSale: _SHOP,
    commands.AdjustStock: _SHOP,
    commands.PauseSale: _SHOP,
    commands.ResumeSale: _SHOP,
    commands.FreezeSale: _SHOP,
    commands.CloseSale: _SHOP,
    commands.Mute: _MODERATION,
    commands.DeleteDanmaku: _MODERATION,
    commands.StartRoom: _STREAMER,
    commands.PauseRoom: _STREAMER,
    commands.EndRoom: _STREAMER,
}
"""Columns as in ``ROLES``."""

_COLUMN = {role: column for column, role in enumerate(ROLES)}


def may(role: Role, command_type: type) -> bool:
    row = TABLE.get(command_type)
    return row is not None and row[_COLUMN[role]]
