"""One side's counts of a tick: our own viewers' danmaku, or what the other processes sent."""

from __future__ import annotations

from protocol.types import Gift

from .limits import GIFT_LINES_MAX


class Tally:
    """Counts of one tick from one side, ours or the other processes'."""

    __slots__ = ("entered", "gifts", "merged", "offered", "shed")

    def __init__(self) -> None:
        self.offered = self.merged = self.shed = self.entered = 0
        self.gifts: dict[tuple[str, str], Gift] = {}

    def gift(self, gift: Gift) -> None:
        self.offered += 1
        key = gift.user_id, gift.gift
        before = self.gifts.get(key)
        if before is not None:
            self.merged += 1
            self.gifts[key] = sum_gifts(before, gift)
        elif len(self.gifts) < GIFT_LINES_MAX:
            self.gifts[key] = gift
        else:
            self.shed += 1


def sum_gifts(gift: Gift, more: Gift) -> Gift:
    return Gift(gift.user_id, gift.name, gift.gift, gift.count + more.count)
