#!lua flags=no-writes
-- The counters, and what never changes of a sale. Mirrors ModelSale.view.
-- KEYS  as parts/keys.lua
-- Answers  {'ok', view, {limit, hold, opens, closes, items, waitlist, spread, ships}} or {'unknown'}
-- O(items).

local sale = load()
if not sale then return { 'unknown' } end
return { 'ok', view_of(sale),
  redis.call('HMGET', META, 'limit', 'hold', 'opens', 'closes', 'items', 'waitlist', 'spread', 'ships') }
