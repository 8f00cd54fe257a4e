#!lua flags=no-writes
-- Buyers' values, as FEED.md describes them. Mirrors ModelLedger.lookup, .reservation, .reservations_of_each.
-- KEYS  as parts/keys.lua
-- ARGV  users, LOOKUP_USERS_MAX at most
-- Answers  {'ok', epoch, values} (in the users' order, '' for one who never bought) or {'unknown'}
-- O(records of these buyers).

local epoch = redis.call('HGET', META, 'epoch')
if not epoch then return { 'unknown' } end
local values = redis.call('HMGET', BUYERS, unpack(ARGV))
for k = 1, #ARGV do values[k] = values[k] or '' end
return { 'ok', tonumber(epoch), values }
