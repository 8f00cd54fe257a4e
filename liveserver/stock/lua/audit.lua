#!lua flags=no-writes
-- Counters, position and a page of the buyers or of the due index, of one instant. Mirrors ModelSale.view.
-- KEYS  as parts/keys.lua
-- ARGV  1 what to page: 'buyers', 'due', 'line', or '' for nothing   2 cursor, '0' at first   3 about how many
-- Answers  {meta, last entry id of the feed or '', buyers, next cursor, page}: meta as HGETALL tells it (empty
--          where it is gone), the number of buyers, and page as HSCAN or ZSCAN tells it. Everything as it is
--          written, so that what is broken is seen as it is.
-- O(items + page). Whatever stood from the first page to the last is in one of them.

local page = { '0', {} }
if ARGV[1] == 'buyers' then
  page = redis.call('HSCAN', BUYERS, ARGV[2], 'COUNT', ARGV[3])
elseif ARGV[1] == 'due' then
  page = redis.call('ZSCAN', DUE, ARGV[2], 'COUNT', ARGV[3])
elseif ARGV[1] == 'line' then
  page = redis.call('ZSCAN', LINE, ARGV[2], 'COUNT', ARGV[3])
end
local last = redis.call('XREVRANGE', FEED, '+', '-', 'COUNT', 1)[1]
return { redis.call('HGETALL', META), last and last[1] or '', redis.call('HLEN', BUYERS), page[1], page[2] }
