-- A new place in line: who may take one, and how many stand before him.
-- Needs keys, records, line, orders, batch.

local in_line, ahead_of -- how many wait for anything; ahead_of: of those put in line by this very call

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

-- ModelSale._may_wait, and it takes its place; nil if it may not.
local function wait(sale, user, place, value, packed, item, used)
  in_line = in_line or redis.call('ZCARD', LINE)
  local _, places = gsub(value or '', ' w0;', '')
  if in_line >= sale.waitlist or (sale.limit > 0 and used + 1 + places > sale.limit) then return nil end
  ahead_of = ahead_of or {}
  ahead_of[user .. ' ' .. place] = waiting(sale, item)
  in_line, sale.waiting[item] = in_line + 1, sale.waiting[item] + 1
  value = used .. (value and sub(value, find(value, ';', 1, true), -1) or ';') .. packed .. ' w0;'
  keep(user, value)
  take(true, user .. ' ' .. place .. ' ' .. packed)
  run.items[run.n] = item
  return waits_as(user, place, record_at(value, place), 1)
end
