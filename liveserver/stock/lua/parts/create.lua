-- A sale that wasn't there: ModelSale.__init__.
-- Needs limits, keys, sale.

-- A sale as its `open` row says, with nothing sold: that row and the keys. `static`: as open.lua takes it.
local function create(epoch, now, static, safe)
  local limit, hold, opens, closes, command, n, items, waitlist, spread, ships = unpack(static)
  local sale = {
    epoch = epoch, seq = 0, now = now, status = 'open', run = server_run(), safe = safe, n = tonumber(n),
    opens = tonumber(opens), closes = tonumber(closes), touched = {},
    available = {}, held = {}, confirmed = {}, adjusted = {},
  }
  local i = 0
  for stock in string.gmatch(items, '=(%d+)') do
    sale.available[i], sale.held[i], sale.confirmed[i], sale.adjusted[i] = 0, 0, 0, 0
    add(sale, 'available', i, tonumber(stock))
    add(sale, 'held', i, 0)
    add(sale, 'confirmed', i, 0)
    add(sale, 'adjusted', i, 0)
    i = i + 1
  end
  feed_row(sale, 'open', 1, 'items', items, 'limit', limit, 'hold', hold, 'opens', opens, 'closes', closes,
    'command', command, 'waitlist', waitlist, 'spread', spread, 'ships', ships)
  redis.call('HSET', META, 'epoch', sale.epoch, 'limit', limit, 'hold', hold, 'opens', opens, 'closes', closes,
    'n', n, 'items', items, 'waitlist', waitlist, 'spread', spread, 'ships', ships, 'format', OPENED_FORMAT,
    'about', 'a sale of liveserver; its keys and the rows of its feed are described in FEED.md')
  save(sale)
  return sale
end
