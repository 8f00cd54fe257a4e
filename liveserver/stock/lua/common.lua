-- Shared by the scripts of a sale. The ledger puts before each of them, in this order: the constants of
-- limits.py (BUYER_RECORDS_MAX, ADJUSTS_MAX, SERVED_MAX, SWEEP_ORDERS, OPENED_FORMAT, FORMAT, SKEW_MS_MAX), the table of
-- transitions.py (NEXT, COUNTED), and this file. The keys and the feed's rows are described in FEED.md.
--
-- The scripts that write take
--   KEYS  1 {sale:ID}:meta  2 {sale:ID}:buyers  3 {sale:ID}:feed  4 {sale:ID}:due  5 {sale:ID}:adjusts
--         6 {sale:ID}:line
--   ARGV  1 epoch the caller knows     2 highest seq it has seen in it
--         3 run id of the server it reckons with     4 '1' if in that run every write is on disk, else '0'
--         5 now, as its clock says     6 the last ms at which this call may still act
--         7… the script's own
-- and answer, beside their own, one of these, all of which mean that nothing else was done:
--   {'unknown'}             no such sale
--   {'format'}              a newer version opened the sale, and keeps what this one doesn't know of
--   {'rebuilding'}          a rebuild is going on, and nothing else does
--   {'newer'}               the sale is of a newer epoch: look again
--   {'restarted', run}      the server runs under another run id: read its facts again
--   {'late', now}           the call came after its last ms
--   {'skew', now}           caller's clock and ours are too far apart to sell or expire anything
--   {'behind', epoch, seq}  less is here than the caller has seen; the sale is frozen now
--
-- Integers stay below 1e14, so Lua's own number to string is exact. Every loop is over a bounded list: the
-- orders of one call (at most 128), the items of a sale (32), the records of a buyer (64), one sweep.

local META, BUYERS, FEED, DUE, ADJUSTS, LINE = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local SPAN = 1099511627776 -- 2^40, above every seq: who waits for item i has a score from i * SPAN
local HELD, AVAILABLE = 'held', 'available'
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

-- ModelSale.close
local function close(sale, actor, command)
  if sale.status == 'closed' then return end
  feed_row(sale, 'close', 1, 'actor', actor, 'command', command)
  sale.status = 'closed'
  save(sale)
end

-- ModelSale.freeze. Answers whether it was not frozen before.
local function freeze(sale, reason, seen, actor, command)
  if sale.frozen then return false end
  feed_row(sale, 'freeze', 1, 'reason', reason, 'seen', seen, 'actor', actor, 'command', command)
  sale.frozen, sale.touched.frozen = true, '1'
  if sale.status ~= 'closed' then sale.status = 'frozen' end
  save(sale)
  return true
end

-- ModelSale._asked_before, of an adjust, a pause or a resume. Nil: it is new; else what to answer.
local function asked_before(sale, command, asked)
  local known = redis.call('HGET', ADJUSTS, command)
  if known == asked then return { 'ok', view_of(sale), {} } end
  if known then return { 'sale_conflict' } end
  if sale.status == 'closed' then return { 'closed' } end
  if redis.call('HLEN', ADJUSTS) >= ADJUSTS_MAX then return { 'too_many_adjusts' } end
  return nil
end

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

-- Loads the sale, holds the caller's fences against it, and writes down that the clock has closed it.
-- Second result: the refusal to answer.
local function begin()
  local sale = load()
  if not sale then return nil, { 'unknown' } end
  local epoch, seen = tonumber(ARGV[1]), tonumber(ARGV[2])
  if sale.format > FORMAT then return nil, { 'format' } end
  if sale.rebuilding then return nil, { 'rebuilding' } end
  if sale.epoch > epoch then return nil, { 'newer' } end
  local run = server_run()
  if run ~= ARGV[3] then return nil, { 'restarted', run } end
  if sale.now > tonumber(ARGV[6]) then return nil, { 'late', sale.now } end
  if math.abs(sale.now - tonumber(ARGV[5])) > SKEW_MS_MAX then return nil, { 'skew', sale.now } end
  if sale.epoch < epoch or sale.seq < seen then
    freeze(sale, 'behind', ARGV[1] .. '-' .. ARGV[2], '', '')
    return nil, { 'behind', sale.epoch, sale.seq }
  end
  local survived = run == sale.run or sale.safe == '1' -- what counts is how safe the run was that wrote last
  local known = run == sale.run and sale.safe == ARGV[4]
  sale.run, sale.safe = run, ARGV[4]
  if not survived then freeze(sale, 'restarted', '', '', '') end
  -- Also where nothing else is written: a run whose fsync was changed must not pass for what it was.
  if not known then redis.call('HSET', META, 'run', run, 'safe', sale.safe) end
  if sale.now >= sale.closes then close(sale, '', '') end
  return sale
end

-- Calls f(item, units) for each line of 'item=units,item=units'.
local function each_line(lines, f)
  for item, units in string.gmatch(lines, '(%d+)=(%d+)') do f(tonumber(item), tonumber(units)) end
end

