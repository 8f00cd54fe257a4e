"""Critical events to everybody, gapless; and the way in for who joins, resumes or comes back from a pause.

Every seat has a cursor. Whoever is behind the room's head gets the frame from his cursor to the head:
from the history if it reaches back, else the snapshot. Frames are made once per (cursor, head), so a
broadcast, where nearly all cursors are equal, is one frame; and a thousand joins share one snapshot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.frames import Frame

from .broadcaster import CriticalJob
from .encoded import Encoded
from .seats import Seat, SeatState

if TYPE_CHECKING:
    from .live_room import LiveRoom

NOWHERE = -1  # the cursor of one who must have a snapshot
KEPT_MAX = 64  # frames kept for cursors; a room changes head before it needs more


class Delivery:
    def __init__(self, room: LiveRoom) -> None:
        self._room = room
        self._frames: dict[int, Encoded] = {}  # by cursor, for the present head
        self._snapshot: Encoded | None = None  # without the state, which changes more often
        self._snapshot_n = -1
        self._state: Encoded | None = None
        self._job: CriticalJob | None = None
        self._again = False

    # -- the head moved --------------------------------------------------------------------------------

    def head_moved(self) -> None:
        """Events became known: broadcast them now, or with what follows if a broadcast is under way."""
        self._frames.clear()
        self._snapshot = None
        if self._job is not None:
            self._again = True
            return
        if len(self._room.seats):
            self._job = CriticalJob(list(self._room.seats), self._bring_live, self._done)
            self._room.broadcaster.submit_critical(self._job)

    def _done(self) -> None:
        self._job = None
        if self._again:
            self._again = False
            self.head_moved()

    def reset(self) -> None:
        """The room was loaded anew: what everybody has is of another time."""
        for seat in self._room.seats:
            self.left(seat)
            seat.cursor = NOWHERE
        self.state_moved()
        self.head_moved()

    # -- one seat --------------------------------------------------------------------------------------

    def _bring_live(self, seat: Seat) -> None:
        self.bring(seat, replay=False)

    def bring(self, seat: Seat, *, replay: bool) -> None:
        """Write what lies between the seat's cursor and the head."""
        head = self._room.view.offset
        if seat.cursor == head:
            return
        envelopes = None if seat.cursor == NOWHERE else self._room.log.history.after(seat.cursor)
        if envelopes is None:
            self.bring_snapshot(seat)
            return
        encoded = self._frames.get(seat.cursor)
        if encoded is None:
            encoded = Encoded(
                Frame(
                    room=self._room.room_id,
                    t=self._room.clock.now_ms(),
                    epoch=self._room.view.epoch,
                    head=head,
                    critical=envelopes,
                )
            )
            if len(self._frames) < KEPT_MAX:
                self._frames[seat.cursor] = encoded
        seat.writer.say(encoded.bytes_for(seat.variant))
        count = head - seat.cursor
        self._room.law.critical_advanced(written=0 if replay else count, replayed=count if replay else 0)
        seat.cursor = head

    def bring_snapshot(self, seat: Seat) -> None:
        room = self._room
        if self._snapshot is None or self._snapshot_n != room.n:
            self._snapshot = Encoded(
                Frame(
                    room=room.room_id,
                    t=room.clock.now_ms(),
                    epoch=room.view.epoch,
                    head=room.view.offset,
                    snapshot=room.view.snapshot(room.recent.all(), room.clock.now_ms()),
                )
            )
            self._snapshot_n = room.n
        seat.writer.say(self._snapshot.bytes_for(seat.variant))
        if seat.cursor == NOWHERE:
            seat.start = room.view.offset
        else:
            room.law.critical_advanced(covered=room.view.offset - seat.cursor)
        seat.cursor = room.view.offset
        self.bring_state(seat)

    def state_moved(self) -> None:
        """Stock or counts changed: who comes now is told the new ones, not those of the last tick."""
        self._state = None

    def bring_state(self, seat: Seat) -> None:
        """The full state, shared by all who need it before it changes."""
        room = self._room
        if self._state is None:
            self._state = Encoded(
                Frame(
                    room=room.room_id, t=room.clock.now_ms(), head=room.view.offset, state=room.full_state()
                )
            )
        seat.writer.say(self._state.bytes_for(seat.variant))
        seat.missed = False

    def can_replay(self, epoch: int, offset: int) -> bool:
        """Do we hold everything after this place of the log?"""
        view = self._room.view
        return (
            epoch == view.epoch and offset <= view.offset and self._room.log.history.after(offset) is not None
        )

    def enter(self, seat: Seat) -> None:
        """A seat that has just been added: what it has missed by replay, or the snapshot."""
        if seat.cursor == NOWHERE:
            self.bring_snapshot(seat)
        else:
            self.bring(seat, replay=True)
            self.bring_state(seat)

    def left(self, seat: Seat) -> None:
        """It goes, or starts anew: how far its cursor has come is told to the law."""
        if seat.cursor != NOWHERE:
            self._room.law.critical_advanced(seat.cursor - seat.start)
            seat.start = seat.cursor

    def advance_of_open_seats(self) -> int:
        return sum(seat.cursor - seat.start for seat in self._room.seats if seat.cursor != NOWHERE)

    def drained(self, seat: Seat) -> None:
        """It reads again: the full state, and the critical events after its cursor."""
        seat.state = SeatState.READS
        self.bring(seat, replay=True)
        if seat.missed and seat.state is SeatState.READS:
            self.bring_state(seat)
