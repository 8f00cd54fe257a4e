"""Every limit and period of the client, in one place."""

from __future__ import annotations

BACKOFF_BASE_MS = 1_000  # Guess: the first reconnect falls within a second
BACKOFF_CAP_MS = 30_000  # Guess: nobody waits longer for a server that is back
RETRY_MS_MAX = 10 * 60_000  # what a server may ask of us at most, for each of its two numbers
SETTLED_MS = 10_000  # a connection that lived this long after its welcome starts the backoff afresh
WELCOME_MS_MAX = 10_000  # no welcome within this of the handshake: give up and come back
KEEPALIVE_MS = 25_000  # until a welcome says otherwise
CATCH_UP_MS_MAX = 5_000  # behind the room's head for longer: ask to resume
TRANSIENT_RETRY_MS = 1_000  # a join refused for the moment, where the server names no time
TOMBSTONE_MS = 60_000  # how long a deleted comment is refused should it still come
TOMBSTONES_MAX = 1_024
OWN_DANMAKU_MAX = 256  # own comments remembered, to show each once
MUTED_MAX = 4_096
SALES_MAX = 1_024  # of one room that never closes them; the oldest is forgotten first
LOOSE_STOCK_MAX = 512  # stock of sales whose opening is not known (yet)
CLOCK_WINDOW_MS = 5 * 60_000  # a clock sample is forgotten after one to two of these
FRAME_BYTES_MAX = 16 * 1024 * 1024  # one downward message, inflated; a full cart's snapshot is under 3 MiB
CRITICAL_BACKLOG_MAX = 1_024  # unread critical events of a room; beyond: one snapshot instead
DANMAKU_BACKLOG_MAX = 256  # unread danmaku blocks of a room; beyond: counted and dropped
UNREAD_NOTICES_MAX = 256
COMMAND_TIMEOUT_MS = 10_000
OPEN_TIMEOUT_MS = 10_000
