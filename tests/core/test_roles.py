from __future__ import annotations

from typing import get_args

import pytest

from liveserver.core.roles import ROLES, TABLE, may
from protocol import commands
from protocol.commands import Command
from protocol.types import Role

EVERY_COMMAND = set(get_args(Command))

# Written out a second time, on purpose: command names per role, as the reference tells them.
EVERYBODY = {"authenticate", "join", "leave", "ping", "release"}
VIEWER = EVERYBODY | {"danmaku", "like", "purchase"}
MODERATOR = VIEWER | {"mute", "deleteDanmaku"}
SHOP = {"publishListing", "updateListing", "withdrawListing", "openSale", "adjustStock", "closeSale"}
SHOP |= {"pauseSale", "resumeSale", "freezeSale", "attachSale", "detachSale"}
LIVE = {"orderCart", "startExplaining", "stopExplaining", "startRoom", "pauseRoom", "endRoom"}
ALLOWED = {
    Role.VIEWER: VIEWER,
    Role.MODERATOR: MODERATOR,
    Role.STREAMER: MODERATOR | SHOP | LIVE,
    Role.SERVICE: EVERYBODY | SHOP | {"confirm", "return", "gift", "openShelfSale"},
}


def test_every_command_stands_in_the_table_for_every_role() -> None:
    assert set(TABLE) == EVERY_COMMAND
    assert len(EVERY_COMMAND) == 31
    assert set(ROLES) == set(Role)
    assert all(len(row) == len(ROLES) for row in TABLE.values())


@pytest.mark.parametrize("role", Role)
def test_a_role_may_exactly_this(role: Role) -> None:
    allowed = {shape.__struct_config__.tag for shape in EVERY_COMMAND if may(role, shape)}
    assert allowed == ALLOWED[role]


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("stranger", [object, commands.CommandBase, commands.RoomCommand, Role])
def test_what_the_table_does_not_know_is_denied(role: Role, stranger: type) -> None:
    assert not may(role, stranger)
