#!lua
-- A held reservation is given back. Mirrors ModelSale.finish(end=release).
-- KEYS  as common.lua
-- ARGV  1..6 as common.lua, 7 user, 8 place, 9 command id
-- Answers  as confirm.lua; a state other than released means it can't be.
-- O(records of the buyer).

return finish('release')
