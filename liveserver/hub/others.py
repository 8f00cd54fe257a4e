"""What a room says to the other processes that hold it: once a tick, and nothing while there are none.

Knows chunks and the relay; what other processes' chunks mean for the room it does not know.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from msgspec.structs import replace

from liveserver.commands.reservations import stock as wire_stock
from liveserver.core.clock import Clock
from liveserver.core.room import Room
from liveserver.stock.port import StockView
from liveserver.store.port import Relay
from protocol.frames import DanmakuBlock
from protocol.types import Danmaku, Stock

from .chunks import NOTICES_PER_CHUNK_MAX, Chunk, Numbering, Personal, pack
from .neighbours import Neighbours
from .tasks import Tasks


class Said(NamedTuple):
    """What a tick has to say."""

    block: DanmakuBlock | None
    stock: list[Stock]
    notices: list[Personal]


class Others:
    """``view`` is the room as this process knows it: each chunk says how far that is."""

    def __init__(
        self,
        room_id: str,
        process: str,
        *,
        relay: Relay,
        clock: Clock,
        tasks: Tasks,
        view: Callable[[], Room],
    ) -> None:
        self._room_id = room_id
        self._process = process
        self._relay = relay
        self._clock = clock
        self._tasks = tasks
        self._view = view
        self._neighbours: Neighbours[Said] = Neighbours()
        self._learned: dict[str, StockView] = {}  # from the ledger, since the last tick
        self._notices: list[Personal] = []
        self._chunk_n = 0
        self._numbering = Numbering()

    @property
    def lost(self) -> int:
        """Chunks of theirs that the relay lost."""
        return self._numbering.lost

    def heard(self, chunk: Chunk) -> None:
        """One of them has said something."""
        self._neighbours.heard(self._clock.now_ms())
        self._numbering.arrived(chunk.process, chunk.n)
        self._tell_kept()

    def beat(self, processes: int) -> None:
        """So many hold the room by the store's count, this one included."""
        self._neighbours.beat(processes)

    def learn(self, view: StockView) -> None:
        """The ledger has said this; the newest of a sale goes with the next tick."""
        newest = self._learned.get(view.sale_id)
        if newest is None or (view.epoch, view.seq) > (newest.epoch, newest.seq):
            self._learned[view.sale_id] = view

    def notice(self, personal: Personal) -> None:
        """For a user who may sit at another process."""
        if len(self._notices) < NOTICES_PER_CHUNK_MAX:
            self._notices.append(personal)

    def tick(self, block: DanmakuBlock | None) -> None:
        """Say ``block`` and what has come together since the last tick."""
        learned, self._learned = self._learned, {}
        notices, self._notices = self._notices, []
        if block is None and not learned and not notices:
            return
        said = Said(block, [wire_stock(view) for view in learned.values()], notices)
        now_ms = self._clock.now_ms()
        if not self._neighbours.there(now_ms):
            self._neighbours.keep(said, now_ms)
            return
        self._tell_kept()
        self._tell(said)

    def purge(self, danmaku_id: str) -> None:
        """A comment was deleted: who comes now would load the room after that, and be told it."""
        self._take_out(lambda danmaku: danmaku.danmaku_id == danmaku_id)

    def purge_user(self, user_id: str) -> None:
        """A user was muted: likewise with all he said."""
        self._take_out(lambda danmaku: danmaku.user_id == user_id)

    def _take_out(self, gone: Callable[[Danmaku], bool]) -> None:
        def mended(said: Said) -> Said:
            block = said.block
            if block is None or not any(map(gone, block.danmaku)):
                return said
            left = [danmaku for danmaku in block.danmaku if not gone(danmaku)]
            shed = block.shed + len(block.danmaku) - len(left)
            return said._replace(block=replace(block, danmaku=left, shed=shed))

        self._neighbours.mend(mended)

    def greet(self) -> None:
        """Say that from now on this process holds the room too."""
        self._tell(Said(None, [], []))

    def _tell_kept(self) -> None:
        """What was said just before the first of them was heard of."""
        for said in self._neighbours.kept(self._clock.now_ms()):
            self._tell(said)

    def _tell(self, said: Said) -> None:
        self._chunk_n += 1
        view = self._view()
        chunk = Chunk(
            process=self._process,
            n=self._chunk_n,
            epoch=view.epoch,
            head=view.offset,
            block=said.block,
            stock=said.stock,
            notices=said.notices,
        )
        self._tasks.start(self._relay.publish(self._room_id, pack(chunk)), name=f"chunk {self._room_id}")
