#!lua
-- A held reservation is paid for. Mirrors ModelSale.finish(end=confirm).
-- KEYS  as common.lua
-- ARGV  1..6 as common.lua, 7 user, 8 place, 9 command id
-- Answers  {'ok', view, reservation, changed, expired}: the reservation as it now is, as `told`; changed 1
--          if this very call confirmed it; expired: the same reservation, if it was found past its due.
--          A state other than confirmed means it can't be.
--          {'no_reservation'}, or a refusal of common.lua
-- O(records of the buyer).

return finish('confirm')
