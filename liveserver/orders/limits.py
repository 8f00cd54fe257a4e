"""Every limit of the delivery of orders, in one place."""

from __future__ import annotations

from typing import Final

GROUP_CHARS_MAX: Final = 64
PAGE_ENTRIES: Final = 64  # of the feed, at most 128 rows each
WINDOW_ROWS_MAX: Final = 1_024  # rows of one sale under way; more are read when these have found their end
SALES_AT_ONCE_MAX: Final = 64  # sales one process delivers at the same time
SALES_PAGE: Final = 100  # sales asked about in one round trip
AT_ONCE: Final = 16  # requests of one process under way
DEAD_MAX: Final = 10_000  # dead letters of one sale and group; beyond it rows are tried on and on
REDRIVEN_PAGE: Final = 128  # dead letters taken up again in one look

LEASE_MS: Final = 15_000  # a process silent for longer has lost its sales to the others
POLL_MS: Final = 500  # how often a feed is asked for news
SCAN_MS: Final = 5_000  # how often the store is asked for new sales

TIMEOUT_MS: Final = 10_000  # of one request, all in all
TIMEOUT_MS_MAX: Final = 12_000  # below LEASE_MS
ATTEMPTS_MAX: Final = 20  # with the waits below: an hour of trying, then a dead letter
WAIT_MS_FIRST: Final = 500
WAIT_MS_MOST: Final = 300_000
RETRY_AFTER_MS_MAX: Final = 600_000  # an order service that asks for more is asked then
ANSWER_BYTES_MAX: Final = 64 * 1024  # of the order service's answer
WHY_CHARS_MAX: Final = 300
