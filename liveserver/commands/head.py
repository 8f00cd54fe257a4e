"""A check against the room as it is, not as this process has heard of it so far."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from liveserver.core.room import Room
from protocol.errors import CommandError

from .ports import LiveRoom

T = TypeVar("T")


async def at_the_head(live: LiveRoom, check: Callable[[Room], T]) -> T:
    """What ``check`` makes of the room. Before it refuses, the store is asked for what the room has been told
    at other processes by now: who was answered there must not be refused here for it."""
    try:
        return check(live.view)
    except CommandError:
        if not await live.catch_up():
            raise
    return check(live.view)
