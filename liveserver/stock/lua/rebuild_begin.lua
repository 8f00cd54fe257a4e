#!lua
-- A rebuild of a frozen sale begins, in a new epoch; until its end nothing else is done to the sale. rebuild.py
-- plans it, audit.py proves what came of it; the model is never rebuilt. Mirrors Fold.take of its row.
-- KEYS  as parts/keys.lua; 7 where a feed that is of no use goes
-- ARGV  1 the id of the feed's last entry as the caller read it, '' if there is none
--       2 '1' if in this run of the server every write is on disk, else '0'
--       3 lowest epoch to take   4 epoch in which the sale was first opened, '0' for the one taken
--       5 base of the places   6 actor   7 command id
--       8 '1' to begin afresh: what is there is put aside (the feed, under KEYS[7]) and gone (the rest), else ''
--       9 limit   10 hold   11 opens   12 closes   13 command   14 n   15 items   16 places in line   17 spread
--         18 ships, of the sale begun afresh, as open.lua has them
-- Answers  {'ok', epoch, seq}
--          {'moved', last entry}: the feed is not what the caller read; nothing was done
--          {'not_frozen'}  {'unknown'}: nothing was done
-- O(items), and the feed is renamed, not copied.

local last = redis.call('XREVRANGE', FEED, '+', '-', 'COUNT', 1)[1]
last = last and last[1] or ''
if last ~= ARGV[1] then return { 'moved', last } end
local lowest, sale = tonumber(ARGV[3])
if ARGV[8] == '1' then
  local pinned, before = unpack(redis.call('HMGET', META, 'pinned_ms', 'now'))
  local now = clock(before, pinned)
  if last ~= '' then redis.call('RENAME', FEED, KEYS[7]) end
  redis.call('UNLINK', META, BUYERS, DUE, ADJUSTS, LINE)
  if pinned then redis.call('HSET', META, 'pinned_ms', pinned) end
  sale = create(math.max(now, lowest), now, { unpack(ARGV, 9, 18) }, ARGV[2])
  sale.frozen = false
  freeze(sale, 'lost', '', '', '')
else
  sale = load()
  if not sale then return { 'unknown' } end
  if not sale.frozen then return { 'not_frozen' } end
end

local since = tonumber(ARGV[4])
if since == 0 then since = sale.epoch end
sale.epoch = math.max(sale.epoch + 1, lowest, sale.now)
sale.run, sale.safe = server_run(), ARGV[2]
feed_row(sale, 'rebuild', 1, 'since', since, 'base', ARGV[5], 'actor', ARGV[6], 'command', ARGV[7])
redis.call('HSET', META, 'epoch', sale.epoch, 'rebuilding', '1', 'base', ARGV[5], 'format', FORMAT)
save(sale)
return { 'ok', sale.epoch, sale.seq }
