#!lua
-- A held reservation is given back. Mirrors ModelSale.finish(end=release).
-- KEYS  as common.lua
-- ARGV  1..6 as common.lua, 7 user, 8 place, 9 command id
-- Answers  {'ok', view, reservation, changed, expired}: the reservation as it now is, as `told`; a state other
--          than released means that it can't be. changed 1 if this very call released it; expired: the same
--          reservation, if it was found past its due.
--          {'no_reservation'}, or a refusal of common.lua
-- O(records of the buyer).

return finish('release')
