#!lua
-- One bounded sweep. Mirrors ModelSale.sweep.
-- KEYS  as parts/keys.lua
-- ARGV  1..6 as parts/fences.lua
-- Answers  {'ok', view, expired (as `told`), 1 if there is more to do, lined (served or skipped,
--          as `told`)}, or a refusal of parts/fences.lua
-- O(log n + r), r the orders of the calls swept.

local sale, refusal = begin()
if refusal then return refusal end
local expired, more = sweep(sale)
return { 'ok', view_of(sale), expired, more, sale.lined }
