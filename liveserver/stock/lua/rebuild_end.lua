#!lua
-- A rebuild is done: the sale is frozen no more, and goes on as it was (who is in line is served by the next sweep).
-- Mirrors Fold.take of its row.
-- KEYS  as parts/keys.lua
-- ARGV  1 epoch and 2 seq at which the rebuild stands   3 '1' if every write is on disk, else '0'
--       4 'open' or 'paused': what it is unless it is closed   5 actor   6 command id
-- Answers  {'ok', epoch, seq}, or {'moved', epoch, seq}: the rebuild does not stand there; nothing was done
-- O(items).

local sale = load()
if not sale or not sale.rebuilding or sale.epoch ~= tonumber(ARGV[1]) or sale.seq ~= tonumber(ARGV[2]) then
  return { 'moved', sale and sale.epoch or 0, sale and sale.seq or 0 }
end
sale.run, sale.safe = server_run(), ARGV[3]
feed_row(sale, 'reopen', 1, 'actor', ARGV[5], 'command', ARGV[6])
if sale.status ~= 'closed' then sale.status = ARGV[4] end
redis.call('HDEL', META, 'frozen', 'rebuilding')
save(sale)
return { 'ok', sale.epoch, sale.seq }
