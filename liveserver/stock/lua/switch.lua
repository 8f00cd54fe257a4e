#!lua
-- A sale is paused or resumed, at most once per command id. Mirrors ModelSale.switch.
-- KEYS  as parts/keys.lua
-- ARGV  1..6 as parts/fences.lua, 7 'pause' or 'resume', 8 actor, 9 command id
-- Answers  {'ok', view, lined}  done, now or before (other commands may have come since); lined: who was
--          served or skipped then, as `told`
--          {'sale_conflict'}  this command id asked for something else before
--          {'closed'}  {'frozen'}  {'too_many_adjusts'}
--          or a refusal of parts/fences.lua
-- O(items). It is a row also where it changes nothing: the feed has every command that counted.

local sale, refusal = begin()
if refusal then return refusal end
local kind, actor, command = ARGV[7], ARGV[8], ARGV[9]
local asked = kind .. ' ' .. actor
local answer = asked_before(sale, command, asked)
if answer then return answer end
if sale.frozen then return { 'frozen' } end

feed_row(sale, kind, 1, 'actor', actor, 'command', command)
redis.call('HSET', ADJUSTS, command, asked)
sale.status = kind == 'pause' and 'paused' or 'open'
save(sale)
serve_line(sale)
return { 'ok', view_of(sale), sale.lined }
