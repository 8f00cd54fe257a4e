"""How sessions leave a process that ends: heard out, told, closed in waves, and cut in the end.

    owed      replies under way are waited for (new commands are answered ``retry`` already: the gate's part)
    waves     each ``WAVE_MS`` some are told ``bye`` and closed, all of them within ``WAVES_MS_MAX``: nobody's
              event waits behind ten thousand goodbyes, and those who return come spread
    closing   the peers' close frames are awaited; who comes meanwhile is told too
    cut       who is still there (a viewer who doesn't read, mostly) is aborted

``bye`` names the window to come back in, ``retryMs`` and a random part of ``spreadMs`` after it. The place to
resume from it need not name: that is the client's own ``(epoch, offset)``, which holds at every process.
Whatever a session was not written before its close it gets by replay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import NamedTuple

from liveserver.commands.session import Session
from liveserver.core.clock import Clock
from liveserver.edge.socket import Socket
from protocol.close import Close
from protocol.limits import SPREAD_MS_MAX
from protocol.replies import Bye

RETRY_MS, SPREAD_MS_MIN = 200, 2_000  # the window clients come back in: so long after, so widely spread
RETURNS_PER_S = (
    2_000  # Measured: half of what a core lets in with token and join, on a machine that sells too
)
WITHIN_MS = 7_000
OWED_MS_MAX = 3_000
WAVES_MS_MAX = 2_000
PHASE_SHARE = 0.3  # of the time there is, owed replies and waves take this much each at most
WAVE_MS = 50
WAVE_SESSIONS_MIN = 32
LOOK_MS = 20


class Drained(NamedTuple):
    told: int  # sessions that were said goodbye to
    unanswered: int  # commands whose replies did not come in time
    cut: int  # sessions that did not go by themselves


async def drain(
    sockets: Mapping[Session, Socket],
    clock: Clock,
    *,
    within_ms: int = WITHIN_MS,
    waiting: Callable[[], int] = lambda: 0,
) -> Drained:
    """Return when nobody is left, after ``within_ms`` of ``clock`` at the latest. ``sockets`` are those that
    are there, read anew all the time: who comes meanwhile goes too. ``waiting``: how many commands were put
    aside, and aren't in flight yet. Cancelled, it cuts nobody."""

    def owed() -> int:
        return waiting() + sum(session.in_flight for session in sockets)

    began_ms = clock.now_ms()
    phase_ms = int(within_ms * PHASE_SHARE)

    owed_until_ms = began_ms + min(OWED_MS_MAX, phase_ms)
    while clock.now_ms() < owed_until_ms and owed():
        await clock.sleep_ms(LOOK_MS)
    unanswered = owed()

    told = 0
    spread_ms = spread_ms_of(len(sockets))
    waves_left = max(1, min(WAVES_MS_MAX, phase_ms) // WAVE_MS)
    while sockets and clock.now_ms() < began_ms + within_ms:
        here = [(session, socket) for session, socket in sockets.items() if not socket.closed]
        for session, socket in islice(here, max(WAVE_SESSIONS_MIN, -(-len(here) // waves_left))):
            _goodbye(session, socket, clock.now_ms(), spread_ms)
            told += 1
        waves_left = max(1, waves_left - 1)
        await clock.sleep_ms(WAVE_MS)

    left = list(sockets.values())
    for socket in left:
        socket.abort("the server ends")
    return Drained(told, unanswered, len(left))


def spread_ms_of(sessions: int) -> int:
    """How wide a crowd of so many is spread, so that whoever takes it in is not overrun."""
    return min(SPREAD_MS_MAX, max(SPREAD_MS_MIN, sessions * 1_000 // RETURNS_PER_S))


def _goodbye(session: Session, socket: Socket, now_ms: int, spread_ms: int) -> None:
    session.reply(Bye(t=now_ms, reason="restart", reconnect=True, retry_ms=RETRY_MS, spread_ms=spread_ms))
    socket.close(Close.GOING_AWAY, "restart")
