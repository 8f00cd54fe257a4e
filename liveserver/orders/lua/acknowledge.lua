#!lua
-- Acknowledges entries none of whose rows has to be delivered, for the holder of the lease alone.
-- KEYS  1 lease  2 {sale:ID}:feed  3 rows
-- ARGV  1 owner   2 group   3 how many entries   4… their ids, then epoch-seq of rows to be forgotten
-- Answers  'ok' or 'lost' (nothing was done)
-- O(entries + rows).

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'lost' end
local entries = tonumber(ARGV[3])
for k = 4, 3 + entries do redis.call('XACK', KEYS[2], ARGV[2], ARGV[k]) end
for k = 4 + entries, #ARGV do redis.call('HDEL', KEYS[3], ARGV[k]) end
return 'ok'
