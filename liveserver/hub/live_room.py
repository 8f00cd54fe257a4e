"""A room as this process holds it: what comes in between two ticks, and what goes out at one.

It knows the pure core's parts and puts them in order; it doesn't know sockets' bytes, Redis, or who may
do what. Everything here runs on the loop, without waiting, but for ``publish``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random

import structlog
from msgspec.structs import replace

from liveserver.commands.ports import Decide
from liveserver.commands.reservations import fact_id
from liveserver.commands.reservations import stock as wire_stock
from liveserver.commands.session import Session
from liveserver.core.clock import Clock
from liveserver.core.conservation import Conservation
from liveserver.core.counts import Counts
from liveserver.core.danmaku import DanmakuPool, Offered
from liveserver.core.decide import decide_sale
from liveserver.core.limits import RIDE_MS, USER_LINES_PER_S
from liveserver.core.recent import RecentDanmaku
from liveserver.core.room import Room
from liveserver.core.stock_board import StockBoard
from liveserver.core.tick import Tick
from liveserver.stock.port import StockView
from liveserver.store.port import Relay, RelayCritical, RelayItem, RoomStore
from protocol.errors import CommandError
from protocol.events import DanmakuDeleted, Envelope, Event, SaleOpened, UserMuted
from protocol.frames import DanmakuBlock, Frame, State
from protocol.types import Danmaku, Gift, Sale, Stock

from .broadcaster import Broadcaster, TickJob
from .chunks import Personal, unpack
from .delivery import Delivery
from .encoded import Encoded
from .others import Others
from .receipts import ReceiptsJob
from .room_log import RoomLog
from .seats import Seat, Seats
from .sharing import Sharing
from .store_errors import store_errors
from .tasks import Tasks

logger = structlog.get_logger(__name__)

BUYERS_MAX = 100_000  # remembered for priority; the oldest is forgotten first


class LiveRoom:
    def __init__(
        self,
        room_id: str,
        process: str,
        *,
        store: RoomStore,
        relay: Relay,
        clock: Clock,
        broadcaster: Broadcaster,
        law: Conservation,
        tasks: Tasks,
        on_sale: Callable[[str, str], None],
        budget_per_s: int,
        seed: int,
        user_lines_per_s: int = USER_LINES_PER_S,
    ) -> None:
        self.room_id = room_id
        self.process = process
        self.store = store
        self.clock = clock
        self.law = law
        self.tasks = tasks
        self.on_sale = on_sale
        self.broadcaster = broadcaster
        self.seats = Seats()
        self.log = RoomLog(room_id, store, clock, self._on_events, self._on_reset)
        self.recent = RecentDanmaku()
        self.board = StockBoard()
        self.counts = Counts()
        self.delivery = Delivery(self)
        self.holding = process  # under which name its figures are told: another each time a room is held
        self.likes = 0  # taps since it is held
        self.coming = 0  # sessions on their way in
        self.n = 0  # the last tick frame's number
        self._pool = DanmakuPool(budget_per_s, rng=Random(seed), user_lines_per_s=user_lines_per_s)
        self.sharing = Sharing(budget_per_s, self._pool.budget, clock.now_ms())
        self._tick = Tick()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ms = 0  # when it is due
        self._buyers: dict[str, None] = {}
        self.others = Others(
            room_id, process, relay=relay, clock=clock, tasks=tasks, view=lambda: self.log.view
        )

    # -- what the handlers ask -------------------------------------------------------------------------

    @property
    def view(self) -> Room:
        return self.log.view

    def is_buyer(self, user_id: str) -> bool:
        return user_id in self._buyers

    def bought(self, user_id: str) -> None:
        self._buyers.pop(user_id, None)
        self._buyers[user_id] = None
        if len(self._buyers) > BUYERS_MAX:
            del self._buyers[next(iter(self._buyers))]

    def offer_danmaku(self, danmaku: Danmaku, priority: int, ticket: tuple[Session, str]) -> None:
        self._pool.offer(Offered(danmaku, priority, ticket), self.clock.now_ms())
        self.want_tick()

    def offer_gift(self, gift: Gift) -> None:
        self._pool.offer_gift(gift)
        self.want_tick()

    def entered(self) -> None:
        self._pool.entered(1)
        self._ride_along()

    def add_likes(self, taps: int) -> None:
        self.likes += taps

    async def publish(
        self,
        command_id: str,
        decide: Decide,
        stream_time_ms: int | None = None,
        *,
        makes: Callable[[Event], bool] | None = None,
    ) -> tuple[int, int, bool]:
        return await self.log.publish(command_id, decide, stream_time_ms, makes=makes)

    async def catch_up(self) -> bool:
        return await self.log.catch_up()

    async def check_id(self, command_id: str, makes: Callable[[Event], bool]) -> None:
        await self.log.check_id(command_id, makes)

    async def announce_sale(self, sale_id: str) -> None:
        with store_errors():
            await self.store.announce_sale(self.room_id, sale_id)

    async def is_announced(self, sale_id: str) -> bool:
        with store_errors(reading=True):
            return await self.store.is_announced(self.room_id, sale_id)

    # -- what the ledger and the beat say --------------------------------------------------------------

    def observe(self, view: StockView) -> bool:
        """A reply of the ledger: shown at the next tick, told to the others, and if it means that the sale
        sold out, came back or closed, made a critical event. True: the room has heard all of that."""
        self.others.learn(view)
        stock = wire_stock(view)
        self._show_stock(stock)
        if decide_sale(self.view, view.sale_id, stock, None) is None:
            return True
        self.tasks.start(self._publish_sale_fact(view), name=f"sale-fact {view.sale_id}")
        return False

    async def _publish_sale_fact(self, view: StockView) -> None:
        """Any process may be first; the room's own version of the sale makes the others' a no-op."""
        stock = wire_stock(view)
        try:
            await self.log.publish(
                fact_id(view),
                lambda room: decide_sale(room, view.sale_id, stock, None),
                None,
            )
        except CommandError:
            logger.warning("sale_fact_not_published", room=self.room_id, sale=view.sale_id)  # the poll heals

    def tell(self, personal: Personal) -> None:
        """A notice whose user may sit at another process."""
        self.others.notice(personal)
        self.want_tick()

    def set_counts(self, viewers: int, likes: int) -> None:
        before = self.counts.viewers, self.counts.likes
        known = self.counts.version
        if self.counts.set(viewers, likes, self.clock.now_ms()) and (
            not known or before != (self.counts.viewers, self.counts.likes)
        ):
            self.delivery.state_moved()
            self._ride_along()

    def _show_stock(self, stock: Stock) -> None:
        if self.board.offer(stock):
            self.delivery.state_moved()
            self.want_tick()

    # -- what the relay brings -------------------------------------------------------------------------

    def receive(self, item: RelayItem) -> list[Personal]:
        """Returns the notices a chunk carried, for the hub to deliver."""
        if isinstance(item, RelayCritical):
            if not self.log.receive_packed(item.epoch, item.offset, item.payload):
                self._reach(item.epoch, item.offset)
            return []
        chunk = unpack(item.chunk)
        if chunk is None or chunk.process == self.process:
            return []
        self.others.heard(chunk)
        self._reach(chunk.epoch, chunk.head)
        if chunk.block is not None:
            self._pool.merge_remote(chunk.block, self.clock.now_ms())
            self.want_tick()
        for stock in chunk.stock:
            self._show_stock(stock)
        return chunk.notices

    def heal(self, epoch: int, head: int) -> None:
        """The store's head, from a beat: read what the relay lost."""
        self._reach(epoch, head)

    def _reach(self, epoch: int, head: int) -> None:
        if epoch > self.view.epoch or (epoch == self.view.epoch and head > self.view.offset):
            self.tasks.start(self.log.reach(epoch, head), name=f"heal {self.room_id}")

    # -- critical events -------------------------------------------------------------------------------

    def _on_events(self, envelopes: list[Envelope]) -> None:
        for envelope in envelopes:
            match envelope.event:
                case DanmakuDeleted(danmaku_id=danmaku_id):
                    self.recent.purge(danmaku_id)
                    self._pool.purge(danmaku_id)
                    self.others.purge(danmaku_id)
                case UserMuted(user_id=user_id, until_ms=0):
                    self._pool.lift(user_id)
                case UserMuted(user_id=user_id):
                    self.recent.purge_user(user_id)
                    self._pool.purge_user(user_id)
                    self.others.purge_user(user_id)
                case SaleOpened(sale=sale):
                    self._know_sale(sale)
                case _:
                    pass
        self.delivery.head_moved()

    def _on_reset(self) -> None:
        for sale in self.view.sales.values():
            self._know_sale(sale)
        self.delivery.reset()

    def _know_sale(self, sale: Sale) -> None:
        if self.board.offer(sale.stock):
            self.delivery.state_moved()
        self.on_sale(self.room_id, sale.sale_id)

    # -- the tick --------------------------------------------------------------------------------------

    def want_tick(self) -> None:
        if not self._tick.is_urgent:  # else the timer is set, or the end of the broadcast sets it
            self._tick.wanted()
            self._set_timer()

    def _ride_along(self) -> None:
        """A number has changed: with the next frame, or alone if none comes soon."""
        self._tick.wanted_by(self.clock.now_ms() + RIDE_MS)
        self._set_timer()

    def _set_timer(self) -> None:
        now_ms = self.clock.now_ms()
        due_ms = self._tick.next_due(now_ms)
        if due_ms is None or (self._timer is not None and self._timer_ms <= due_ms):
            return
        if self._timer is not None:
            self._timer.cancel()
        delay_s = (due_ms - now_ms) / 1000
        self._timer_ms = due_ms
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        now_ms = self.clock.now_ms()
        self._tick.started(now_ms)
        try:
            job = self._collect(now_ms)
        except Exception:  # our mistake: what this tick held is lost, the room goes on
            logger.exception("tick_failed", room=self.room_id)
            job = None
        if job is None:
            self._after_broadcast()
        else:
            self.broadcaster.submit_tick(job)

    def _collect(self, now_ms: int) -> TickJob | None:
        block, settled = self._pool.collect(now_ms)
        if settled:
            self.broadcaster.submit_tick(ReceiptsJob(self.room_id, settled, self.clock))
        self.others.tick(self._pool.outgoing())
        state, updates_offered, updates_kept = self._collect_state()
        if block is None and state is None:
            return None
        return self._compose(now_ms, block, state, updates_offered, updates_kept)

    def _collect_state(self) -> tuple[State | None, int, int]:
        stock, superseded = self.board.take()
        counts = self.counts.take()
        if not stock and counts is None:
            return None, 0, 0
        kept = len(stock) + (counts is not None)
        return replace(counts or State(), stock=stock), kept + superseded, kept

    def _compose(
        self, now_ms: int, block: DanmakuBlock | None, state: State | None, offered: int, kept: int
    ) -> TickJob | None:
        """One frame for everybody who is listed now; None: nobody is."""
        self.n += 1
        if block is not None:
            self.recent.extend(block.danmaku)
        frame = Frame(
            room=self.room_id, t=now_ms, n=self.n, head=self.view.offset, state=state, danmaku=block
        )

        def done(*, captured: int, written: int, paused: int, closed: int) -> None:
            self._after_broadcast()
            self.sharing.broadcast(took_ms=self.clock.now_ms() - now_ms, captured=captured, paused=paused)
            if block is not None:
                self.law.danmaku_broadcast(
                    block, captured=captured, written=written, paused=paused, closed=closed
                )
            if state is not None:
                self.law.state_broadcast(
                    offered, kept, captured=captured, written=written, paused=paused, closed=closed
                )

        captured = self.seats.captured()
        return TickJob(Encoded(frame), captured, done, self.broadcaster.sender) if captured else None

    def _after_broadcast(self) -> None:
        self._tick.finished(self.clock.now_ms())
        self._set_timer()

    def full_state(self) -> State:
        """Everything a session must know that skipped frames, or has just come."""
        return replace(self.counts.all(), stock=self.board.all())

    def leave(self, seat: Seat) -> None:
        self.seats.remove(seat)
        self.delivery.left(seat)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
