-- The line of each item: how long it is, and how its heads get what was freed.
-- Needs limits, keys, sale, records, due.

-- How many wait for an item. O(log n), once a call.
local function waiting(sale, item)
  if sale.waitlist == 0 then return 0 end
  if not sale.waiting[item] then
    sale.waiting[item] = redis.call('ZCOUNT', LINE, item * SPAN, (item + 1) * SPAN - 1)
  end
  return sale.waiting[item]
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
