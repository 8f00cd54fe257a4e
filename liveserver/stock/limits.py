"""Every limit of the stock counter, in one place."""

from __future__ import annotations

from typing import Final

from protocol import limits as wire

ITEMS_MAX: Final = wire.ITEMS_PER_LISTING_MAX  # of a sale
LINES_MAX: Final = wire.LINES_PER_ORDER_MAX
MAX_QUANTITY: Final = wire.QUANTITY_MAX  # of a line
REASON_CHARS_MAX: Final = wire.REASON_CHARS_MAX

UNITS_MAX: Final = 10**9  # a stock, a delta, a limit per user
# Per sale, pauses and resumes among them.
ADJUSTS_MAX: Final = 1_024  # with UNITS_MAX every counter stays below 1.1e12, exact everywhere
RECORDS_PER_BUYER_MAX: Final = 64  # reservations of one user in one sale, whatever became of them
# A rebuild that may have lost some starts at the next so many: an id is never told twice.
PLACES_MAX: Final = 16 * RECORDS_PER_BUYER_MAX
HOLD_MS_MAX: Final = wire.HOLD_MS_MAX
SPREAD_MS_MAX: Final = wire.SPREAD_MS_MAX
TIME_MS_MAX: Final = 9_999_999_999_999  # the year 2286; Lua prints 14 digits exactly

BATCH_MAX: Final = 128  # orders in one call; Measured: 200 a call is 2 % faster than 100, and waits longer
LOOKUP_USERS_MAX: Final = 128  # whose reservations one call tells
SWEEP_ORDERS: Final = 100  # a sweep takes whole calls, oldest first, until they held this many orders
WAITLIST_MAX: Final = wire.WAITLIST_MAX  # places in line of one sale
SERVED_MAX: Final = 100  # heads of a line that one step serves or skips
# Of a sale's keys; the scripts leave a sale of a newer one alone. 2: the line; 3: it was rebuilt
FORMAT: Final = 3
OPENED_FORMAT: Final = 2
HELD_MAX: Final = 100_000  # reservations that one reading of what is held answers; Guess
SKEW_MS_MAX: Final = 5_000  # a process whose clock is further off sells and expires nothing
SALES_SEEN_MAX: Final = 4_096  # sales one process remembers its last view of