-- Where record `place` of a buyer's value begins, and the ';' behind it; or nil.
local function slot_at(value, place)
  local from = string.find(value, ';', 1, true) + 1
  for _ = 1, place do
    local to = string.find(value, ';', from, true)
    if not to then return nil end
    from = to + 1
  end
  local to = string.find(value, ';', from, true)
  return to and from, to
end

-- That record; nil if there is none, or nothing is known of it.
local function record_at(value, place)
  local from, to = slot_at(value, place)
  if not from or from == to then return nil end
  local command, lines, state, due = string.match(string.sub(value, from, to - 1), '^(%S+) (%S+) (%a)(%d+)$')
  return { from = from, to = to, command = command, lines = lines, state = state, due = tonumber(due) }
end

-- ModelSale._end: moves the record's units and answers the buyer's new value. `keep`: what is freed still
-- counts against the buyer's limit. `due`: a new one.
local function end_record(sale, value, record, ending, keep, due)
  local before, after = record.state, NEXT[ending][record.state]
  local source, target = COUNTED[before] or AVAILABLE, COUNTED[after] or AVAILABLE
  local used = tonumber(string.match(value, '^%d+'))
  each_line(record.lines, function(item, units)
    add(sale, source, item, -units)
    add(sale, target, item, units)
    if COUNTED[before] and not COUNTED[after] and not keep then used = used - units end
    if COUNTED[after] and not COUNTED[before] then used = used + units end
  end)
  record.state, record.due = after, due or record.due
  return used .. string.sub(value, string.find(value, ';', 1, true), record.from - 1)
    .. record.command .. ' ' .. record.lines .. ' ' .. after .. record.due .. string.sub(value, record.to)
end

-- 'user place command lines <state><due>', as every script that names a reservation answers it
local function told(user, place, record)
  return user .. ' ' .. place .. ' ' .. record.command .. ' ' .. record.lines .. ' ' .. record.state .. record.due
end

-- How many wait for an item. O(log n), once a call.
local function waiting(sale, item)
  if sale.waitlist == 0 then return 0 end
  if not sale.waiting[item] then
    sale.waiting[item] = redis.call('ZCOUNT', LINE, item * SPAN, (item + 1) * SPAN - 1)
  end
  return sale.waiting[item]
end

-- A call's holds, by its row, to be swept when they are due.
local function add_due(sale, due, seq)
  redis.call('ZADD', DUE, due, sale.epoch .. '-' .. string.format('%012d', seq))
end

