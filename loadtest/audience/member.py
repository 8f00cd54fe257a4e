"""One person of the audience: a session that lives through many connections, each of them written down.

The session's rules (resume, backoff, what may be sent again) are ``protocol.client``'s; this gives it a
socket, tells the journal what passes, and offers what the night needs: ask and await the answer, cut the
line, stop reading.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Any, Final

import msgpack
import msgspec
import orjson

from loadtest.audience.heard import Heard
from loadtest.audience.wire import RefusedError, Wire
from loadtest.audience.world import World
from protocol.client.errors import NotConnected
from protocol.client.happenings import (
    Answered,
    Disconnected,
    Entered,
    GaveUp,
    Happening,
    Missed,
    Noticed,
    Unknown,
)
from protocol.client.session import Session
from protocol.codec import Codec
from protocol.commands import Command
from protocol.errors import NotOurs
from protocol.events import ListingPublished
from protocol.frames import Frame
from protocol.replies import Reply
from protocol.types import HeldReservation

ANSWER_TIMEOUT_MS: Final = 5_000
RECENT_MAX: Final = 8
NOTICES_MAX: Final = 64


class Member:
    def __init__(
        self,
        world: World,
        user: str,
        role: str,
        token: str,
        codec: Codec,
        *,
        deflate: bool = False,
        small_buffer: bool = False,
    ) -> None:
        self.world = world
        self.user = user
        self.role = role
        self.codec = codec
        self.name = user  # what others see, where it is known
        self.small_buffer = small_buffer
        self.slow = False  # it stopped reading at some time: its delays are its own
        self.stays = False  # it plays in a scene: nobody sends it out and in again
        self.session = Session(codec, random=world.rng.random)
        self.danmaku_from_s = 0.0  # when it may comment again
        self._token = token
        self._deflate = deflate
        self._wire: Wire | None = None
        self._c = 0
        self._serial = 0
        self._connects = 0
        self._answers: dict[str, asyncio.Future[Reply | None]] = {}
        self._notices: OrderedDict[tuple[str, str], HeldReservation] = OrderedDict()
        self._noticed = asyncio.Event()
        self._entered = asyncio.Event()
        self._opening: asyncio.Task[None] | None = None
        self._gone = asyncio.Event()
        self._gone.set()

    # -- what the night asks ---------------------------------------------------------------------------

    @property
    def present(self) -> bool:
        """In the room, and listening."""
        return self._entered.is_set() and self._wire is not None and self._wire.is_open

    @property
    def reading(self) -> bool:
        return self.present and self._wire is not None and not self._wire.stalled

    @property
    def idle(self) -> bool:
        return self.reading and not self._answers

    def sees(self, sale_id: str) -> bool:
        link = self.session.rooms.get(self.world.room)
        return link is not None and link.mirror.sale(sale_id) is not None

    def new_id(self) -> str:
        self._serial += 1
        return f"{self.user}.{self._serial}"

    async def enter(self) -> None:
        """Connect and join the room; returns once in it. Raises ``TimeoutError``."""
        self.session.join(self.world.room, self._now_ms())
        self._connect()
        async with asyncio.timeout(ANSWER_TIMEOUT_MS / 1000 * 2):
            await self._entered.wait()

    async def ask(self, command: Command, *, timeout_ms: int = ANSWER_TIMEOUT_MS) -> Reply | None:
        """Its answer; None where it stays unknown or could not be said. Cancelled: it may be carried out."""
        answer: asyncio.Future[Reply | None] = asyncio.get_running_loop().create_future()
        self._answers[command.id] = answer
        try:
            self.session.send(command, self._now_ms(), timeout_ms=timeout_ms)
            self._flush()
            return await answer
        except NotConnected:
            return None
        finally:
            self._answers.pop(command.id, None)

    async def told(self, kind: str, reservation_id: str, timeout_s: float) -> HeldReservation | None:
        """What a notice of this kind says of the reservation, heard before or within ``timeout_s``."""
        try:
            async with asyncio.timeout(timeout_s):
                while (kind, reservation_id) not in self._notices:
                    self._noticed.clear()
                    await self._noticed.wait()
        except TimeoutError:
            return None
        return self._notices[kind, reservation_id]

    def server_ms(self) -> float:
        """The server's time, as far as it is known here."""
        known = self.session.clock.server_ms(self._now_ms())
        return self.world.watch.now_ms() if known is None else known

    def say_raw(self, command: Command) -> None:
        """Past the session's book-keeping: the way an impatient thumb taps twice."""
        self._write(self.codec.encode(command))

    def reenter(self) -> None:
        """Out and in again, as someone who swipes on and back."""
        if self.present:
            self._entered.clear()
            self.session.leave(self.world.room)
            self.session.join(self.world.room, self._now_ms())
            self._flush()

    def cut(self, by: str) -> None:
        if self._wire is not None and self._wire.is_open:
            self.world.figures.counts["reconnects"] += 1
            if by == "abort":
                self._wire.abort()
            else:
                self._wire.half_close()

    def stall(self) -> None:
        if self._wire is not None and self._wire.is_open:
            self.slow = True
            self._wire.stall()
            self.world.figures.counts["stalls"] += 1
            self._note("stall")

    def read_again(self) -> None:
        if self._wire is not None and self._wire.stalled:
            self._note("read")
            self._wire.read_again()

    async def go(self, timeout_s: float = 6.0) -> None:
        """Goodbye, for good. What has not ended after ``timeout_s`` is cut."""
        for happening in self.session.end():
            self._happened(happening)
        if self._opening is not None:
            self._opening.cancel()
        if self._wire is not None:
            self._wire.leave()
            try:
                async with asyncio.timeout(timeout_s):
                    await self._gone.wait()
            except TimeoutError:
                self._wire.abort()
                await asyncio.sleep(0)

    def tick(self) -> None:
        """Time has passed; call it now and then."""
        now_ms = self._now_ms()
        wake_ms = self.session.wake_at_ms()
        if wake_ms is not None and wake_ms <= now_ms:
            self._all(self.session.tick(now_ms))
        again_ms = self.session.reconnect_at_ms
        if again_ms is not None and again_ms <= now_ms and self._opening is None and not self.session.open:
            self._connect()

    # -- the connection --------------------------------------------------------------------------------

    def _connect(self) -> None:
        self._opening = asyncio.create_task(self._open())
        self._opening.add_done_callback(self._opened)

    def _opened(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.world.fault(self.user, repr(error))

    async def _open(self) -> None:
        try:
            options = self.world.options
            wire = Wire(
                options.url, self.codec.subprotocol, self._token, self._deflate, self._payload, self._end
            )
            try:
                await wire.open(options.host, options.port, small_buffer=self.small_buffer)
            except (RefusedError, OSError) as error:
                self.world.figures.counts["refused"] += 1
                if self.world.figures.counts["refused"] > 10 * self.world.options.viewers:
                    self.world.fault(self.user, error)
                self._all(self.session.refused(self._now_ms(), comes_back=True))
                return
            self._wire = wire
            self._gone.clear()
            self._connects += 1
            self.world.connections += 1
            self._c = self.world.connections
            self.world.figures.came()
            self._note(
                "open",
                user=self.user,
                role=self.role,
                codec=self.codec.subprotocol.rpartition(".")[2],
                deflate=wire.deflate,
            )
            self.session.connected(self._now_ms())
            wire.start()
        finally:
            self._opening = None

    def _payload(self, payload: bytes) -> None:
        try:
            heard = self.world.hearing.hear(self.codec, payload)
        except NotOurs as error:
            self.world.fault(self.user, f"not of the wire: {error}")
            return
        at_ms = self.world.watch.now_ms()
        if isinstance(heard.said, Frame):
            self._heard_frame(at_ms, payload, heard, heard.said)
        else:
            self.world.journal.write("down", ms=at_ms, c=self._c, m=heard.plain)
        self._all(self.session.take(heard.said, self._now_ms()))

    def _heard_frame(self, at_ms: float, payload: bytes, heard: Heard, frame: Frame) -> None:
        world = self.world
        world.journal.received(at_ms, self._c, payload, heard.plain)
        world.figures.counts["frames"] += 1
        if heard.fresh and frame.danmaku is not None and frame.n:
            block = frame.danmaku
            welcome = self.session.welcome
            process = welcome.process if welcome is not None else ""
            shown = len(block.danmaku) + len(block.gifts)
            if world.figures.block(process, frame.n, shown, block.merged, block.shed):
                world.recent += [f"{each.name}：{each.text}" for each in block.danmaku]
                del world.recent[:-RECENT_MAX]
            for each in block.danmaku:
                sent_ms = world.sent_ms.get((each.user_id, each.text))
                if sent_ms is not None:
                    heard.sent_ms.append(sent_ms)
        if frame.snapshot is not None:
            world.figures.counts["snapshots"] += 1
        if self.slow:
            return
        for sent_ms in heard.sent_ms:
            world.figures.delivery.record(at_ms - sent_ms)
        for envelope in frame.critical:
            if isinstance(envelope.event, ListingPublished):
                listed_ms = world.listed_ms.get(envelope.event.listing.listing_id)
                # A replay or a late join is not a delivery.
                if listed_ms is not None and envelope.offset == frame.head and self.present:
                    world.figures.listing.record(at_ms - listed_ms)

    def _end(self, by: str, code: int) -> None:
        self._note("shut", by=by, code=code)
        self.world.figures.went()
        self._wire = None
        self._entered.clear()
        self._gone.set()
        self._all(self.session.disconnected(code, self._now_ms()))

    # -- the session -----------------------------------------------------------------------------------

    def _all(self, happenings: list[Happening]) -> None:
        for happening in happenings:
            self._happened(happening)
        self._flush()

    def _happened(self, happening: Happening) -> None:
        match happening:
            case Answered(command_id=command_id, reply=reply):
                self._answer(command_id, reply)
            case Unknown(command_id=command_id):
                self._answer(command_id, None)
            case Entered(mode=mode):
                self._entered.set()
                if mode == "replayed":
                    self.world.figures.counts["replayed"] += 1
            case Noticed(notice=notice) if notice.reservation is not None:
                self._notices[notice.kind, notice.reservation.reservation_id] = notice.reservation
                if len(self._notices) > NOTICES_MAX:
                    self._notices.popitem(last=False)
                self._noticed.set()
            case Missed(frames=frames):
                self.world.figures.counts["frames_missed"] += frames
            case GaveUp():
                self.world.fault(self.user, "nothing heard for too long")
                if self._wire is not None:
                    self._wire.abort()
            case Disconnected(code=code, retry_in_ms=None) if not self.world.ending:
                self.world.fault(self.user, f"told not to come back, code {code}")
            case _:
                pass

    def _answer(self, command_id: str, reply: Reply | None) -> None:
        waiting = self._answers.get(command_id)
        if waiting is not None and not waiting.done():
            waiting.set_result(reply)

    def _flush(self) -> None:
        for payload in self.session.payloads_to_send():
            self._write(payload)

    def _write(self, payload: bytes) -> None:
        if self._wire is None or not self._wire.is_open:
            return
        plain: Any = orjson.Fragment(payload) if self.codec.text else msgpack.unpackb(payload)
        self._note("cmd", m=plain)
        self._wire.send(payload, self.codec.text)

    def _note(self, kind: str, **fields: Any) -> None:
        self.world.journal.write(kind, ms=self.world.watch.now_ms(), c=self._c, **fields)

    def _now_ms(self) -> float:
        return asyncio.get_running_loop().time() * 1_000


def code_of(reply: Reply | None) -> str:
    """``outcome``, an error's ``code``, or the reply's own type; ``unknown`` where there was none."""
    if reply is None:
        return "unknown"
    fields = msgspec.structs.asdict(reply)
    return str(fields.get("outcome") or fields.get("code") or type(reply).__struct_config__.tag)
