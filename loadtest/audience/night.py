"""The night, from the first viewer to the last line of the journal. See ``plan`` for what it holds.

It ends by itself: every wait is bounded, and a stop (SIGINT, SIGTERM) skips to the end, where the journal
says that it is partial.
"""

from __future__ import annotations

import asyncio
import math
import random
import re
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, Final

import orjson
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from loadtest import replay
from loadtest.audience import dump
from loadtest.audience.buyers import Buyers
from loadtest.audience.chatter import Chatter
from loadtest.audience.member import Member
from loadtest.audience.plan import Order, Plan, Sale, Scene, make
from loadtest.audience.rest import RestError, call
from loadtest.audience.scenes import SCENES
from loadtest.audience.scenes.stage import Stage
from loadtest.audience.shop import Shop
from loadtest.audience.streamer import Streamer
from loadtest.audience.world import Options, World
from loadtest.journal import STORE, JournalWriter, write_meta
from protocol.codec import JSON, MSGPACK

AUDIENCE: Final = "audience.jsonl"
FIGURES: Final = "figures.json"
TICK_S: Final = 0.1
REPORT_S: Final = 0.5
LATE_S_MAX: Final = 20.0  # beyond the plan's own length, the night is stopped
SETTLE_S_MAX: Final = 20.0
QUIET_S: Final = 0.6  # nothing new for so long, with everybody at the head: settled
VIEWERS_A_COPY: Final = 100  # Guess: who makes one recording's noise
METRICS_TRIES: Final = 10

_LAW: Final = re.compile(r"liveserver_(\w+_units_total\{|handshakes_accepted_total\b)")

Report = Callable[[dict[str, Any]], None]


