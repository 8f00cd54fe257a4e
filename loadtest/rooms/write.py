"""Writes ``default.jsonl``: seventy-five seconds of a selling room that never was.

    python -m loadtest.rooms.write > loadtest/rooms/default.jsonl

All text is our own. The rhythm is that of recorded rooms (README of this package's parent): comments come
in bursts far from Poisson, four to seven in ten repeat one of the last minute, a wave of one word follows
a call of the streamer's, entries and likes go along. Same seed, same bytes.
"""

from __future__ import annotations

import random
import sys
from typing import Any, Final

import orjson

SECONDS: Final = 75
SEED: Final = 20190711  # the month flash listings appeared
BASE_PER_S: Final = 3.5  # comments in a quiet second
PEOPLE: Final = 400

ASKS: Final = [
    "多少钱", "链接", "几号链接", "上链接", "有没有大码", "什么面料", "包邮吗", "怎么买", "尺码表发一下",
    "一米六穿什么码", "有黑色吗", "会不会起球", "能退吗", "今天发货吗", "还有吗", "补货补货", "加库存啊",
    "和上次那个一样吗", "可以机洗吗", "新疆发吗", "多重", "保质期多久", "辣不辣", "孩子能吃吗", "再讲一遍",
]  # fmt: skip
JOYS: Final = [
    "抢到了", "没抢到", "秒没", "手慢了", "老铁来了", "主播好", "哈哈哈哈", "太便宜了", "已拍", "支持",
    "来了来了", "第一次来", "回头客", "上次买的很好", "质量可以的", "笑死", "信主播的", "冲冲冲", "好看",
    "这个颜色绝了", "我妈也喜欢", "已经是第三单了", "等了一晚上",
]  # fmt: skip
LONGER: Final = [
    "上次买的辣椒酱三天就吃完了", "主播能不能试穿一下那件红色的", "一百二十斤穿L会不会紧",
    "给我妈买的她说比商场里的还好", "能不能再便宜五块钱我就拍两件", "客服说三天到结果第二天就到了",
    "昨天那款还会上吗我没抢到", "麻烦讲一下怎么洗会不会掉色",
]  # fmt: skip
THINGS: Final = [
    "红色那件",
    "三号链接",
    "那个辣椒酱",
    "黑色卫衣",
    "刚才那款",
    "小份的",
    "大礼包",
    "外套",
    "苹果",
]
WAVES: Final = ["扣1", "1", "888", "666", "链接", "想要", "抢"]
GIFTS: Final = ["小红心", "啤酒", "穿云箭", "玫瑰", "为你打call"]


def happenings(seed: int = SEED) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    out: list[dict[str, Any]] = []
    said: list[tuple[float, str]] = []
    heat = 1.0
    waves = {round(t): rng.choice(WAVES) for t in (9, 24, 41, 62)}
    for second in range(SECONDS):
        heat = max(0.3, min(4.0, heat**0.7 * rng.lognormvariate(0.0, 0.6)))
        wave = next((word for t, word in waves.items() if t <= second < t + 4), None)
        comments = _poisson(rng, BASE_PER_S * heat + (18 if wave else 0))
        for _ in range(comments):
            at = round(second + rng.random() ** 1.6, 2)
            recent = [text for t, text in said if at - t < 60]
            if wave and rng.random() < 0.75:
                text = wave
            elif recent and rng.random() < 0.25:
                text = rng.choice(recent[-40:])
            else:
                text = rng.choice(rng.choices((ASKS, JOYS, LONGER), (5, 4, 2))[0])
                if rng.random() < 0.5:
                    text = rng.choice(THINGS) + text
                text += rng.choice(("", "", "", "", "！", "？", "~"))
            said.append((at, text))
            out.append({"t": at, "user": _user(rng), "type": "danmaku", "text": text})
        for kind, per_s in (("enter", 2.2), ("like", 0.8), ("gift", 0.5)):
            for _ in range(_poisson(rng, per_s * (1 + heat / 4))):
                entry: dict[str, Any] = {
                    "t": round(second + rng.random(), 2),
                    "user": _user(rng),
                    "type": kind,
                }
                if kind == "like":
                    entry |= {"text": "", "n": 1 + _poisson(rng, 6.6)}
                elif kind == "gift":
                    entry |= {"text": rng.choice(GIFTS), "n": rng.choice((1, 1, 1, 2, 5, 10))}
                else:
                    entry["text"] = ""
                out.append(entry)
    return sorted(out, key=lambda each: each["t"])


def _user(rng: random.Random) -> str:
    return f"u{int(PEOPLE * rng.random() ** 1.8)}"


def _poisson(rng: random.Random, mean: float) -> int:
    """Arrivals in one second: how many unit exponentials fit into the mean."""
    count, left = 0, mean
    while (left := left - rng.expovariate(1.0)) > 0:
        count += 1
    return count


if __name__ == "__main__":
    for each in happenings():
        sys.stdout.write(orjson.dumps(each).decode() + "\n")
