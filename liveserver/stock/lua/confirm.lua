#!lua
-- A reservation is paid for: held, or late, after its hold has ended. Mirrors ModelSale.finish(end=confirm).
-- KEYS  as parts/keys.lua
-- ARGV  1..6 as parts/fences.lua, 7 user, 8 place, 9 command id
-- Answers  {'ok', view, reservation, changed, expired, lined}: the reservation as it now is, as `told`: confirmed,
--          or refund_due, if it was paid late and can't be had any more; any other state means that it
--          can't be paid for. changed 1 if this very call made it so; expired: what was found due, as `told`
--          (a late payment sweeps first).
--          {'frozen'}: it is held, in a frozen sale
--          lined: who was served in line, or skipped, as `told`
--          {'no_reservation'}, or a refusal of parts/fences.lua
-- O(records of the buyer), and one sweep if it is late.

return finish('confirm')
