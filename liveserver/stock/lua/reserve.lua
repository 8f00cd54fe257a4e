#!lua
-- Many orders in one step; the batch means what its orders mean one by one. Mirrors ModelSale.reserve.
-- KEYS  as parts/keys.lua
-- ARGV  1..6 as parts/fences.lua, then the user of each order, then of each 'command lines' (lines as in FEED.md)
-- Answers  {'ok', view, due, answers, expired, lined} or a refusal of parts/fences.lua
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
local limit, available, held = sale.limit, sale.available, sale.held
local has_line = sale.waitlist > 0

local n = (#ARGV - 6) / 2
local answers = {}
local stored = redis.call('HMGET', BUYERS, unpack(ARGV, 7, 6 + n))

local function enough_for(lines)
  for l = 1, #lines do
    local item, units = lines[l][1], lines[l][2]
    if available[item] < units or (has_line and waiting(sale, item) > 0) then return false end
  end
  return true
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
  local lines = lines_of(packed)
  local asked = lines.sum
  if (limit > 0 and used + asked > limit) or place >= sale.base + BUYER_RECORDS_MAX then return LIMIT_REACHED end
  local item = not has_line and lines.item
  if item then
    local left = available[item]
    if left < asked then return SOLD_OUT end
    available[item], held[item] = left - asked, held[item] + asked
  elseif enough_for(lines) then
    for l = 1, #lines do
      local i, units = lines[l][1], lines[l][2]
      available[i], held[i] = available[i] - units, held[i] + units
    end
  else
    return has_line and asked == 1 and wait(sale, user, place, value, packed, lines.item, used) or SOLD_OUT
  end
  if value then
    keep(user, (used + asked) .. sub(value, find(value, ';', 1, true), -1) .. packed .. ending)
    take(false, user .. ' ' .. place .. ' ' .. packed)
  else
    keep(user, lines.first .. packed .. ending)
    take(false, user .. ' 0 ' .. packed)
  end
  return RESERVED + place
end

-- The answer to a command id that took effect before; nil to any other.
local function asked_before(user, value, packed)
  local known = find(value, ';' .. match(packed, '^%S+') .. ' ', 1, true)
  if not known then return nil end
  if sub(value, known + 1, known + #packed + 1) ~= packed .. ' ' then return CONFLICT end
  local _, place = gsub(sub(value, 1, known - 1), ';', ';')
  local record = record_at(value, place)
  return NEXT.serve[record.state] and waits_as(user, place, record, 0) or told(user, place, record)
end

local plain = not not_open and not has_line and sale.base == 0
for k = 1, n do
  local user, packed = ARGV[6 + k], ARGV[6 + n + k]
  local at = at_of[user]
  local value = at and changed[at] or stored[k]
  local lines = plain and not value and lines_of(packed)
  if lines and lines.item then -- nearly all of a rush: `purchase`, for a buyer's first order, of one line
    local item, asked = lines.item, lines.sum
    local left = available[item]
    if limit > 0 and asked > limit then
      answers[k] = LIMIT_REACHED
    elseif left < asked then
      answers[k] = SOLD_OUT
    else
      available[item], held[item] = left - asked, held[item] + asked
      changed[last + 1], changed[last + 2] = user, lines.first .. packed .. ending
      last = last + 2
      at_of[user], run.n = last, run.n + 1
      run.rows[run.n] = user .. ' 0 ' .. packed
      answers[k] = RESERVED
    end
  else
    answers[k] = value and asked_before(user, value, packed) or not_open or purchase(user, value, packed)
  end
end

if last > 0 then write(sale, due) end
return { 'ok', view_of(sale), due, answers, expired, sale.lined }
