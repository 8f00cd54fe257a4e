#!lua
-- A held reservation is given back, or a place in line is left. Mirrors ModelSale.finish(end=release).
-- KEYS  as parts/keys.lua
-- ARGV  1..6 as parts/fences.lua, 7 user, 8 place, 9 command id
-- Answers  {'ok', view, reservation, changed, expired, lined}: the reservation as it now is, as `told`; a state other
--          than released means that it can't be. changed 1 if this very call released it; expired: the same
--          reservation, if it was found past its due.
--          lined: who was served in line, or skipped, as `told`
--          {'no_reservation'}, or a refusal of parts/fences.lua
-- O(records of the buyer).

return finish('release')