class Night:
    def __init__(
        self, options: Options, journal: JournalWriter, report: Report, stopped: asyncio.Event
    ) -> None:
        self.plan: Plan = make(options.seconds, options.viewers, options.seed)
        self.world = World(options, journal, random.Random(options.seed))
        self.report = report
        self.stopped = stopped
        self.partial = False
        world = self.world
        tokens = options.tokens
        self.streamer = Member(world, "streamer", "streamer", tokens["streamer"], MSGPACK)
        self.service = Member(world, "service", "service", tokens["service"], JSON)
        self.viewers = [
            Member(world, f"v{k}", "viewer", tokens["viewers"][k], (JSON, MSGPACK)[k % 2], deflate=k % 5 == 2)
            for k in range(options.viewers)
        ]
        for stall in self.plan.stalls:
            self.viewers[stall.viewer] = Member(
                world, f"v{stall.viewer}", "viewer", tokens["viewers"][stall.viewer], JSON, small_buffer=True
            )
        for viewer, name in zip(self.viewers, tokens.get("names", ()), strict=False):
            viewer.name = name
        for place in self.plan.cast:
            self.viewers[place].stays = True
        self.shop = Shop(world, self.service, tokens["service"])
        self._orders: set[asyncio.Task[None]] = set()

    @property
    def members(self) -> list[Member]:
        return [self.streamer, self.service, *self.viewers]

    async def run(self) -> bool:
        """True if it went to its end."""
        background = [asyncio.create_task(self._tick()), asyncio.create_task(self._report())]
        stop = asyncio.create_task(self.stopped.wait())
        whole = asyncio.create_task(self._whole())
        try:
            limit_s = self.plan.seconds + LATE_S_MAX + SETTLE_S_MAX
            await asyncio.wait({stop, whole}, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
            if not whole.done():
                self.partial = True
                if not self.stopped.is_set():
                    self.world.fault("night", f"not over after {limit_s:g} seconds")
            elif (error := whole.exception()) is not None:
                self.partial = True
                self.world.fault("night", repr(error))
        finally:
            for task in (stop, whole, *self._orders):
                task.cancel()
            await asyncio.gather(stop, whole, *self._orders, return_exceptions=True)
            self.world.ending = True
            self.world.phase = "leaving"
            await asyncio.gather(*(member.go() for member in self.members))
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            await self._store()
            self.world.journal.write("end", ms=self.world.watch.now_ms(), partial=self.partial)
        return not self.partial

    # -- the night -------------------------------------------------------------------------------------

    async def _whole(self) -> None:
        world, loop = self.world, asyncio.get_running_loop()
        recording = replay.read(world.options.replay or replay.DEFAULT)
        if recording.bad_lines:
            world.figures.counts["bad_lines"] = recording.bad_lines
            print(f"{recording.bad_lines} bad lines: {'; '.join(recording.bad[:3])}", file=sys.stderr)
        # The room that comes with us scales with the audience; somebody's recording is played as it is.
        copies = 1 if world.options.replay else math.ceil(len(self.viewers) / VIEWERS_A_COPY)
        happenings = recording.superposed(self.plan.seconds * 0.92, copies)
        await asyncio.gather(self.streamer.enter(), self.service.enter())
        began_s = loop.time()
        self.buyers = Buyers(world, self.shop)
        streamer = Streamer(world, self.streamer, self.plan)
        world.phase = "arriving"
        chatter = Chatter(world, self.viewers, self.shop)
        async with asyncio.TaskGroup() as tasks:
            for viewer, at_s in zip(self.viewers, self.plan.arrivals_s, strict=True):
                tasks.create_task(self._enter(began_s + at_s, viewer))
            for cut in self.plan.cuts:
                tasks.create_task(self._cut(began_s + cut.at_s, self.viewers[cut.viewer], cut.by))
            for stall in self.plan.stalls:
                tasks.create_task(self._stall(began_s + stall.at_s, self.viewers[stall.viewer], stall.for_s))
            for sale in self.plan.sales:
                tasks.create_task(self._rush(began_s, sale))
            for scene in self.plan.scenes:
                tasks.create_task(self._scene(began_s, scene, streamer))
            tasks.create_task(streamer.evening(began_s))
            tasks.create_task(chatter.play(happenings, began_s))
        if self._orders:
            await asyncio.wait(self._orders, timeout=LATE_S_MAX)
        await self._settle()

    async def _enter(self, at_s: float, viewer: Member) -> None:
        await _until(at_s)
        try:
            await viewer.enter()
        except TimeoutError:
            self.world.fault(viewer.user, "did not get into the room")

    async def _cut(self, at_s: float, viewer: Member, by: str) -> None:
        await _until(at_s)
        viewer.cut(by)

    async def _stall(self, at_s: float, viewer: Member, for_s: float) -> None:
        await _until(at_s)
        viewer.stall()
        await asyncio.sleep(for_s)
        viewer.read_again()

    async def _rush(self, began_s: float, sale: Sale) -> None:
        for order in sale.orders:
            await _until(began_s + order.at_s)
            buyer = self.viewers[order.viewer]
            if buyer.reading:
                self._order(buyer, sale, order)
            else:
                self.world.figures.counts["orders_not_sent"] += 1

    async def _scene(self, began_s: float, scene: Scene, streamer: Streamer) -> None:
        await _until(began_s + scene.sale.opens_s)
        stage = Stage(
            self.world,
            scene,
            self.viewers,
            streamer=streamer,
            buyers=self.buyers,
            shop=self.shop,
            closes_at_s=began_s + scene.sale.closes_s,
        )
        await SCENES[scene.name](stage)

    def _order(self, buyer: Member, sale: Sale, order: Order) -> None:
        task = asyncio.create_task(self.buyers.buy(buyer, sale, order))
        self._orders.add(task)
        task.add_done_callback(self._ordered)

    def _ordered(self, task: asyncio.Task[None]) -> None:
        self._orders.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.world.fault("buyer", repr(error))

    # -- the end ---------------------------------------------------------------------------------------

    async def _settle(self) -> None:
        """Until nothing is held and everybody stands at the same place; then mark the instant."""
        self.world.phase = "settling"
        loop = asyncio.get_running_loop()
        until_s = loop.time() + SETTLE_S_MAX
        store = _client(self.world.options.store)
        try:
            while loop.time() < until_s:
                held = [await dump.held_units(store, sale.sale_id) for sale in self.plan.all_sales]
                if not any(held) and len({self._place(member) for member in self.members}) == 1:
                    break
                await asyncio.sleep(0.2)
            else:
                self.world.fault("night", "it did not settle")
        finally:
            await store.aclose()
        await asyncio.sleep(QUIET_S)
        self.world.journal.write("mark", ms=self.world.watch.now_ms(), name="settled")

    def _place(self, member: Member) -> tuple[object, ...]:
        """Where a member's screen stands."""
        mirror = member.session.rooms[self.world.room].mirror
        stocks = tuple(
            (stock.epoch, stock.seq) if stock else None
            for stock in (mirror.stock(sale.sale_id) for sale in self.plan.all_sales)
        )
        return member.present, mirror.epoch, mirror.offset, stocks

    async def _store(self) -> None:
        """The store's own word, and the server's counters once the last session has been counted."""
        options = self.world.options
        with JournalWriter(options.journal, STORE) as journal:
            store = _client(options.store)
            try:
                await dump.dump(store, journal, options.room, [sale.sale_id for sale in self.plan.all_sales])
            except Exception as error:
                self.world.fault("dump", repr(error))
            finally:
                await store.aclose()
            text = ""
            for _ in range(METRICS_TRIES):
                try:
                    status, body = await call(options.host, options.port, "GET", "/metrics")
                except RestError as error:
                    self.world.fault("metrics", error)
                    break
                unchanged, text = text == _laws(body), _laws(body)
                if status == 200 and unchanged:
                    break
                await asyncio.sleep(0.25)
            journal.write("metrics", text=text)

    # -- meanwhile -------------------------------------------------------------------------------------

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            for member in self.members:
                member.tick()

    async def _report(self) -> None:
        while True:
            self.report(self.progress())
            self.world.journal.flush()
            await asyncio.sleep(REPORT_S)

    def progress(self) -> dict[str, Any]:
        figures, mirror = self.world.figures, self._mirror()
        stock = {}
        for sale in self.plan.all_sales:
            seen = mirror.stock(sale.sale_id) if mirror is not None else None
            if seen is not None:
                stock[sale.sale_id] = {
                    "status": seen.status,
                    "available": sum(seen.available.values()),
                    "of": sale.units_offered,
                }
        return {
            "phase": self.world.phase,
            "viewers": figures.viewers,
            "shown": figures.counts["danmaku_shown"],
            "merged": figures.counts["danmaku_merged"],
            "purchases": sum(figures.outcomes.values()),
            "reserved": figures.outcomes["reserved"],
            "p99_ms": figures.delivery.at(99),
            "stock": stock,
            "scenes": dict(figures.scenes),
            "recent": self.world.recent[-5:],
        }

    def _mirror(self) -> Any:
        link = self.streamer.session.rooms.get(self.world.room)
        return link.mirror if link is not None else None


async def _until(at_s: float) -> None:
    await asyncio.sleep(max(0.0, at_s - asyncio.get_running_loop().time()))


def _laws(body: bytes) -> str:
    """The counters the verdict reads."""
    return "\n".join(line for line in body.decode(errors="replace").splitlines() if _LAW.match(line))


def _client(url: str) -> Redis:
    return Redis.from_url(url, retry=Retry(NoBackoff(), 0), socket_timeout=5.0)


async def run(options: Options, report: Report, on_stop: Callable[[Callable[[], None]], None]) -> bool:
    """Play the night into ``options.journal``. ``on_stop`` is handed what stops it early."""
    stopped = asyncio.Event()
    on_stop(stopped.set)
    plan = make(options.seconds, options.viewers, options.seed)
    write_meta(
        options.journal,
        {
            "version": 1,
            "room": options.room,
            "url": options.url,
            "seed": options.seed,
            "seconds": options.seconds,
            "viewers": options.viewers,
            "guests": options.guests,
            "replay": options.replay.name if options.replay else "default",
            "versions": {name: version(name) for name in ("websockets", "msgspec", "redis")},
            "python": sys.version.split()[0],
            "sales": [
                {"saleId": s.sale_id, "stock": s.stock, "restock": s.restock, "unitsAsked": s.units_asked}
                for s in plan.all_sales
            ],
        },
    )
    with JournalWriter(options.journal, AUDIENCE) as journal:
        night = Night(options, journal, report, stopped)
        journal.write("begin", process="audience", wallMs=night.world.watch.now_ms())
        whole = await night.run()
        figures = night.world.figures.report()
    (options.journal / FIGURES).write_bytes(orjson.dumps(figures, option=orjson.OPT_INDENT_2))
    report({"phase": "over", "figures": figures, "whole": whole})
    return whole
