"""Who a session is, as its token says. Checked again at every command."""

from __future__ import annotations

import msgspec

from protocol.types import Role


class Identity(msgspec.Struct, frozen=True):
    user_id: str
    name: str
    role: Role
    rooms: tuple[str, ...]  # ("*",) means every room
    expires_at_ms: int
    fan: bool = False  # of the room's fan club: its comments are kept before strangers'

    @property
    def said_under(self) -> str:
        """The name comments carry: none where it is the id, which they carry anyway."""
        return "" if self.name == self.user_id else self.name

    def may_enter(self, room: str) -> bool:
        return "*" in self.rooms or room in self.rooms
