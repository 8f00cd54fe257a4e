-- The keys of a sale, and what the other parts name alike. FEED.md describes keys and rows.
-- KEYS  1 {sale:ID}:meta  2 {sale:ID}:buyers  3 {sale:ID}:feed  4 {sale:ID}:due  5 {sale:ID}:adjusts
--       6 {sale:ID}:line
--
-- Integers stay below 1e14, so Lua's own number to string is exact. Every loop is over a bounded list: the
-- orders of one call (at most 128), the items of a sale (32), the records of a buyer (64), one sweep.

local META, BUYERS, FEED, DUE, ADJUSTS, LINE = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local SPAN = 1099511627776 -- 2^40, above every seq: who waits for item i has a score from i * SPAN
local HELD, AVAILABLE = 'held', 'available'
