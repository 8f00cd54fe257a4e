"""Every limit of the wire, in one place. What exceeds one gets a named error or a named close."""

from __future__ import annotations

COMMAND_BYTES_MAX = 32 * 1024  # one command on the wire, inflated; more closes 1009
ID_CHARS_MAX = 64
TOKEN_CHARS_MAX = 8 * 1024
TEXT_CHARS_MAX = 100  # one danmaku; Source: what the big platforms allow is 40 to 100
NAME_CHARS_MAX = 32
TITLE_CHARS_MAX = 60
LINE_CHARS_MAX = 140  # the one line under a flash listing's title
PHOTO_CHARS_MAX = 512  # a photo is a reference
REASON_CHARS_MAX = 140
VARIANT_CHARS_MAX = 60
ITEMS_PER_LISTING_MAX = 32  # a sale counts 1 to 32 items
LISTINGS_PER_CART_MAX = 200  # Source: 198 products were seen in one real room
CLOSED_SALES_MAX = 50  # closed sales a room still shows, in snapshots and mirrors; the longest closed go
LINES_PER_ORDER_MAX = 32
QUANTITY_MAX = 999
ROOMS_PER_SESSION_MAX = 8
LIKE_TAPS_MAX = 100  # taps one like command may sum up
GIFT_COUNT_MAX = 9_999
MUTE_SECONDS_MAX = 30 * 24 * 3600
SALE_DURATION_MS_MAX = 24 * 3600 * 1000
WAITLIST_MAX = 10_000  # places in line of one sale
HOLD_MS_MAX = 3600 * 1000
AMOUNT_MAX = 2**53 - 1  # integers stay exact in every client
COMMANDS_IN_FLIGHT_MAX = 64  # unanswered commands of one session; more is rate_limited
AUTHENTICATE_MS_MAX = 5_000  # a session says who it is within this, or is closed
