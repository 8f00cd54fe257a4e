#!lua flags=
-- load: a room as it stands in this one instant; a room nobody has written gets its epoch here.
--
-- The epoch goes on for as long as the data does. It is raised, to max(previous + 1, milliseconds now),
--   - for a room this server has never seen;
--   - if the caller has seen (epoch, head) beyond what is here: a tail was lost;
--   - if the server was restarted (another run id) and either life was not `appendfsync always`: a tail
--     may have been lost that nobody left alive has seen.
-- Offsets go on under the new epoch, so no offset is ever given twice with different events.
--
-- KEYS  1 meta   hash    epoch, head, run, fsynced
--       2 log    stream  id epoch-offset, fields: command, payload
--       3 state  hash    state key -> bytes
-- ARGV  1 epoch seen before (0: none)  2 head seen in it  3 history: events wanted at most
--       4 run id of the server ('': unknown)  5 '1' if it is `appendfsync always`, else '0'
--
-- Returns {epoch, head, {key, bytes, ...}, {{id, {'command', ..., 'payload', ...}}, ...}}
--         the events newest first, of this epoch only
-- Complexity: O(state + history).

local meta, log, state = KEYS[1], KEYS[2], KEYS[3]
local epoch_seen, head_seen = tonumber(ARGV[1]), tonumber(ARGV[2])
local run, fsynced = ARGV[4], ARGV[5]

local stands = redis.call('HMGET', meta, 'epoch', 'head', 'run', 'fsynced')
local epoch, head = tonumber(stands[1]) or 0, tonumber(stands[2]) or 0

local lost = epoch == 0
  or epoch < epoch_seen or (epoch == epoch_seen and head < head_seen)
  or (stands[3] and stands[3] ~= run and not (stands[4] == '1' and fsynced == '1'))
if lost then
  local t = redis.call('TIME')
  epoch = math.max(epoch + 1, epoch_seen + 1, t[1] * 1000 + math.floor(t[2] / 1000))
end
if lost or stands[3] ~= run or stands[4] ~= fsynced then
  redis.call('HSET', meta, 'epoch', string.format('%.0f', epoch), 'head', string.format('%.0f', head),
    'run', run, 'fsynced', fsynced)
end

local events = {}
if tonumber(ARGV[3]) > 0 then
  events = redis.call('XREVRANGE', log, '+', string.format('%.0f', epoch), 'COUNT', ARGV[3])
end
return {epoch, head, redis.call('HGETALL', state), events}
