"""A tick's counts and lines, put together: the block our screens show, and the one other processes get."""

from __future__ import annotations

from collections.abc import Iterable

from protocol.frames import DanmakuBlock
from protocol.types import Danmaku, Repeat

from .tally import Tally, sum_gifts


def screen_block(
    ours: Tally, theirs: Tally, danmaku: list[Danmaku], repeats: Iterable[Repeat]
) -> DanmakuBlock | None:
    """None: nothing happened."""
    if not (ours.offered or theirs.offered or ours.entered or theirs.entered):
        return None
    gifts = dict(ours.gifts)
    for key, gift in theirs.gifts.items():
        gifts[key] = sum_gifts(gifts[key], gift) if key in gifts else gift
    summed = len(ours.gifts) + len(theirs.gifts) - len(gifts)
    return DanmakuBlock(
        offered=ours.offered + theirs.offered,
        merged=ours.merged + theirs.merged + summed,
        shed=ours.shed + theirs.shed,
        danmaku=danmaku,
        repeats=list(repeats),
        gifts=list(gifts.values()),
        entered=ours.entered + theirs.entered,
    )


def outgoing_block(ours: Tally, danmaku: list[Danmaku], repeats: Iterable[Repeat]) -> DanmakuBlock | None:
    """None: our own viewers said nothing."""
    if not (ours.offered or ours.entered):
        return None
    return DanmakuBlock(
        offered=ours.offered,
        merged=ours.merged,
        shed=ours.shed,
        danmaku=danmaku,
        repeats=list(repeats),
        gifts=list(ours.gifts.values()),
        entered=ours.entered,
    )
