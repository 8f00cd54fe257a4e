#!lua flags=no-writes
-- A buyer's value, as FEED.md describes it. Mirrors ModelLedger.lookup, .reservation, .reservations_of.
-- KEYS  as parts/keys.lua
-- ARGV  1 user
-- Answers  {'ok', epoch, value} (value '' for a user who never bought) or {'unknown'}
-- O(records of the buyer).

local epoch = redis.call('HGET', META, 'epoch')
if not epoch then return { 'unknown' } end
return { 'ok', tonumber(epoch), redis.call('HGET', BUYERS, ARGV[1]) or '' }
