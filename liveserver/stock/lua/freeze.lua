#!lua
-- Nothing is reserved or confirmed from here on. Mirrors ModelSale.freeze.
-- KEYS  as parts/keys.lua
-- ARGV  1..6 as parts/fences.lua, 7 actor, 8 command id
-- Answers  {'ok', view, changed}: changed 1 if this very call froze it; or a refusal of parts/fences.lua
-- O(items).

local sale, refusal = begin()
if refusal then return refusal end
local changed = freeze(sale, 'ordered', '', ARGV[7], ARGV[8])
return { 'ok', view_of(sale), changed and 1 or 0 }
