"""What a herd can be told to do. Each order is a map with ``do`` and its own fields; each answers when it is
done, with a map.

    come      viewers first … first + count − 1 arrive over ``over_s``, evenly, or with a ``seed`` in the
              recording's rhythm: {rooms, group, first, count, over_s, seed?, receive_buffer?}
    move      whoever connects from here on goes to {host, port}
    phase     delays from here on belong to ``name``
    chat      play a recording: {seconds, copies, of, part, group?, stamp_every?, room?}
    flood     the recording's own comments, so many a second: {seconds, per_s, group?, seed}
    trade     pings and purchases one by one at random moments: {seconds, per_s, group?, sale?, item?}
    buy       each buys once, at a random moment: {group?, sale, item, quantity?, over_s, share?}
    cut       all connections of a group are lost at once: {group?, jitter?}
    pause     a group stops reading; read: at full speed again; throttle: {group, bytes_per_s}
    settle    until everybody is at the end of his room, at most ``seconds``
    report    everything counted so far
    go        everybody says goodbye
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final

from loadtest import replay
from loadtest.swarm import arrivals
from loadtest.swarm.heard import stamped
from loadtest.swarm.herd import Herd
from loadtest.swarm.viewer import Viewer

THROTTLE_S: Final = 0.05
SETTLE_S: Final = 0.05
GO_S: Final = 3.0
LOOK_MAX: Final = 64  # how many are asked whether they are free
TAPS_MAX: Final = 100
FLOOD_STEP_S: Final = 0.01

Order = Callable[[Herd, dict[str, Any]], Awaitable[dict[str, Any]]]


async def come(herd: Herd, order: dict[str, Any]) -> dict[str, Any]:
    rooms: list[str] = order["rooms"]
    first, count, over_s = order["first"], order["count"], float(order["over_s"])
    if order.get("seed") is not None:
        due = arrivals.moments(replay.read(replay.DEFAULT), count, over_s, order["seed"] + first)
    else:
        due = [over_s * k / count for k in range(count)]
    loop = asyncio.get_running_loop()
    began = loop.time()
    for k in range(count):
        number = first + k
        viewer = herd.add(
            f"{order['group']}{number}",
            rooms[number % len(rooms)],
            order["group"],
            receive_buffer=order.get("receive_buffer", 0),
        )
        wait_s = began + due[k] - loop.time()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        elif k % 50 == 49:
            await asyncio.sleep(0)
        herd.connect(viewer)
    return {"count": count}


async def move(herd: Herd, order: dict[str, Any]) -> dict[str, Any]:
    herd.address = (order["host"], order["port"])
    return {}


async def phase(herd: Herd, order: dict[str, Any]) -> dict[str, Any]:
    herd.enter_phase(order["name"])
    return {}


async def chat(herd: Herd, order: dict[str, Any]) -> dict[str, Any]:
    happenings = replay.read(replay.DEFAULT).superposed(float(order["seconds"]), order["copies"])
    turns = deque(herd.of(order.get("group", "")))
    stamp_every = order.get("stamp_every", 0)
    loop = asyncio.get_running_loop()
    began, unsaid, said = loop.time(), 0, 0
    for happening in happenings[order["part"] :: order["of"]]:
        wait_s = began + happening.at_s - loop.time()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        viewer = _free(turns)
        if viewer is None:
            unsaid += 1
            continue
        said += 1
        if happening.kind == "danmaku":
            stamp = stamp_every and said % stamp_every == 0
            viewer.say(stamped(happening.text[:80], herd.now_us()) if stamp else happening.text)
        elif happening.kind == "like":
            viewer.like(min(happening.times, TAPS_MAX))
        elif happening.kind == "enter":
            viewer.reenter()
    return {"said": said, "unsaid": unsaid}


async def flood(herd: Herd, order: dict[str, Any]) -> dict[str, Any]:
    """So many that single moments don't matter: what is due is said in steps of ``FLOOD_STEP_S``."""
    draw = random.Random(order["seed"])
    recorded = replay.read(replay.DEFAULT).happenings
    texts = [each.text for each in recorded if each.kind == "danmaku"]
    turns = deque(herd.of(order.get("group", "")))
    per_s, seconds = float(order["per_s"]), float(order["seconds"])
    loop = asyncio.get_running_loop()
    began, said, unsaid = loop.time(), 0, 0
    while (passed_s := loop.time() - began) < seconds:
        for _ in range(int(passed_s * per_s) - said - unsaid):
            viewer = _free(turns)
            if viewer is None:
                unsaid += 1
            else:
                said += 1
                viewer.say(draw.choice(texts))
        await asyncio.sleep(FLOOD_STEP_S)
    return {"said": said, "unsaid": unsaid, "seconds": loop.time() - began}


