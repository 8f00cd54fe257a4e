"""The comments on screen, as merging sees them: by normalised text, for as long as an equal one joins them.

A text is remembered for ``window_ms`` from when it was shown, however often it is repeated: a wave that
goes on is shown afresh then. Another process may have shown the same text under its own id: that id becomes
an alias, so counts that name it reach the line that is on our screens.
"""

from __future__ import annotations

from protocol.types import Danmaku

from .limits import ALIASES_MAX, SHOWN_TEXTS_MAX


class ShownText:
    """One line on screen. ``count``: how often it was said, the first time included."""

    __slots__ = ("count", "danmaku_id", "ids", "text", "until_ms", "user_id")

    def __init__(self, text: str, danmaku: Danmaku, count: int, until_ms: int) -> None:
        self.text = text
        self.danmaku_id = danmaku.danmaku_id
        self.user_id = danmaku.user_id
        self.count = count
        self.until_ms = until_ms
        self.ids = [danmaku.danmaku_id]  # and its aliases


class ShownTexts:
    """O(1) per call but ``forget_user``, which looks at all."""

    def __init__(self, window_ms: int, limit: int = SHOWN_TEXTS_MAX) -> None:
        self._window_ms = window_ms
        self._limit = limit
        self._by_text: dict[str, ShownText] = {}  # the first to go first, since all stay equally long
        self._by_id: dict[str, ShownText] = {}

    def __len__(self) -> int:
        return len(self._by_text)

    def said(self, text: str) -> ShownText | None:
        return self._by_text.get(text)

    def by_id(self, danmaku_id: str) -> ShownText | None:
        return self._by_id.get(danmaku_id)

    def show(self, text: str, danmaku: Danmaku, count: int, now_ms: int) -> ShownText:
        assert text not in self._by_text, text
        shown = ShownText(text, danmaku, count, now_ms + self._window_ms)
        self._by_text[text] = shown
        self._by_id[danmaku.danmaku_id] = shown
        if len(self._by_text) > self._limit:
            self._forget(next(iter(self._by_text.values())))
        return shown

    def alias(self, shown: ShownText, danmaku_id: str) -> None:
        if len(shown.ids) > ALIASES_MAX:
            return
        shown.ids.append(danmaku_id)
        self._by_id[danmaku_id] = shown

    def advance(self, now_ms: int) -> None:
        """Forget what was shown longer ago than the window."""
        while self._by_text:
            oldest = next(iter(self._by_text.values()))
            if oldest.until_ms > now_ms:
                break
            self._forget(oldest)

    def forget(self, danmaku_id: str) -> list[ShownText]:
        shown = self._by_id.get(danmaku_id)
        return [] if shown is None else [self._forget(shown)]

    def forget_user(self, user_id: str) -> list[ShownText]:
        theirs = [shown for shown in self._by_text.values() if shown.user_id == user_id]
        return [self._forget(shown) for shown in theirs]

    def _forget(self, shown: ShownText) -> ShownText:
        del self._by_text[shown.text]
        for danmaku_id in shown.ids:
            self._by_id.pop(danmaku_id, None)
        return shown
