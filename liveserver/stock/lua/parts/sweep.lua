-- Holds past their due end, and what they held goes to the line.
-- Needs limits, keys, sale, transitions, records, due, line.

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
