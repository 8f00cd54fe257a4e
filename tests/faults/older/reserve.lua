#!lua
-- Many orders in one step; the batch means what its orders mean one by one. Mirrors ModelSale.reserve.
-- KEYS  as common.lua
-- ARGV  1..6 as common.lua, then two per order: user, 'command lines' (lines as in FEED.md)
-- Answers  {'ok', view, due, answers, expired} or a refusal of common.lua
--   due      ms: of every hold granted by this call
--   answers  one per order: an integer, 1 sold_out, 2 limit_reached, 3 not_started, 4 paused, 5 frozen,
--            6 closed, 7 conflict, 16 + place: reserved now; or, for a command id granted before, that
--            reservation as it now is, as `told`
--   expired  what was found due on the way, as `told`
-- Each order granted is one seq, in order; the last is the view's.
-- O(orders + items), with one HMGET, XADD, two HSET and one ZADD for all of them; a buyer's earlier
-- records add their length.

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

local users, n = {}, 0
for k = 7, #ARGV, 2 do
  n = n + 1
  users[n] = ARGV[k]
end
local stored = redis.call('HMGET', BUYERS, unpack(users))
local values = {} -- buyers changed by this very call
local rows, answers = {}, {}
local moved = {} -- item numbers whose counters this call changes; they are written down once, at the end

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

-- An order never seen before, of an open sale.
local function purchase(user, value, packed)
  local used, place = 0, 0
  if value then
    used = tonumber(match(value, '^%d+'))
    local _, separators = gsub(value, ';', ';')
    place = separators - 1
  end
  local lines, enough = lines_of(packed), true
  for l = 1, #lines do
    if available[lines[l][1]] < lines[l][2] then enough = false end
  end
  if (limit > 0 and used + lines.sum > limit) or place >= BUYER_RECORDS_MAX then return LIMIT_REACHED end
  if not enough then return SOLD_OUT end
  for l = 1, #lines do
    local item, units = lines[l][1], lines[l][2]
    available[item], held[item], moved[item] = available[item] - units, held[item] + units, true
  end
  if value then
    values[user] = (used + lines.sum) .. sub(value, find(value, ';', 1, true), -1) .. packed .. ending
    rows[#rows + 1] = user .. ' ' .. place .. ' ' .. packed
  else
    values[user] = lines.first .. packed .. ending
    rows[#rows + 1] = user .. ' 0 ' .. packed
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
      answers[k] = told(user, place, record_at(value, place))
    else
      answers[k] = CONFLICT
    end
  else
    answers[k] = not_open or purchase(user, value, packed)
  end
end

if #rows > 0 then
  feed_row(sale, 'reserve', #rows, 'due', due, 'orders', table.concat(rows, '\n'))
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
  redis.call('ZADD', DUE, due, sale.epoch .. '-' .. string.format('%012d', sale.seq))
end
return { 'ok', view_of(sale), due, answers, expired }
