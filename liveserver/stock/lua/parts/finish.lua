-- The end of one reservation that somebody asked for: paid, given back, returned.
-- Needs keys, sale, fences, transitions, records, line, sweep.

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
