#!lua flags=no-writes
-- find: where a command id was appended, as far as the room remembers (see append.lua).
--
-- KEYS  1 meta      hash  epoch
--       2 commands  zset  command id -> its offset
-- ARGV  1 command id
--
-- Returns false | {epoch, offset}
-- Complexity: O(1).

local stood = redis.call('ZSCORE', KEYS[2], ARGV[1])
if not stood then
  return false
end
return {tonumber(redis.call('HGET', KEYS[1], 'epoch')), tonumber(stood)}
