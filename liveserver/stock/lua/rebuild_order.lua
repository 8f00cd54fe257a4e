#!lua
-- An order to the sale itself that was lost is put back by a rebuild: its row, and that it was asked.
-- Mirrors Fold.take of its rows.
-- KEYS  as parts/keys.lua
-- ARGV  1 epoch and 2 seq at which the rebuild stands   3 '1' if every write is on disk, else '0'
--       4 'adjust', 'pause', 'resume' or 'close'   5 actor   6 command id
--       7 item number   8 delta   9 reason, of an adjust
-- Answers  {'ok', epoch, seq}
--          {'moved', epoch, seq}: the rebuild does not stand there; nothing was done
--          {'negative', item}: there is not so much of it; nothing was done
-- O(items).

local sale = load()
if not sale or not sale.rebuilding or sale.epoch ~= tonumber(ARGV[1]) or sale.seq ~= tonumber(ARGV[2]) then
  return { 'moved', sale and sale.epoch or 0, sale and sale.seq or 0 }
end
sale.run, sale.safe = server_run(), ARGV[3]
local kind, actor, command = ARGV[4], ARGV[5], ARGV[6]
if kind == 'adjust' then
  local item, delta = tonumber(ARGV[7]), tonumber(ARGV[8])
  if sale.available[item] + delta < 0 then return { 'negative', item } end
  feed_row(sale, kind, 1, 'item', ARGV[7], 'delta', ARGV[8], 'actor', actor, 'reason', ARGV[9], 'command', command)
  redis.call('HSET', ADJUSTS, command, ARGV[7] .. ' ' .. ARGV[8] .. ' ' .. actor .. ' ' .. ARGV[9])
  add(sale, AVAILABLE, item, delta)
  add(sale, 'adjusted', item, delta)
elseif kind == 'close' then
  close(sale, actor, command)
else
  feed_row(sale, kind, 1, 'actor', actor, 'command', command)
  redis.call('HSET', ADJUSTS, command, kind .. ' ' .. actor)
end
save(sale)
return { 'ok', sale.epoch, sale.seq }
