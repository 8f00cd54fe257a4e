#!lua
-- Units are added to or taken from an item, at most once per command id. Mirrors ModelSale.adjust.
-- KEYS  as parts/keys.lua
-- ARGV  1..6 as parts/fences.lua, 7 item number, 8 delta, 9 actor, 10 reason, 11 command id
-- Answers  {'ok', view, lined}      done, now or before; lined: who was served or skipped then, as `told`
--          {'sale_conflict'}        this command id asked for something else before
--          {'closed'}  {'too_many_adjusts'}  {'below_held', available}
--          or a refusal of parts/fences.lua
-- O(items).

local sale, refusal = begin()
if refusal then return refusal end
local item, delta, command = tonumber(ARGV[7]), tonumber(ARGV[8]), ARGV[11]
local asked = ARGV[7] .. ' ' .. ARGV[8] .. ' ' .. ARGV[9] .. ' ' .. ARGV[10]
local answer = asked_before(sale, command, asked)
if answer then return answer end
if sale.available[item] + delta < 0 then return { 'below_held', sale.available[item] } end

feed_row(sale, 'adjust', 1, 'item', ARGV[7], 'delta', ARGV[8], 'actor', ARGV[9], 'reason', ARGV[10],
  'command', command)
redis.call('HSET', ADJUSTS, command, asked)
add(sale, AVAILABLE, item, delta)
add(sale, 'adjusted', item, delta)
save(sale)
serve_line(sale)
return { 'ok', view_of(sale), sale.lined }
