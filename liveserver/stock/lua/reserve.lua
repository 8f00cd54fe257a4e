#!lua
-- Many orders in one step; the batch means what its orders mean one by one. Mirrors ModelSale.reserve.
-- KEYS  as common.lua
-- ARGV  1..6 as common.lua, then two per order: user, 'command lines' (lines as in FEED.md)
-- Answers  {'ok', view, due, answers, expired, lined} or a refusal of common.lua
--   due      ms: of every hold granted by this call
--   answers  one per order: an integer, 1 sold_out, 2 limit_reached, 3 not_started, 4 paused, 5 frozen,
--            6 closed, 7 conflict, 16 + place: reserved now; or, for a command id granted before, that
--            reservation as it now is, as `told`; of one who waits, new or known: {told, how many stand
--            before him, 1 if it is new}
--   expired, lined  what was found due on the way; who was served in line then, or skipped; as `told`
-- Each order granted or put in line is one seq, in order; the last is the view's.
-- O(orders + items), with one HMGET, XADD, two HSET and one ZADD for all of them (where some are granted
-- and some wait: an XADD for each run of them); a buyer's earlier records add their length.

local sale, refusal = begin()
if refusal then return refusal end
local expired = sweep(sale)

local CODE = { scheduled = 3, paused = 4, frozen = 5, closed = 6 }
local SOLD_OUT, LIMIT_REACHED, CONFLICT, RESERVED = 1, 2, 7, 16
local not_open = CODE[status_of(sale)]
local due = sale.now + sale.hold
local ending = ' h' .. due .. ';'
local find, match, sub, gsub = string.find, string.match, string.sub, string.gsub
local limit, available, held = sale.limit, sale.available, sale.held
local has_line = sale.waitlist > 0

local users, n = {}, 0
for k = 7, #ARGV, 2 do
  n = n + 1
  users[n] = ARGV[k]
end
local stored = redis.call('HMGET', BUYERS, unpack(users))
local values = {} -- buyers changed by this very call
local runs, answers = {}, {} -- a run: orders granted in a row, or put in line in a row
local moved = {} -- item numbers whose counters this call changes; they are written down once, at the end
local in_line, ahead_of -- ahead_of: of those put in line by this very call

-- The lines behind 'command ' as { item, units }, and their sum; the orders of a call want much the same.
local parsed = {}
local function lines_of(packed)
  local text = sub(packed, find(packed, ' ', 1, true) + 1)
  local lines = parsed[text]
  if not lines then
    lines = { sum = 0 }
    each_line(text, function(item, units)
      lines[#lines + 1], lines.sum = { item, units }, lines.sum + units
    end)
    lines.first = lines.sum .. ';' -- how the value of a new buyer begins
    parsed[text] = lines
  end
  return lines
end

local function take(waits, row)
  local run = runs[#runs]
  if not run or run.waits ~= waits then
    run = { waits = waits, items = {} }
    runs[#runs + 1] = run
  end
  run[#run + 1] = row
  return run
end

-- ModelSale._told, of one who waits.
local function waits_as(user, place, record, new)
  local named = user .. ' ' .. place
  local ahead = ahead_of and ahead_of[named]
  if not ahead then
    local score = tonumber(redis.call('ZSCORE', LINE, named))
    ahead = redis.call('ZCOUNT', LINE, score - score % SPAN, score) - 1
  end
  return { told(user, place, record), ahead, new }
end

-- ModelSale._may_wait, and it takes its place.
local function wait(user, value, packed, item, used, place)
  in_line = in_line or redis.call('ZCARD', LINE)
  local _, places = gsub(value or '', ' w0;', '')
  if in_line >= sale.waitlist or (limit > 0 and used + 1 + places > limit) then return SOLD_OUT end
  ahead_of = ahead_of or {}
  ahead_of[user .. ' ' .. place] = waiting(sale, item)
  in_line, sale.waiting[item] = in_line + 1, sale.waiting[item] + 1
  values[user] = used .. (value and sub(value, find(value, ';', 1, true), -1) or ';') .. packed .. ' w0;'
  local run = take(true, user .. ' ' .. place .. ' ' .. packed)
  run.items[#run] = item
  return waits_as(user, place, record_at(values[user], place), 1)
end

-- An order never seen before, of an open sale.
local function purchase(user, value, packed)
  local used, place = 0, 0
  if value then
    used = tonumber(match(value, '^%d+'))
    local _, separators = gsub(value, ';', ';')
    place = separators - 1
  end
  if place < sale.base then -- places below it were told in an epoch that was lost
    value, place = (value or '0;') .. string.rep(';', sale.base - place), sale.base
  end
  local lines, enough = lines_of(packed), true
  for l = 1, #lines do
    local item, units = lines[l][1], lines[l][2]
    if available[item] < units or (has_line and waiting(sale, item) > 0) then enough = false end
  end
  if (limit > 0 and used + lines.sum > limit) or place >= sale.base + BUYER_RECORDS_MAX then return LIMIT_REACHED end
  if not enough then
    if has_line and lines.sum == 1 then return wait(user, value, packed, lines[1][1], used, place) end
    return SOLD_OUT
  end
  for l = 1, #lines do
    local item, units = lines[l][1], lines[l][2]
    available[item], held[item], moved[item] = available[item] - units, held[item] + units, true
  end
  if value then
    values[user] = (used + lines.sum) .. sub(value, find(value, ';', 1, true), -1) .. packed .. ending
    take(false, user .. ' ' .. place .. ' ' .. packed)
  else
    values[user] = lines.first .. packed .. ending
    take(false, user .. ' 0 ' .. packed)
  end
  return RESERVED + place
end

for k = 1, n do
  local user, packed = users[k], ARGV[6 + 2 * k]
  local value = values[user] or stored[k]
  local known = value and find(value, ';' .. match(packed, '^%S+') .. ' ', 1, true)
  if known then
    if sub(value, known + 1, known + #packed + 1) == packed .. ' ' then
      local _, place = gsub(sub(value, 1, known - 1), ';', ';')
      local record = record_at(value, place)
      answers[k] = NEXT.serve[record.state] and waits_as(user, place, record, 0) or told(user, place, record)
    else
      answers[k] = CONFLICT
    end
  else
    answers[k] = not_open or purchase(user, value, packed)
  end
end

if #runs > 0 then
  for _, run in ipairs(runs) do
    if run.waits then
      feed_row(sale, 'wait', #run, 'orders', table.concat(run, '\n'))
    else
      feed_row(sale, 'reserve', #run, 'due', due, 'orders', table.concat(run, '\n'))
    end
    run.last = sale.seq
  end
  local changed, at = {}, 0
  for user, value in pairs(values) do
    changed[at + 1], changed[at + 2] = user, value
    at = at + 2
  end
  redis.call('HSET', BUYERS, unpack(changed))
  for item in pairs(moved) do
    sale.touched['a' .. item], sale.touched['h' .. item] = available[item], held[item]
  end
  save(sale)
  for _, run in ipairs(runs) do
    if not run.waits then add_due(sale, due, run.last) end
    for k, item in pairs(run.items) do
      redis.call('ZADD', LINE, item * SPAN + run.last - #run + k, match(run[k], '^%S+ %d+'))
    end
  end
end
return { 'ok', view_of(sale), due, answers, expired, sale.lined }
