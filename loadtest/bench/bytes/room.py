"""A recorded room's comments, superposed, cut into ticks as the hub cuts them. Pure.

A recording tells pseudonyms, no display names. So a room is made twice: its people are called by their
pseudonyms, or (the dearer) by names made up for them, as long as people's names are.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

from liveserver.core.tick import Tick
from loadtest.replay import Happening, Recording
from protocol.frames import DanmakuBlock, Frame
from protocol.types import Danmaku

ROOM: Final = "room-1024"
PROCESS: Final = "qz4fk"  # a process's name begins the ids of its comments
BEGAN_MS: Final = 1_760_000_000_000
HEAD: Final = 120  # a room's critical events so far
NOBODY: Final = "someone"  # where the recording tells no user
FIRST: Final = 40_000  # its comments are counted; this one has been running a while
DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
SYLLABLES: Final = (
    "小大阿老风雨花月星云海山水火木金土猫狗鱼鸟米面糖茶酒梦心天人爱乐喜美丽安静龙虎赵钱孙李周吴郑王林陈"
)
LATIN: Final = "abcdefghijklmnopqrstuvwxyz0123456789_"
SYLLABLES_OF: Final = (2, 3, 3, 4, 4, 5, 6, 7)  # Guess: so many characters, drawn from these
LATIN_SHARE: Final = 0.2  # Guess: of names without Chinese characters


def comments(recording: Recording, seconds: float, per_s: float) -> list[Happening]:
    """Its busiest piece, so many copies of it at once that ``per_s`` comments come a second. ``ValueError``
    where it has none."""
    said = sum(one.kind == "danmaku" for one in recording.stretch(seconds))
    if not said:
        raise ValueError("the recording has no comments")
    copies = max(1, round(per_s * seconds / said))
    return [one for one in recording.superposed(seconds, copies) if one.kind == "danmaku"]


def names(users: list[str], seed: int) -> dict[str, str]:
    rng = random.Random(seed)
    return {user: _name(rng) for user in dict.fromkeys(users)}


def _name(rng: random.Random) -> str:
    if rng.random() < LATIN_SHARE:
        return "".join(rng.choices(LATIN, k=rng.randint(5, 12)))
    return "".join(rng.choices(SYLLABLES, k=rng.choice(SYLLABLES_OF)))


def frames(said: list[Happening], called: dict[str, str]) -> Iterator[Frame]:
    """Those of the ticks, were there no broadcast that takes time: the first comment after a quiet spell
    goes alone, what comes in its period goes together."""
    tick, number, due_ms = Tick(), 0, 0
    waiting: list[Danmaku] = []
    for index, one in enumerate(said):
        now_ms = BEGAN_MS + round(one.at_s * 1000)
        if waiting and now_ms > due_ms:
            number += 1
            yield _frame(tick, due_ms, number, waiting)
            waiting = []
        user = one.user or NOBODY
        name = called.get(user, "")  # empty: the id is shown
        waiting.append(Danmaku(PROCESS + _base36(FIRST + index), user, name, one.text))
        tick.wanted()
        if len(waiting) == 1:
            due_ms = tick.next_due(now_ms) or now_ms
    if waiting:
        yield _frame(tick, due_ms, number + 1, waiting)


def _frame(tick: Tick, now_ms: int, number: int, waiting: list[Danmaku]) -> Frame:
    tick.started(now_ms)
    tick.finished(now_ms)
    block = DanmakuBlock(offered=len(waiting), danmaku=waiting)
    return Frame(room=ROOM, t=now_ms, n=number, head=HEAD, danmaku=block)


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = DIGITS[digit] + digits
    return digits
