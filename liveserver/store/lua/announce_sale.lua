#!lua flags=
-- announce_sale: note that a sale will concern this room. Repeating it changes nothing.
--
-- KEYS  1 sales  zset  sale id -> time of its announcement; the last sales_max
-- ARGV  1 sale id  2 sales_max
--
-- Returns 1 if it is new here, else 0.
-- Complexity: O(log sales_max).

local t = redis.call('TIME')
local now_ms = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000))
local new = redis.call('ZADD', KEYS[1], 'NX', now_ms, ARGV[1])
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -tonumber(ARGV[2]) - 1)
return new
