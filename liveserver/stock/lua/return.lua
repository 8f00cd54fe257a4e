#!lua
-- A confirmed reservation comes back, its units are available again. Mirrors ModelSale.finish(end=return).
-- KEYS  as parts/keys.lua
-- ARGV  1..6 as parts/fences.lua, 7 user, 8 place, 9 command id
--       10 'back' if the user may buy as many again, 'kept' if they still count against his limit
-- Answers  as release.lua; a state other than returned means that it can't be.
-- O(records of the buyer).

return finish('return', ARGV[10])
