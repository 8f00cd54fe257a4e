"""The rooms this process holds: loaded when first wanted, beating once a second, let go when nobody is left.

Subscribe first, then load: what is published in between is dropped if the load already had it, applied if
not, so a room new to this process starts without a gap.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterable

import structlog

from liveserver.commands.ports import SAID, NoticeKind, Said
from liveserver.commands.reservations import held, ledger_errors
from liveserver.commands.session import Session
from liveserver.core.clock import Clock
from liveserver.stock.port import Ledger, Reservation
from liveserver.store.port import Relay, RelayChunk, RelayItem, RoomStore
from protocol.commands import Join
from protocol.errors import CommandError
from protocol.replies import Joined, Me, Notice
from protocol.types import HeldReservation

from .beats import Beats
from .chunks import NOTICES_PER_CHUNK_MAX, Chunk, Personal, pack, unpack
from .delivery import NOWHERE
from .live_room import LiveRoom
from .lookups import Lookups
from .people import People
from .seats import Seat, SeatState
from .store_errors import store_errors
from .tasks import Tasks

logger = structlog.get_logger(__name__)

ROOMS_MAX = 10_000
EMPTY_BEATS_MAX = 30  # a room nobody is in is kept this many beats, for the one who reloads his page
LOADS_AT_ONCE = 16  # most of the store's connections stay free for what rooms append
SHELVES = "~shelves"  # no room's id: the channel of buyers who are in no room
MINE_MAX = 200  # reservations told to the one who joins

NewRoom = Callable[[str], LiveRoom]
MakeSeat = Callable[[Session, int], Seat]


class Rooms:
    """``on_sale(room, sale_id)`` is told, each beat, which sales concern a room."""

    def __init__(
        self,
        *,
        store: RoomStore,
        relay: Relay,
        ledger: Ledger,
        clock: Clock,
        process: str,
        people: People,
        tasks: Tasks,
        new_room: NewRoom,
        make_seat: MakeSeat,
        on_sale: Callable[[str, str], None],
    ) -> None:
        self._relay = relay
        self._lookups = Lookups(ledger, tasks)
        self._clock = clock
        self._process = process
        self._people = people
        self._tasks = tasks
        self._new_room = new_room
        self._make_seat = make_seat
        self._rooms: dict[str, LiveRoom] = {}
        self._opening: dict[str, asyncio.Task[LiveRoom]] = {}
        self._empty_beats: dict[str, int] = {}
        self._loads_at_once = asyncio.Semaphore(LOADS_AT_ONCE)
        self._holdings = itertools.count(1)
        self.beats = Beats(store, clock, on_sale=on_sale, beaten=self._let_go_if_empty)

    # -- holding rooms ---------------------------------------------------------------------------------

    def held(self, room: str) -> LiveRoom | None:
        return self._rooms.get(room)

    def all(self) -> list[LiveRoom]:
        return list(self._rooms.values())

    async def open(self, room: str) -> LiveRoom:
        """The room, loaded; one load for all who ask at once. ``CommandError`` unavailable if the store is
        away. Cancelled: the load goes on for the others."""
        live = self._rooms.get(room)
        if live is not None:
            return live
        opening = self._opening.get(room)
        if opening is None:
            if len(self._rooms) + len(self._opening) >= ROOMS_MAX:
                raise CommandError("unavailable", "this process holds too many rooms", retry_ms=5_000)
            opening = asyncio.create_task(self._load(room), name=f"open {room}")
            self._opening[room] = opening
            opening.add_done_callback(lambda _: self._opening.pop(room, None))
        with store_errors(reading=True):
            return await asyncio.shield(opening)

    async def _load(self, room: str) -> LiveRoom:
        live = self._new_room(room)
        live.holding = f"{self._process}.{next(self._holdings)}"
        early: list[RelayItem] = []
        receive = early.append

        def arrived(item: RelayItem) -> None:
            receive(item)

        await self._relay.subscribe(room, arrived)
        try:
            live.others.greet()  # before the load: it is on its way before the first viewer is let in
            async with self._loads_at_once:
                await live.log.load()
        except BaseException:
            self._tasks.start(self._relay.unsubscribe(room), name=f"unsubscribe {room}")
            raise
        self._rooms[room] = live
        self.beats.add(live)

        def live_receive(item: RelayItem) -> None:
            self._deliver(room, live.receive(item))

        receive = live_receive
        for item in early:
            receive(item)
        self._tasks.start(self.beats.beat(live), name=f"beat {room}")
        return live

    def missed_relay(self, room: str) -> None:
        """The relay was away for a while: what it lost is in the log."""
        live = self._rooms.get(room)
        if live is not None:
            self._tasks.start(self.beats.beat(live), name=f"beat {room}")

    # -- sessions in rooms -----------------------------------------------------------------------------

    def join(self, session: Session, command: Join) -> Awaitable[None] | Said:
        """See ``commands.ports.Rooms.join``."""
        live = self._rooms.get(command.room)
        if live is None or self._to_look_up(live) or _is_ahead(command, live):
            return self._join_later(session, command)
        self._enter(session, command, live, self._me(session, live, [], known=True))
        return SAID

    async def _join_later(self, session: Session, command: Join) -> None:
        live = await self.open(command.room)
        live.coming += 1
        try:
            await self._hear_of(live, command)
            me = await self._looked_up(session, live)
        finally:
            live.coming -= 1
        if not session.closed:
            self._enter(session, command, live, me)

    def _enter(self, session: Session, command: Join, live: LiveRoom, me: Me) -> None:
        """Without waiting: the cursor is the head the session is told."""
        self.leave(session, command.room)
        view = live.view
        replay = (
            command.epoch is not None
            and command.offset is not None
            and live.delivery.can_replay(command.epoch, command.offset)
        )
        cursor = command.offset if replay and command.offset is not None else NOWHERE
        session.reply(
            Joined(
                id=command.id,
                t=self._clock.now_ms(),
                room=command.room,
                epoch=view.epoch,
                offset=view.offset,
                mode="replayed" if replay else "snapshot",
                replayed=view.offset - cursor if replay else 0,
                n=live.n,
                me=me,
            )
        )
        seat = self._make_seat(session, cursor)  # after the reply, which may have filled the connection
        session.rooms[command.room] = seat
        live.seats.add(seat)
        if seat.state is SeatState.READS:
            live.delivery.enter(seat)
        else:
            seat.missed = True  # it doesn't read just now: all of it when it drains
        self._empty_beats.pop(command.room, None)
        if command.offset is None:
            live.entered()

    async def _hear_of(self, live: LiveRoom, command: Join) -> None:
        """Who comes from another process may have seen more than this one has heard by now: what he is told
        must not lie before that."""
        if _is_ahead(command, live) and command.epoch is not None and command.offset is not None:
            try:
                with store_errors(reading=True):
                    await live.log.hear_of(command.epoch, command.offset)
            except CommandError:
                pass  # then by snapshot, and the beat heals

    def _to_look_up(self, live: LiveRoom) -> list[str]:
        """The sales in which a buyer may hold something."""
        if not live.view.sales:
            return []
        now_ms = self._clock.now_ms()
        return [
            sale.sale_id
            for sale in live.view.sales.values()
            if sale.opens_at_ms <= now_ms <= sale.closes_at_ms + sale.hold_ms
        ]

    async def _looked_up(self, session: Session, live: LiveRoom) -> Me:
        reservations: list[HeldReservation] = []
        known = True
        for sale_id in self._to_look_up(live):
            try:
                with ledger_errors():
                    mine = await self._lookups.of(sale_id, session.who.user_id)
            except CommandError:
                known = False
                continue
            reservations += [held(one) for one in mine[: MINE_MAX - len(reservations)]]
        return self._me(session, live, reservations, known=known)

    def _me(self, session: Session, live: LiveRoom, mine: list[HeldReservation], *, known: bool) -> Me:
        """The truth behind notices: mute and reservations of the one who joins."""
        muted_until_ms = live.view.muted_until_ms(session.who.user_id, self._clock.now_ms())
        return Me(muted_until_ms=muted_until_ms, reservations=mine, known=known)

    def leave(self, session: Session, room: str) -> None:
        seat = session.rooms.pop(room, None)
        live = self._rooms.get(room)
        if isinstance(seat, Seat) and live is not None:
            live.leave(seat)

    def leave_all(self, session: Session) -> None:
        for room in list(session.rooms):
            self.leave(session, room)

    def drained(self, session: Session) -> None:
        """The session reads again: each of its rooms brings it up to date, until it is full again."""
        for room, seat in list(session.rooms.items()):
            live = self._rooms.get(room)
            if live is not None and isinstance(seat, Seat):
                live.delivery.drained(seat)
                if seat.state is not SeatState.READS:
                    session.rooms[room] = session.rooms.pop(room)  # the others come first the next time
                    return

    # -- words to one person ---------------------------------------------------------------------------

    def notify_muted(self, room: str, user_id: str, until_ms: int) -> None:
        notice = Notice(t=self._clock.now_ms(), kind="muted", until_ms=until_ms, room=room)
        self._tell(room, Personal(user_id, notice))

    def notice(self, kind: NoticeKind, reservation: Reservation) -> Personal:
        notice = Notice(t=self._clock.now_ms(), kind=kind, reservation=held(reservation))
        return Personal(reservation.user_id, notice)

    def tell_in(self, rooms: Iterable[str], personal: Personal) -> None:
        """In rooms that are held here; from there it goes to the other processes that hold them."""
        for room in rooms:
            self._tell(room, personal)

    def tell_anywhere(self, personal: Personal) -> None:
        """To the user's sessions of this process, whatever room they are in."""
        for session in self._people.sessions_of(personal.user_id):
            if session.hears(personal.notice):
                session.reply(personal.notice)

    def hear_of_shelves(self, item: RelayItem) -> None:
        """What another process has to say to buyers who are in no room."""
        chunk = unpack(item.chunk) if isinstance(item, RelayChunk) else None
        for personal in chunk.notices if chunk is not None else ():
            self.tell_anywhere(personal)

    async def tell_elsewhere(self, room: str, personals: list[Personal]) -> None:
        """To the processes that hold a room which isn't held here. Lost if the relay is away."""
        for start in range(0, len(personals), NOTICES_PER_CHUNK_MAX):
            portion = personals[start : start + NOTICES_PER_CHUNK_MAX]
            chunk = Chunk(process=f"{self._process}~", n=0, epoch=0, head=0, notices=portion)
            await self._relay.publish(room, pack(chunk))

    def _tell(self, room: str, personal: Personal) -> None:
        self._deliver(room, [personal])
        live = self._rooms.get(room)
        if live is not None:
            live.tell(personal)  # for the other processes

    def _deliver(self, room: str, notices: list[Personal]) -> None:
        for personal in notices:
            for session in self._people.sessions_of(personal.user_id):
                if room in session.rooms and session.hears(personal.notice):
                    session.reply(personal.notice)

    def _let_go_if_empty(self, live: LiveRoom) -> None:
        room = live.room_id
        if len(live.seats) or live.coming:
            self._empty_beats.pop(room, None)
            return
        beats = self._empty_beats[room] = self._empty_beats.get(room, 0) + 1
        if beats >= EMPTY_BEATS_MAX and self._rooms.get(room) is live:
            del self._empty_beats[room], self._rooms[room]
            self.beats.remove(live)
            live.close()
            self._tasks.start(self._relay.unsubscribe(room), name=f"unsubscribe {room}")


def _is_ahead(command: Join, live: LiveRoom) -> bool:
    """Has this client seen more of the room than we have?"""
    view = live.view
    return command.epoch == view.epoch and command.offset is not None and command.offset > view.offset
