-- The holds of each call, by when they are due: one member a call, named by its row.
-- Needs limits, keys.

-- A call's holds, by its row, to be swept when they are due.
local function add_due(sale, due, seq)
  redis.call('ZADD', DUE, due, sale.epoch .. '-' .. string.format('%012d', seq))
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
