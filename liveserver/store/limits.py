"""Every limit of this layer."""

from __future__ import annotations

from typing import Final

LOG_EVENTS_MAX: Final = 1_000  # events a room's stream keeps: what a resume can replay
COMMANDS_MAX: Final = 2_000  # command ids a room remembers; beyond it a very late retry appends again
PAYLOAD_BYTES_MAX: Final = 64 * 1024  # one critical event
CHANGES_MAX: Final = 1_000  # state keys one event may change (Lua's unpack ends below 8,000)
SALES_MAX: Final = 256  # announced sales a room remembers: each beat carries them all

PLACES_KEPT_MS: Final = 8 * 24 * 3600 * 1000  # after its close, where a sale was shown is forgotten

FRESH_MS: Final = 5_000  # a process silent for longer has no viewers
SILENT_PROCESSES_MAX: Final = 1_000  # silent processes whose likes can still be told from new ones
ROOMS_SEEN_MAX: Final = 10_000  # rooms whose last (epoch, head) this process remembers

CHUNK_BYTES_MAX: Final = 256 * 1024
OUTBOX_CHUNKS_MAX: Final = 1_000  # about a second of chunks of a very busy process
OUTBOX_BYTES_MAX: Final = 8 * 1024 * 1024
PUBLISH_BATCH_MAX: Final = 64
PUBLISH_TIMEOUT_MS: Final = 1_000  # a chunk older than this is of no use to anyone
SUBSCRIBE_TIMEOUT_MS: Final = 5_000
PING_PERIOD_MS: Final = 5_000
SILENCE_MS_MAX: Final = 12_000  # no byte from the server, two pings unanswered: the connection is dead
BACKOFF_MS_MIN: Final = 50
BACKOFF_MS_MAX: Final = 2_000
