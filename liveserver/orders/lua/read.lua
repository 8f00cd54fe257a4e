#!lua
-- Reads entries for the group, for the holder of the lease alone: a process that has lost it takes nothing, so
-- no entry is handed to one who won't deliver it.
-- KEYS  1 lease  2 {sale:ID}:feed
-- ARGV  1 owner   2 group   3 consumer   4 entry id to read what is unacknowledged behind, or '>': new ones
--       5 how many
-- Answers  {'ok', entries as XREADGROUP tells them} or {'lost'}
-- O(entries).

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return { 'lost' } end
local got = redis.call('XREADGROUP', 'GROUP', ARGV[2], ARGV[3], 'COUNT', ARGV[5], 'STREAMS', KEYS[2], ARGV[4])
return { 'ok', got and got[1] and got[1][2] or {} }
