#!lua
-- Renews or gives back a lease, if it is still the caller's.
-- KEYS  1 lease
-- ARGV  1 owner   2 ms it shall last from now, '0': give it back
-- Answers  1, or 0 where it is somebody else's by now (nothing was done)
-- O(1).

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then redis.call('DEL', KEYS[1]) else redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 1