-- ModelSale.serve: what is free goes to the heads of the lines, with their own time to pay; a head over its
-- limit is skipped. A step of its own, the last of every script that frees units. `sale.lined` gets both, as
-- `told`; `sale.line_more` says that SERVED_MAX heads ended it. O(SERVED_MAX * log n).
local function serve_line(sale)
  sale.line_more = false
  if sale.waitlist == 0 or status_of(sale) ~= 'open' then return end
  local due, left, known = sale.now + sale.hold, SERVED_MAX, {}
  local gone, served, skipped = {}, {}, {}
  for item = 0, sale.n - 1 do
    if left > 0 and sale.available[item] > 0 and waiting(sale, item) > 0 then
      local heads = redis.call('ZRANGE', LINE, item * SPAN, (item + 1) * SPAN - 1, 'BYSCORE', 'LIMIT', 0, left)
      local users, places = {}, {}
      for k = 1, #heads do
        local user, place = string.match(heads[k], '^(%S+) (%d+)$')
        users[k], places[k] = user, tonumber(place)
      end
      local values = redis.call('HMGET', BUYERS, unpack(users))
      for k = 1, #heads do
        if sale.available[item] == 0 then break end
        left = left - 1
        local user = users[k]
        local value = known[user] or values[k]
        local record = record_at(value, places[k])
        if sale.limit > 0 and tonumber(string.match(value, '^%d+')) + 1 > sale.limit then
          known[user] = end_record(sale, value, record, 'skip')
          skipped[#skipped + 1] = heads[k]
        else
          known[user] = end_record(sale, value, record, 'serve', false, due)
          served[#served + 1] = heads[k]
        end
        gone[#gone + 1] = heads[k]
        sale.lined[#sale.lined + 1] = told(user, places[k], record)
        sale.waiting[item] = sale.waiting[item] - 1
      end
    end
  end
  sale.line_more = left == 0
  if #gone == 0 then return end
  if #skipped > 0 then feed_row(sale, 'skip', #skipped, 'reservations', table.concat(skipped, '\n')) end
  if #served > 0 then
    feed_row(sale, 'serve', #served, 'due', due, 'reservations', table.concat(served, '\n'))
    add_due(sale, due, sale.seq)
  end
  local changed, n = {}, 0
  for user, value in pairs(known) do
    changed[n + 1], changed[n + 2] = user, value
    n = n + 2
  end
  redis.call('HSET', BUYERS, unpack(changed))
  save(sale)
  redis.call('ZREM', LINE, unpack(gone))
end

-- Who was granted what by these calls (members of `due`), until they granted SWEEP_ORDERS orders: users,
-- places, and how many of the calls were read.
local function granted_by(calls)
  local users, places, read = {}, {}, 0
  for k = 1, #calls do
    if #users >= SWEEP_ORDERS then break end
    local epoch, seq = string.match(calls[k], '^(%d+)%-0*(%d+)$')
    local id = epoch .. '-' .. seq
    local entry = redis.call('XRANGE', FEED, id, id)[1]
    read = k
    for f = 1, #entry[2], 2 do
      if entry[2][f] == 'orders' then
        for user, place in string.gmatch(entry[2][f + 1], '([^ \n]+) (%d+) [^\n]+') do
          users[#users + 1], places[#places + 1] = user, tonumber(place)
        end
      elseif entry[2][f] == 'reservations' then
        for user, place in string.gmatch(entry[2][f + 1], '([^ \n]+) (%d+)') do
          users[#users + 1], places[#places + 1] = user, tonumber(place)
        end
      end
    end
  end
  return users, places, read
end

-- ModelSale.sweep: expires what is due: whole calls, oldest first, until they held SWEEP_ORDERS orders.
-- A step of its own, whole before anything after it. Answers what expired, as `told`, and whether more is due.
-- O(log n + r), r the orders of the calls swept (below SWEEP_ORDERS + 128).
local function sweep(sale)
  local due = redis.call('ZRANGE', DUE, '-inf', sale.now, 'BYSCORE', 'LIMIT', 0, SWEEP_ORDERS + 1)
  if #due == 0 then
    serve_line(sale)
    return {}, sale.line_more and 1 or 0
  end
  local users, places, swept = granted_by(due)
  local values, known, rows, expired, changed = redis.call('HMGET', BUYERS, unpack(users)), {}, {}, {}, {}
  for k = 1, #users do
    local user = users[k]
    local value = known[user] or values[k]
    local record = record_at(value, places[k])
    if NEXT.expire[record.state] then
      value = end_record(sale, value, record, 'expire')
      rows[#rows + 1] = user .. ' ' .. places[k]
      expired[#expired + 1] = told(user, places[k], record)
      changed[#changed + 1], changed[#changed + 2] = user, value
    end
    known[user] = value
  end
  if #rows > 0 then
    feed_row(sale, 'expire', #rows, 'reservations', table.concat(rows, '\n'))
    redis.call('HSET', BUYERS, unpack(changed))
    save(sale)
  end
  redis.call('ZREM', DUE, unpack(due, 1, swept))
  serve_line(sale)
  return expired, (#due > swept or sale.line_more) and 1 or 0
end

-- ModelSale._payment: which end a payment is.
local function payment(sale, value, record)
  if not NEXT.confirm_late[record.state] then return 'confirm' end
  local asked, enough = 0, sale.status == 'open' or sale.status == 'paused'
  each_line(record.lines, function(item, units)
    asked = asked + units
    if sale.available[item] < units or waiting(sale, item) > 0 then enough = false end
  end)
  if sale.limit > 0 and tonumber(string.match(value, '^%d+')) + asked > sale.limit then enough = false end
  return enough and 'confirm_late' or 'refund_due'
end

-- ModelSale.finish: the whole of confirm.lua, release.lua and return.lua. `limit`: 'back' or 'kept', of a return.
local function finish(ending, limit)
  local sale, refusal = begin()
  if refusal then return refusal end
  local user, place, command = ARGV[7], tonumber(ARGV[8]), ARGV[9]
  local named = user .. ' ' .. place
  local value = redis.call('HGET', BUYERS, user)
  local record = value and record_at(value, place)
  if not record then return { 'no_reservation' } end
  local overdue = COUNTED[record.state] == HELD and record.due <= sale.now
  local expired, changed = {}, 0
  if ending == 'confirm' and (overdue or NEXT.confirm_late[record.state]) then
    expired = sweep(sale)
    value = redis.call('HGET', BUYERS, user)
    record = record_at(value, place)
  end
  if overdue and COUNTED[record.state] == HELD then
    value = end_record(sale, value, record, 'expire')
    feed_row(sale, 'expire', 1, 'reservations', named)
    expired[#expired + 1] = told(user, place, record)
    redis.call('HSET', BUYERS, user, value)
    save(sale)
    serve_line(sale)
    value = redis.call('HGET', BUYERS, user)
    record = record_at(value, place)
  end
  if ending == 'confirm' then ending = payment(sale, value, record) end
  if NEXT[ending][record.state] then
    if ending == 'confirm' and sale.frozen then return { 'frozen' } end
    local waited = NEXT.serve[record.state]
    value = end_record(sale, value, record, ending, limit == 'kept')
    if limit then
      feed_row(sale, ending, 1, 'reservation', named, 'command', command, 'limit', limit)
    else
      feed_row(sale, ending, 1, 'reservation', named, 'command', command)
    end
    redis.call('HSET', BUYERS, user, value)
    save(sale)
    changed = 1
    if waited then redis.call('ZREM', LINE, named) end
    serve_line(sale)
  end
  return { 'ok', view_of(sale), told(user, place, record), changed, expired, sale.lined }
end
