#!lua flags=no-writes
-- A page of what is held, the latest call first. Mirrors ModelSale.held.
-- Ranks count from the end of `due`: sweeps take from its beginning, so no page misses what stays held.
-- KEYS  as parts/keys.lua
-- ARGV  1 rank to begin at
-- Answers  {'ok', epoch, held (as `told`), rank to go on at, -1 at the end} or {'unknown'}
-- O(log n + r), r the orders of the calls on the page (below SWEEP_ORDERS + 128).

local epoch = redis.call('HGET', META, 'epoch')
if not epoch then return { 'unknown' } end
local rank = tonumber(ARGV[1])
local calls = redis.call('ZRANGE', DUE, rank, rank + SWEEP_ORDERS - 1, 'REV')
local users, places, read = granted_by(calls)
local held = {}
local values = #users > 0 and redis.call('HMGET', BUYERS, unpack(users)) or {}
for k = 1, #users do
  local record = record_at(values[k], places[k])
  if COUNTED[record.state] == HELD then held[#held + 1] = told(users[k], places[k], record) end
end
return { 'ok', tonumber(epoch), held, #calls > 0 and rank + read or -1 }
