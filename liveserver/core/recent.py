"""The last comments shown, so that a newcomer doesn't meet an empty screen."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from protocol.types import Danmaku

from .limits import RECENT_DANMAKU_MAX


class RecentDanmaku:
    """Oldest first. What a moderator takes away is gone from here too."""

    def __init__(self, size: int = RECENT_DANMAKU_MAX) -> None:
        self._shown: deque[Danmaku] = deque(maxlen=size)

    def extend(self, shown: Iterable[Danmaku]) -> None:
        self._shown.extend(shown)

    def all(self) -> list[Danmaku]:
        return list(self._shown)

    def purge(self, danmaku_id: str) -> None:
        self._keep(danmaku for danmaku in self._shown if danmaku.danmaku_id != danmaku_id)

    def purge_user(self, user_id: str) -> None:
        self._keep(danmaku for danmaku in self._shown if danmaku.user_id != user_id)

    def _keep(self, kept: Iterable[Danmaku]) -> None:
        self._shown = deque(kept, maxlen=self._shown.maxlen)
