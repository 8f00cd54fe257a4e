#!lua
-- place: a sale is shown in one more place (a room, or the shelf outside of all), or there in another way.
--
-- KEYS  1 places  hash  room id, or '' for the shelf -> packed Place
-- ARGV  1 place  2 packed Place  3 rooms at most  4 when to forget it all, ms
--
-- Returns 1, or 0 where it is in as many rooms as it may be
-- Complexity: O(1).

local places, place = KEYS[1], ARGV[1]
local taken = redis.call('HLEN', places) - redis.call('HEXISTS', places, '')
if place ~= '' and taken >= tonumber(ARGV[3]) and redis.call('HEXISTS', places, place) == 0 then
  return 0
end
redis.call('HSET', places, place, ARGV[2])
redis.call('PEXPIREAT', places, ARGV[4])
return 1
