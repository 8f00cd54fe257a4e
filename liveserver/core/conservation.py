"""The conservation law: nothing the server composes for a session vanishes uncounted.

The unit is (event, session in the list captured when its frame is composed). What happens to a captured
session: the frame is *written* to it; or it is *paused* (it reads too slowly) and skips the frame; or it is
*closed* before the write. Always:

    danmaku    offered  = written + merged + sampled + paused + closed
    state      updates  = written + superseded + paused + closed
    critical   advanced = written + replayed + covered        (once every advance has been told)

Counters move per broadcast, never per event or session, so counting costs nothing where it is busy. The
terms are fed from where each thing happens (the pool's block, the sender's three sums), so a frame that
got lost between them, or a session counted twice, breaks the law and shows.
"""

from __future__ import annotations

import msgspec

from protocol.frames import DanmakuBlock


class Conservation(msgspec.Struct):
    """Sums since the process started; all of them in (event, session) units."""

    danmaku_offered: int = 0
    danmaku_written: int = 0
    danmaku_merged: int = 0
    danmaku_sampled: int = 0
    danmaku_paused: int = 0
    danmaku_closed: int = 0
    state_updates: int = 0
    state_written: int = 0
    state_superseded: int = 0
    state_paused: int = 0
    state_closed: int = 0
    critical_moved: int = 0  # cursors, in all
    critical_written: int = 0
    critical_replayed: int = 0
    critical_covered: int = 0

    def danmaku_broadcast(
        self, block: DanmakuBlock, captured: int, written: int, paused: int, closed: int
    ) -> None:
        """A block's frames, over all variants, have gone out to the ``captured`` sessions."""
        lines = len(block.danmaku) + len(block.gifts)
        self.danmaku_offered += block.offered * captured
        self.danmaku_merged += block.merged * captured
        self.danmaku_sampled += block.shed * captured
        self.danmaku_written += lines * written
        self.danmaku_paused += lines * paused
        self.danmaku_closed += lines * closed

    def state_broadcast(
        self, updates_offered: int, kept: int, captured: int, written: int, paused: int, closed: int
    ) -> None:
        """Of ``updates_offered`` newer figures since the last tick ``kept`` stand in the frame; later ones
        superseded the rest."""
        self.state_updates += updates_offered * captured
        self.state_superseded += (updates_offered - kept) * captured
        self.state_written += kept * written
        self.state_paused += kept * paused
        self.state_closed += kept * closed

    def critical_advanced(
        self, advanced: int = 0, *, written: int = 0, replayed: int = 0, covered: int = 0
    ) -> None:
        """Cursors moved by ``advanced`` events; so many were ``written`` live, ``replayed`` to sessions that
        resumed or had fallen behind, or ``covered`` by a snapshot. The terms may be told apart from the
        advance (end − start, when a session leaves): only the sums must agree. A session that had no cursor
        in this epoch starts at its snapshot: nothing advanced, nothing was covered."""
        self.critical_moved += advanced
        self.critical_written += written
        self.critical_replayed += replayed
        self.critical_covered += covered

    def holds(self, advance_of_open_sessions: int = 0) -> bool:
        """The law, now. ``advance_of_open_sessions``: the sum of cursor − start over sessions whose
        advance has not been told yet."""
        return self.danmaku_holds() and self.state_holds() and self.critical_holds(advance_of_open_sessions)

    def danmaku_holds(self) -> bool:
        return self.danmaku_offered == (
            self.danmaku_written
            + self.danmaku_merged
            + self.danmaku_sampled
            + self.danmaku_paused
            + self.danmaku_closed
        )

    def state_holds(self) -> bool:
        return self.state_updates == (
            self.state_written + self.state_superseded + self.state_paused + self.state_closed
        )

    def critical_holds(self, advance_of_open_sessions: int = 0) -> bool:
        advanced = self.critical_moved + advance_of_open_sessions
        return advanced == self.critical_written + self.critical_replayed + self.critical_covered
