-- The sale as a table: read once a call, changed with its feed, written back. ModelSale, and its view.
-- A script changes `sale` by `add` or by a field, says so by `feed_row` and ends the step by `save`.
-- Needs keys.

local FIELD = { available = 'a', held = 'h', confirmed = 'c', adjusted = 'd' }

-- Redis time, never back within a sale; a test may pin it (FEED.md).
local function clock(last, pinned)
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  if pinned then now = tonumber(pinned) end
  return math.max(now, tonumber(last or 0))
end

local function server_run()
  local info = redis.call('INFO', 'server')
  local _, before = string.find(info, 'run_id:', 1, true)
  return string.sub(info, before + 1, before + 40)
end

-- The sale as it stands: numbers, and per counter a table by item number. nil: no such sale.
local function load()
  local got = redis.call('HMGET', META, 'epoch', 'seq', 'now', 'status', 'limit', 'hold', 'opens', 'closes',
    'n', 'run', 'pinned_ms', 'safe', 'frozen', 'waitlist', 'format', 'rebuilding', 'base')
  if not got[1] then return nil end
  local sale = {
    epoch = tonumber(got[1]), seq = tonumber(got[2]), now = clock(got[3], got[11]), status = got[4],
    limit = tonumber(got[5]), hold = tonumber(got[6]), opens = tonumber(got[7]), closes = tonumber(got[8]),
    n = tonumber(got[9]), run = got[10], safe = got[12], frozen = got[13] == '1', touched = {},
    format = tonumber(got[15] or 1), waitlist = tonumber(got[14] or 0), waiting = {}, lined = {}, line_more = false,
    rebuilding = got[16] == '1', base = tonumber(got[17] or 0),
    available = {}, held = {}, confirmed = {}, adjusted = {},
  }
  local fields = {}
  for i = 0, sale.n - 1 do
    local at = 4 * i
    fields[at + 1], fields[at + 2], fields[at + 3], fields[at + 4] = 'a' .. i, 'h' .. i, 'c' .. i, 'd' .. i
  end
  local units = redis.call('HMGET', META, unpack(fields))
  for i = 0, sale.n - 1 do
    local at = 4 * i
    sale.available[i], sale.held[i] = tonumber(units[at + 1]), tonumber(units[at + 2])
    sale.confirmed[i], sale.adjusted[i] = tonumber(units[at + 3]), tonumber(units[at + 4])
  end
  return sale
end

-- ModelSale.status_at
local function status_of(sale)
  if (sale.status == 'open' or sale.status == 'paused') and sale.now < sale.opens then return 'scheduled' end
  return sale.status
end

-- now, epoch, seq, status, then a h c d of every item
local function view_of(sale)
  local view = { sale.now, sale.epoch, sale.seq, status_of(sale) }
  for i = 0, sale.n - 1 do
    local at = 4 + 4 * i
    view[at + 1], view[at + 2] = sale.available[i], sale.held[i]
    view[at + 3], view[at + 4] = sale.confirmed[i], sale.adjusted[i]
  end
  return view
end

-- The first write of every step. Raises seq by `changes`.
local function feed_row(sale, kind, changes, ...)
  local first = sale.seq + 1
  sale.seq = sale.seq + changes
  redis.call('XADD', FEED, sale.epoch .. '-' .. sale.seq, 'kind', kind, 'first', first, 'at', sale.now, ...)
end

local function add(sale, counter, item, units)
  sale[counter][item] = sale[counter][item] + units
  sale.touched[FIELD[counter] .. item] = sale[counter][item]
end

local function save(sale)
  local fields = { 'seq', sale.seq, 'now', sale.now, 'status', sale.status, 'run', sale.run,
    'safe', sale.safe }
  local n = #fields
  for field, value in pairs(sale.touched) do
    fields[n + 1], fields[n + 2] = field, value
    n = n + 2
  end
  redis.call('HSET', META, unpack(fields))
  sale.touched = {}
end
