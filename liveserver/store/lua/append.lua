#!lua flags=
-- append: one critical event onto a room's log, as a compare-and-set on its head.
--
-- The room stands at (epoch, head). The caller says where it believes the room to stand; only if that is
-- so does the event get the offset head + 1. Whoever is behind reads the gap and decides again; whoever
-- is *ahead* has seen what this server no longer knows: data was lost, and the room gets a new epoch.
--
-- KEYS  1 meta      hash    epoch, head
--       2 log       stream  id epoch-offset, fields: command, payload; the last log_max events
--       3 state     hash    state key -> bytes
--       4 commands  zset    command id -> its offset; the last commands_max
-- ARGV  1 epoch  2 expected head  3 command id  4 payload  5 log_max  6 commands_max
--       7 channel  8 number of keys set (n)  then n pairs key, bytes; then the keys to delete
--
-- Returns {'appended', epoch, offset}   it stands at offset and was published
--         {'duplicate', epoch, offset}  this command id stands at offset already; nothing was done
--         {'moved', epoch, head}        nothing was appended
--
-- Order: all checks, then XADD (the first write), then the rest, SPUBLISH last: if something fails half
-- way the log leads, and nobody has been told of what is not in it.
-- Complexity: O(n) in the keys changed; O(log commands_max).

local meta, log, state, commands = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local epoch_seen, head_seen = tonumber(ARGV[1]), tonumber(ARGV[2])
local command_id, payload = ARGV[3], ARGV[4]
local log_max, commands_max = ARGV[5], tonumber(ARGV[6])
local channel, set_count = ARGV[7], tonumber(ARGV[8])

local stands = redis.call('HMGET', meta, 'epoch', 'head')
local epoch, head = tonumber(stands[1]) or 0, tonumber(stands[2]) or 0

if epoch < epoch_seen or (epoch == epoch_seen and head < head_seen) then
  local t = redis.call('TIME')
  epoch = math.max(epoch_seen + 1, t[1] * 1000 + math.floor(t[2] / 1000))
  redis.call('HSET', meta, 'epoch', string.format('%.0f', epoch), 'head', string.format('%.0f', head))
  return {'moved', epoch, head}
end

local stood = redis.call('ZSCORE', commands, command_id)
if stood then
  return {'duplicate', epoch, tonumber(stood)}
end
if epoch ~= epoch_seen or head ~= head_seen then
  return {'moved', epoch, head}
end

local offset = head + 1
local offset_text = string.format('%.0f', offset)
redis.call('XADD', log, 'MAXLEN', '=', log_max, ARGV[1] .. '-' .. offset_text,
  'command', command_id, 'payload', payload)
redis.call('HSET', meta, 'head', offset_text)
redis.call('ZADD', commands, offset_text, command_id)
redis.call('ZREMRANGEBYRANK', commands, 0, -commands_max - 1)
local last_set = 8 + 2 * set_count
if set_count > 0 then
  redis.call('HSET', state, unpack(ARGV, 9, last_set))
end
if #ARGV > last_set then
  redis.call('HDEL', state, unpack(ARGV, last_set + 1))
end
redis.call('SPUBLISH', channel, 'E' .. ARGV[1] .. '-' .. offset_text .. ' ' .. payload)
return {'appended', epoch, offset}
