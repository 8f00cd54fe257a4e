#!lua
-- What became of one delivery of one row, and, with the last row of an entry, its acknowledgement. One step, for
-- the holder of the lease alone.
-- KEYS  1 lease  2 {sale:ID}:feed  3 rows  4 dead  5 again
-- ARGV  1 owner   2 group   3 'taken', 'failed' or 'dead'   4 epoch-seq of the row
--       5 failed: how often by now; dead: the dead letter; else ''   6 how many dead letters there may be
--       7 entry to acknowledge; or ''; or 'again': a dead letter tried once more, which is in no entry, and
--       stays in `again` as long as it only fails
--       8… with an entry: epoch-seq of each of its rows, to be forgotten (at most 128)
-- Answers  'ok', 'lost' (somebody else has the lease), 'full' (no dead letter more): the latter two did nothing
-- O(rows of the entry).

local LEASE, FEED, ROWS, DEAD, AGAIN = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local became, row, entry = ARGV[3], ARGV[4], ARGV[7]
if redis.call('GET', LEASE) ~= ARGV[1] then return 'lost' end
if became == 'dead' then
  local known = redis.call('HEXISTS', DEAD, row) == 1
  if not known and redis.call('HLEN', DEAD) >= tonumber(ARGV[6]) then return 'full' end
  redis.call('HSET', DEAD, row, ARGV[5])
end
if entry == 'again' then
  if became ~= 'failed' then redis.call('HDEL', AGAIN, row) end
elseif became == 'failed' then
  redis.call('HSET', ROWS, row, ARGV[5])
elseif entry == '' then
  redis.call('HSET', ROWS, row, 'done')
else
  redis.call('XACK', FEED, ARGV[2], entry)
  redis.call('HDEL', ROWS, unpack(ARGV, 8))
end
return 'ok'