async def trade(herd: Herd, order: dict[str, Any]) -> dict[str, Any]:
    draw = herd.random
    turns = deque(herd.of(order.get("group", "")))
    loop = asyncio.get_running_loop()
    ends, done = loop.time() + float(order["seconds"]), 0
    due = loop.time()
    while due < ends:
        due += draw.expovariate(float(order["per_s"]))
        await asyncio.sleep(max(due - loop.time(), 0))
        viewer = _free(turns)
        if viewer is None:
            continue
        done += 1
        if order.get("sale") and done % 2:
            viewer.buy(order["sale"], order["item"], 1)
        else:
            viewer.ping()
    return {"done": done}


async def buy(herd: Herd, order: dict[str, Any]) -> dict[str, Any]:
    draw = herd.random
    share = float(order.get("share", 1.0))
    buyers = [viewer for viewer in herd.of(order.get("group", "")) if share >= 1 or draw.random() < share]
    moments = sorted((draw.random() * float(order["over_s"]), k) for k in range(len(buyers)))
    loop = asyncio.get_running_loop()
    began, bought = loop.time(), 0
    for at_s, k in moments:
        wait_s = began + at_s - loop.time()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        if buyers[k].present:
            buyers[k].buy(order["sale"], order["item"], order.get("quantity", 1))
            bought += 1
    return {"bought": bought}


async def cut(herd: Herd, order: dict[str, Any]) -> dict[str, Any]:
    herd.jitter = order.get("jitter", True)
    dropped = 0
    for viewer in herd.of(order.get("group", "")):
        if viewer.link is not None and viewer.link.is_open:
            viewer.link.cut()
            dropped += 1
    return {"dropped": dropped}


async def pause(herd: Herd, order: dict[str, Any]) -> dict[str, Any]:
    for viewer in herd.of(order["group"]):
        viewer.slow = True
        if viewer.link is not None:
            viewer.link.pause()
    return {}


async def read(herd: Herd, order: dict[str, Any]) -> dict[str, Any]:
    for viewer in herd.of(order["group"]):
        viewer.slow = False
        if viewer.link is not None:
            viewer.link.read_on()
    return {}


async def throttle(herd: Herd, order: dict[str, Any]) -> dict[str, Any]:
    """For ``seconds``; then at full speed again."""
    portion = max(int(float(order["bytes_per_s"]) * THROTTLE_S), 1)
    loop = asyncio.get_running_loop()
    ends = loop.time() + float(order["seconds"])
    viewers = herd.of(order["group"])
    for viewer in viewers:
        viewer.slow = True
    while loop.time() < ends:
        for viewer in viewers:
            if viewer.link is not None:
                viewer.link.allow(portion)
        await asyncio.sleep(THROTTLE_S)
    return await read(herd, order)


async def settle(herd: Herd, order: dict[str, Any]) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    ends = loop.time() + float(order["seconds"])
    for room, (epoch, offset) in order.get("heads", {}).items():
        herd.heads[room] = max(herd.heads.get(room, (0, 0)), (epoch, offset))
    while True:
        waiting = sum(not (viewer.gone or viewer.at_the_end) for viewer in herd.viewers)
        if not waiting or loop.time() >= ends:
            heads = {room: list(head) for room, head in herd.heads.items()}
            return {"waiting": waiting, "heads": heads}
        await asyncio.sleep(SETTLE_S)


async def report(herd: Herd, order: dict[str, Any]) -> dict[str, Any]:
    return herd.report()


async def go(herd: Herd, order: dict[str, Any]) -> dict[str, Any]:
    for viewer in herd.viewers:
        viewer.leave()
    loop = asyncio.get_running_loop()
    ends = loop.time() + GO_S
    while herd.connected and loop.time() < ends:  # noqa: ASYNC110 (a bounded wait for thousands)
        await asyncio.sleep(SETTLE_S)
    return {"left": herd.connected}


ORDERS: Final[dict[str, Order]] = {
    each.__name__: each
    for each in (come, move, phase, chat, flood, trade, buy, cut, pause, read, throttle, settle, report, go)
}


def _free(turns: deque[Viewer]) -> Viewer | None:
    for _ in range(min(LOOK_MAX, len(turns))):
        viewer = turns[0]
        turns.rotate(-1)
        if viewer.free:
            return viewer
    return None
