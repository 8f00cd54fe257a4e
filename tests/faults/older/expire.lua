#!lua
-- One bounded sweep. Mirrors ModelSale.sweep.
-- KEYS  as common.lua
-- ARGV  1..6 as common.lua
-- Answers  {'ok', view, expired (as `told`), 1 if more is due}, or a refusal of common.lua
-- O(log n + r), r the orders of the calls swept.

local sale, refusal = begin()
if refusal then return refusal end
local expired, more = sweep(sale)
return { 'ok', view_of(sale), expired, more }
