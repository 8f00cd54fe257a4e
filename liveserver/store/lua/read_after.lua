#!lua flags=no-writes
-- read_after: the events of one epoch after an offset, if the log still reaches back that far.
--
-- KEYS  1 meta  hash    epoch, head
--       2 log   stream  id epoch-offset, fields: command, payload
-- ARGV  1 epoch  2 offset  3 limit (> 0)
--
-- Returns false                                                no longer, or not in this epoch
--         {{id, {'command', ..., 'payload', ...}}, ...}        gapless from offset + 1, oldest first
-- Complexity: O(limit).

local stands = redis.call('HMGET', KEYS[1], 'epoch', 'head')
local offset = tonumber(ARGV[2])
if tonumber(stands[1]) ~= tonumber(ARGV[1]) then
  return false
end
if offset == tonumber(stands[2]) then
  return {}
end
local first = ARGV[1] .. '-' .. string.format('%.0f', offset + 1)
local events = redis.call('XRANGE', KEYS[2], first, ARGV[1], 'COUNT', ARGV[3])
if #events == 0 or events[1][1] ~= first then
  return false
end
return events
