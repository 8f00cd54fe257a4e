"""Whose comment is kept when not all can be shown."""

from __future__ import annotations

from enum import IntEnum

from protocol.types import Role


class Priority(IntEnum):
    """The greater one is kept first."""

    VIEWER = 0
    FAN = 1
    BUYER = 2
    MODERATOR = 3
    STREAMER = 4


def priority_of(role: Role, *, buyer: bool = False, fan: bool = False) -> Priority:
    if role is Role.STREAMER:
        return Priority.STREAMER
    if role is Role.MODERATOR:
        return Priority.MODERATOR
    if buyer:
        return Priority.BUYER
    return Priority.FAN if fan else Priority.VIEWER
