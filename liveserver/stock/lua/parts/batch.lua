-- What the orders of one call come to, gathered: the new values of their buyers, and the rows of the feed.
-- Orders granted one after another are one row, and so are those put in line; `write` does it all at once.
-- reserve.lua itself adds to `changed` and `run` where most orders pass: a call of a function costs.
-- Needs keys, sale, due, orders.

local changed, last, at_of = {}, 0, {} -- users and their new values, as HSET takes them; where each value stands
local run = { waits = false, n = 0, rows = {}, items = {} } -- orders granted in a row, or put in line in a row
local runs = { run }

local function keep(user, value)
  local at = at_of[user]
  if not at then
    changed[last + 1], last = user, last + 2
    at, at_of[user] = last, last
  end
  changed[at] = value
end

local function take(waits, row)
  if run.waits ~= waits then
    if run.n > 0 then
      run = { n = 0, rows = {}, items = {} }
      runs[#runs + 1] = run
    end
    run.waits = waits
  end
  run.n = run.n + 1
  run.rows[run.n] = row
end

-- The feed first, one seq an order, in their order; then buyers, counters, what is due, and the line.
local function write(sale, due)
  for _, run in ipairs(runs) do
    local rows = table.concat(run.rows, '\n')
    if run.waits then
      feed_row(sale, 'wait', run.n, 'orders', rows)
    else
      feed_row(sale, 'reserve', run.n, 'due', due, 'orders', rows)
    end
    run.last = sale.seq
  end
  redis.call('HSET', BUYERS, unpack(changed))
  for _, lines in pairs(parsed) do
    for l = 1, #lines do
      local item = lines[l][1]
      sale.touched['a' .. item], sale.touched['h' .. item] = sale.available[item], sale.held[item]
    end
  end
  save(sale)
  for _, run in ipairs(runs) do
    if not run.waits then add_due(sale, due, run.last) end
    for k, item in pairs(run.items) do
      redis.call('ZADD', LINE, item * SPAN + run.last - run.n + k, match(run.rows[k], '^%S+ %d+'))
    end
  end
end
