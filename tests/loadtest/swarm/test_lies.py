"""A server that lies, over real sockets: each lie trips its own law, and an honest one trips none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from loadtest.swarm import orders
from loadtest.swarm.herd import Herd
from protocol.codec import CODECS
from protocol.commands import Join, Ping, Purchase
from protocol.events import Envelope, ExplainingStarted
from protocol.frames import DanmakuBlock, Frame, Snapshot, State
from protocol.replies import Bye, Joined, Me, Pong, PurchaseOutcome, Welcome
from protocol.types import Role, Stock

ROOM, EPOCH, T = "r1", 7, 1_767_225_600_000
Said = msgspec.Struct | bytes
WAIT_S = 10.0


def stock(seq: int, left: int = 5) -> Stock:
    return Stock(sale_id="s1", epoch=1, seq=seq, status="open", available={"one": left})


def tick(n: int, *, version: int = 0, seq: int = 0, left: int = 5) -> Frame:
    return Frame(
        room=ROOM, t=T, n=n, state=State(version=version or n, stock=[stock(seq, left)] if seq else [])
    )


def critical(*offsets: int, listing: str = "a") -> Frame:
    told = [Envelope(offset=each, at_ms=T, event=ExplainingStarted(listing_id=listing)) for each in offsets]
    return Frame(room=ROOM, t=T, epoch=EPOCH, head=offsets[-1], critical=told)


HONEST: list[Said] = [
    tick(1, seq=1),
    critical(3),
    tick(2, seq=2, left=4),
    critical(4, 5),
    tick(3, seq=3, left=3),
]
LIES: dict[str, tuple[str, list[Said]]] = {
    "stock goes back": ("stock", [*HONEST, tick(4, seq=2, left=4)]),
    "two stocks at one place": ("truth", [*HONEST, tick(4, seq=3, left=9)]),
    "counts go back": ("state", [*HONEST, tick(4, version=2)]),
    "an event is left out": ("critical", [*HONEST, critical(7)]),
    "an event is left out of a frame": ("offsets", [*HONEST, critical(6, 8)]),
    "two events at one offset": ("truth", [*HONEST, critical(4, listing="b")]),
    "a number comes again": ("n", [*HONEST, tick(3, seq=3, left=3)]),
    "a block does not add up": (
        "block",
        [*HONEST, Frame(room=ROOM, t=T, n=4, danmaku=DanmakuBlock(offered=3))],
    ),
    "a reply nobody asked for": ("reply", [*HONEST, Pong(id="nobody", t=T)]),
    "a frame of another room": ("room", [*HONEST, Frame(room="r2", t=T, n=4)]),
    "no message of ours": ("wire", [*HONEST, b"\xc1"]),
}


@asynccontextmanager
async def told(
    script: list[Said], answer: Callable[[Purchase], list[Said]] | None = None
) -> AsyncIterator[Herd]:
    """Two viewers, one of each codec, who joined and are told the script."""

    async def one(connection: ServerConnection) -> None:
        codec = CODECS[str(connection.subprotocol)]

        async def say(said: Said) -> None:
            payload = said if isinstance(said, bytes) else codec.encode(said)
            await connection.send(payload, text=codec.text)

        await say(
            Welcome(
                id="",
                t=T,
                user_id="v",
                role=Role.VIEWER,
                session_id="s",
                process="p",
                keepalive_ms=25_000,
                expires_at_ms=T,
            )
        )
        async for message in connection:
            command = codec.decode_command(message if isinstance(message, bytes) else message.encode())
            if isinstance(command, Join):
                reply = Joined(
                    id=command.id, t=T, room=ROOM, epoch=EPOCH, offset=2, mode="snapshot", n=0, me=Me()
                )
                snapshot = Frame(room=ROOM, t=T, epoch=EPOCH, head=2, snapshot=Snapshot(offset=2))
                for said in (reply, snapshot, *script):
                    await say(said)
            elif isinstance(command, Ping):
                await say(Pong(id=command.id, t=T))
            elif isinstance(command, Purchase) and answer is not None:
                for said in answer(command):
                    await say(said)

    async with serve(
        one, "127.0.0.1", 0, subprotocols=[Subprotocol(each) for each in CODECS], compression=None
    ) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        herd = Herd(
            index=0, secret="s" * 32, host="127.0.0.1", port=port, path="/v1/live", seed=1, deflate_every=0
        )
        try:
            await orders.come(herd, {"rooms": [ROOM], "first": 0, "count": 2, "group": "v", "over_s": 0})
            yield herd
        finally:
            await orders.go(herd, {})


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not done():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_an_honest_server_breaks_no_law() -> None:
    async with told(HONEST) as herd:
        await until(lambda: sum(each.place.events for each in herd.viewers) == 6)
        assert (await orders.settle(herd, {"seconds": WAIT_S}))["waiting"] == 0
        report = herd.report()
    assert report["laws_broken"] == {} and report["at_the_end"] == 2
    assert report["frames"] == 2 * (len(HONEST) + 1)
    assert report["digests"] == {ROOM: {f"{EPOCH}-5 s1@1.3": 2}}


@pytest.mark.parametrize("lie", LIES)
async def test_each_lie_breaks_its_law(lie: str) -> None:
    law, script = LIES[lie]
    async with told(script) as herd:
        await until(lambda: herd.broken[law] > 0)
        report = herd.report()
    assert set(report["laws_broken"]) == {law}, report["broken_details"]
    assert report["broken_details"]


async def test_a_viewer_kept_behind_is_not_at_the_end() -> None:
    """One of two is told an event less: no law of his own is broken, but they end apart."""
    async with told(HONEST) as herd:
        await until(lambda: sum(each.place.events for each in herd.viewers) == 6)
        herd.viewers[1].place.offset -= 1
        assert (await orders.settle(herd, {"seconds": 0}))["waiting"] == 1
        assert len(herd.report()["digests"][ROOM]) == 2


def bought(command: Purchase, word: str) -> PurchaseOutcome:
    return PurchaseOutcome(id=command.id, t=T, sale_id="s1", outcome=word)


async def test_an_unsettled_purchase_is_said_again_until_it_has_one_answer() -> None:
    seen: list[tuple[str, int]] = []

    def answer(command: Purchase) -> list[Said]:
        seen.append((command.id, command.attempt))
        return [bought(command, "pending" if command.attempt == 0 else "sold_out")]

    async with told([], answer) as herd:
        await until(lambda: all(each.present for each in herd.viewers))
        assert await orders.buy(herd, {"sale": "s1", "item": "one", "over_s": 0}) == {"bought": 2}
        assert (await orders.settle(herd, {"seconds": WAIT_S}))["waiting"] == 0
        report = herd.report()
    assert report["outcomes"] == {"sold_out": 2} and report["outcomes_known"] == report["purchases"] == 2
    assert sorted(attempt for _, attempt in seen) == [0, 0, 1, 1] and len({each for each, _ in seen}) == 2


async def test_a_second_answer_breaks_a_law_and_a_missing_one_is_missed() -> None:
    async with told([], lambda command: [bought(command, "sold_out")] * 2) as herd:
        await until(lambda: all(each.present for each in herd.viewers))
        await orders.buy(herd, {"sale": "s1", "item": "one", "over_s": 0})
        await until(lambda: herd.broken["reply"] == 2)
    async with told([], lambda command: []) as herd:
        await until(lambda: all(each.present for each in herd.viewers))
        await orders.buy(herd, {"sale": "s1", "item": "one", "over_s": 0})
        report = herd.report()
        assert report["waiting"] == 2 and report["outcomes_known"] == 0 and report["purchases"] == 2


async def test_who_is_cut_off_comes_back_where_he_was() -> None:
    async with told(HONEST) as herd:
        await until(lambda: sum(each.place.events for each in herd.viewers) == 6)
        assert await orders.cut(herd, {"jitter": False}) == {"dropped": 2}
        await until(lambda: herd.counts["opened"] == 4 and all(each.present for each in herd.viewers))
        assert herd.counts["returns"] == 2 and herd.connected == 2


async def test_who_is_told_not_to_come_back_is_lost() -> None:
    bye = Bye(t=T, reason="over", reconnect=False)
    async with told([*HONEST, bye]) as herd:
        await until(lambda: herd.counts["byes"] == 2)
        await orders.cut(herd, {})
        await until(lambda: herd.counts["turned_away"] == 2)
        report = herd.report()
    assert report["viewers"] - report["stay"] == 2


async def test_who_stops_reading_hears_nothing_until_he_reads_again() -> None:
    more: list[Said] = [tick(n, seq=n, left=1) for n in range(4, 40)]
    async with told(HONEST, lambda command: [*more, bought(command, "sold_out")]) as herd:
        await until(lambda: sum(each.place.events for each in herd.viewers) == 6)
        heard = herd.groups["v"].frames
        await orders.buy(herd, {"sale": "s1", "item": "one", "over_s": 0})
        await orders.pause(herd, {"group": "v"})
        assert (await orders.settle(herd, {"seconds": 0.2}))["waiting"] == 2
        assert herd.groups["v"].frames == heard
        await orders.read(herd, {"group": "v"})
        assert (await orders.settle(herd, {"seconds": WAIT_S}))["waiting"] == 0
        assert herd.groups["v"].frames == heard + 2 * len(more)


async def test_who_is_throttled_reads_in_portions() -> None:
    async with told(HONEST) as herd:
        await until(lambda: sum(each.place.events for each in herd.viewers) == 6)
        link = herd.viewers[0].link
        assert link is not None
        link.allow(1)
        herd.viewers[0].ping()
        await until(lambda: link.paused)  # the reply was more than that one byte
        assert not herd.viewers[0].answers.waiting  # and it was read whole
        link.allow(1)
        assert link.paused  # what was read too much is made good for first
        link.read_on()
        assert not link.paused
