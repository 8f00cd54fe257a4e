#!lua
-- Opens a sale. Mirrors ModelSale.__init__ and ModelLedger.open.
-- KEYS  as common.lua
-- ARGV  1 now, as the caller's clock says   2 the last ms at which this call may still act
--       3 limit per user   4 hold ms   5 opens ms   6 closes ms   7 command id   8 number of items
--       9 items, 'id=stock id=stock'   10 '1' if in this run of the server every write is on disk, else '0'
-- Answers  {'ok', view}          opened, or opened before with an equal specification
--          {'sale_conflict'}     opened before with another, or rows or buyers are there without their sale
--          {'late', now} {'skew', now}
-- O(items). The epoch is the time of opening, so that a sale opened anew under an old id is newer.

local known = load()
if known then
  local got = redis.call('HMGET', META, 'limit', 'hold', 'opens', 'closes', 'items')
  if got[1] == ARGV[3] and got[2] == ARGV[4] and got[3] == ARGV[5] and got[4] == ARGV[6] and got[5] == ARGV[9] then
    return { 'ok', view_of(known) }
  end
  return { 'sale_conflict' }
end

-- Something of this sale was lost: nobody sells on top of what is left.
if redis.call('EXISTS', BUYERS, FEED, DUE, ADJUSTS) > 0 then return { 'sale_conflict' } end

local now = clock(0, redis.call('HGET', META, 'pinned_ms'))
if now > tonumber(ARGV[2]) then return { 'late', now } end
if math.abs(now - tonumber(ARGV[1])) > SKEW_MS_MAX then return { 'skew', now } end

local n = tonumber(ARGV[8])
local sale = {
  epoch = now, seq = 0, now = now, status = 'open', run = server_run(), safe = ARGV[10], n = n,
  opens = tonumber(ARGV[5]), closes = tonumber(ARGV[6]), touched = {},
  available = {}, held = {}, confirmed = {}, adjusted = {},
}
local i = 0
for stock in string.gmatch(ARGV[9], '=(%d+)') do
  sale.available[i], sale.held[i], sale.confirmed[i], sale.adjusted[i] = 0, 0, 0, 0
  add(sale, 'available', i, tonumber(stock))
  add(sale, 'held', i, 0)
  add(sale, 'confirmed', i, 0)
  add(sale, 'adjusted', i, 0)
  i = i + 1
end
feed_row(sale, 'open', 1, 'items', ARGV[9], 'limit', ARGV[3], 'hold', ARGV[4], 'opens', ARGV[5],
  'closes', ARGV[6], 'command', ARGV[7])
redis.call('HSET', META, 'epoch', sale.epoch, 'limit', ARGV[3], 'hold', ARGV[4], 'opens', ARGV[5],
  'closes', ARGV[6], 'n', n, 'items', ARGV[9])
save(sale)
return { 'ok', view_of(sale) }
