#!lua
-- Nothing is sold from here on; holds keep their promise until due. Mirrors ModelSale.close.
-- KEYS  as parts/keys.lua
-- ARGV  1..6 as parts/fences.lua, 7 actor, 8 command id
-- Answers  {'ok', view} (closed now, or before), or a refusal of parts/fences.lua
-- O(items).

local sale, refusal = begin()
if refusal then return refusal end
close(sale, ARGV[7], ARGV[8])
return { 'ok', view_of(sale) }
