"""Every limit and rate of the room's rules, in one place. What exceeds one is counted or named, never queued.

The wire's own limits are in ``protocol.limits``. What an operator may turn is a config object with these
defaults (``SessionRates``); the rest are bounds on memory and stay constants.
"""

from __future__ import annotations

import msgspec

# -- danmaku of one room in one process ----------------------------------------------------------------

DANMAKU_BUDGET_PER_S = (
    30  # shown; Guess: what an eye can follow; hosted rooms allow 10 to 40 messages a second
)
MERGE_WINDOW_MS = 10_000  # Source: a "888" wave in a recorded room lasted ten seconds
PENDING_TEXTS_MAX = 2_000  # different texts that wait in one tick; more than a tick can show never do
USER_LINES_PER_S = 4  # of one user, over all his connections here: what one connection may say
SPEAKERS_MAX = 20_000  # users whose lines are counted in one second
PENDING_ENTRIES_MAX = 20_000  # comments that wait in one tick, equal ones included
REMOTE_PER_TICK_MAX = 100  # comments other processes may put on our screens in one tick
GIFT_LINES_MAX = 500  # different (user, gift) pairs in one tick
SHOWN_TEXTS_MAX = 4_096  # texts remembered for merging; the window at full budget needs about 1,300
ALIASES_MAX = 64  # ids other processes gave one of these texts: about one per process and window
TOMBSTONE_MS = 60_000
TOMBSTONES_MAX = 4_096
RECENT_DANMAKU_MAX = 50

# -- the room's projection -----------------------------------------------------------------------------

CLOSED_SALES_MAX = 50
MUTES_MAX = 1_000  # beyond, the mute that ends soonest (so any that has ended) is dropped
HISTORY_EVENTS_MAX = 512
BOARD_CLOSED_SALES_MAX = 200


class Rate(msgspec.Struct, frozen=True):
    """So many a second, and up to ``burst`` at once."""

    per_s: int
    burst: int


# -- the tick ------------------------------------------------------------------------------------------

TICK_PERIOD_MS = 100
TICK_AT_ONCE = Rate(per_s=5, burst=3)  # broadcasts of a quiet room, which don't wait for the period
RIDE_MS = 900  # a count waits this long for a frame to ride along with
TICK_BROADCASTS_PER_PERIOD = 2  # a period is at least this many times as long as the last broadcast took


class SessionRates(msgspec.Struct, frozen=True):
    """What one session may send."""

    commands: Rate = Rate(50, 100)  # of every kind together
    danmaku: Rate = Rate(1, 3)
    likes: Rate = Rate(5, 5)
    purchases: Rate = Rate(10, 10)
