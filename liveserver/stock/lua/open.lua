#!lua
-- Opens a sale. Mirrors ModelSale.__init__ and ModelLedger.open.
-- KEYS  as parts/keys.lua
-- ARGV  1 now, as the caller's clock says   2 the last ms at which this call may still act
--       3 limit per user   4 hold ms   5 opens ms   6 closes ms   7 command id   8 number of items
--       9 items, 'id=stock id=stock'   10 '1' if in this run of the server every write is on disk, else '0'
--       11 places in line   12 spread ms   13 when it ships, ms; 0: at once
-- Answers  {'ok', view}          opened, or opened before with an equal specification
--          {'sale_conflict'}     opened before with another, or rows or buyers are there without their sale
--          {'late', now} {'skew', now}
-- O(items). `about` is long enough that the hash is kept as a table, which costs less to read and write.
-- The epoch is the time of opening, so that a sale opened anew under an old id is newer.

local known = load()
if known then
  local got = redis.call('HMGET', META, 'limit', 'hold', 'opens', 'closes', 'items', 'waitlist',
    'spread', 'ships')
  if got[1] == ARGV[3] and got[2] == ARGV[4] and got[3] == ARGV[5] and got[4] == ARGV[6] and got[5] == ARGV[9]
    and got[6] == ARGV[11] and (got[7] or '0') == ARGV[12] and (got[8] or '0') == ARGV[13] then
    return { 'ok', view_of(known) }
  end
  return { 'sale_conflict' }
end

-- Something of this sale was lost: nobody sells on top of what is left.
if redis.call('EXISTS', BUYERS, FEED, DUE, ADJUSTS, LINE) > 0 then return { 'sale_conflict' } end

local now = clock(0, redis.call('HGET', META, 'pinned_ms'))
if now > tonumber(ARGV[2]) then return { 'late', now } end
if math.abs(now - tonumber(ARGV[1])) > SKEW_MS_MAX then return { 'skew', now } end

local static = { unpack(ARGV, 3, 9) }
for k = 11, 13 do static[k - 3] = ARGV[k] end
return { 'ok', view_of(create(now, now, static, ARGV[10])) }
