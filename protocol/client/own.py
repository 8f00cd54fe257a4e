"""Own comments, each shown once: from the receipt or from the room's frame, whichever comes first. Pure."""

from __future__ import annotations

import msgspec

from ..commands import SendDanmaku
from ..replies import Receipt
from ..types import Danmaku, Fate, Role
from .fading import FadingSet
from .happenings import DanmakuShown
from .limits import OWN_DANMAKU_MAX, TOMBSTONE_MS


class OwnDanmaku:
    """Ids of own comments that were shown, for as long as the other copy may still come."""

    __slots__ = ("_shown",)

    def __init__(self) -> None:
        self._shown = FadingSet(TOMBSTONE_MS, OWN_DANMAKU_MAX)

    def from_receipt(
        self, command: SendDanmaku, receipt: Receipt, user_id: str, role: Role, now_ms: float
    ) -> DanmakuShown | None:
        """What to show now. ``name`` is empty: the application knows its own."""
        if receipt.fate is not Fate.SHOWN or not receipt.danmaku_id:
            return None
        if self._shown.holds(receipt.danmaku_id, now_ms):
            return None
        self._shown.add(receipt.danmaku_id, now_ms)
        own = Danmaku(receipt.danmaku_id, user_id, "", command.text, "" if role is Role.VIEWER else role)
        return DanmakuShown(room=command.room, danmaku=[own], own=True)

    def from_frame(self, shown: DanmakuShown, user_id: str, now_ms: float) -> DanmakuShown:
        """The block less own comments that were shown from their receipts."""
        if not any(each.user_id == user_id for each in shown.danmaku):
            return shown
        keep = []
        for each in shown.danmaku:
            if each.user_id == user_id:
                if self._shown.holds(each.danmaku_id, now_ms):
                    continue
                self._shown.add(each.danmaku_id, now_ms)
            keep.append(each)
        return msgspec.structs.replace(shown, danmaku=keep)
