#!lua
-- Reservations are put back by a rebuild: one row of the feed, and what follows from it.
-- Mirrors Fold.take of its rows.
-- KEYS  as parts/keys.lua
-- ARGV  1 epoch and 2 seq at which the rebuild stands   3 '1' if every write is on disk, else '0'
--       4 'recover' (the feed hadn't them) or 'correct' (it had them, in another state)
--       5 due ms of those held, '0' if none is   6 'back' or 'kept', as in a `return` row
--       7… four per reservation: user, place, 'command lines', '<state><due>'
-- Answers  {'ok', epoch, seq}
--          {'moved', epoch, seq}: the rebuild does not stand there; nothing was done
--          {'wrong', 'user place'}: that place is taken, or is another order; nothing was done
--          {'negative', item}: there is not so much of it; nothing was done
-- O(reservations + records of their buyers).

local sale = load()
if not sale or not sale.rebuilding or sale.epoch ~= tonumber(ARGV[1]) or sale.seq ~= tonumber(ARGV[2]) then
  return { 'moved', sale and sale.epoch or 0, sale and sale.seq or 0 }
end
sale.run, sale.safe = server_run(), ARGV[3]
local kind, due, kept = ARGV[4], tonumber(ARGV[5]), ARGV[6] == 'kept'

local users, n = {}, 0
for k = 7, #ARGV, 4 do
  n = n + 1
  users[n] = ARGV[k]
end
local stored, values = redis.call('HMGET', BUYERS, unpack(users)), {}
local rows, joins, leaves = {}, {}, {}

for k = 1, n do
  local user, place, packed, state = ARGV[3 + 4 * k], tonumber(ARGV[4 + 4 * k]), ARGV[5 + 4 * k], ARGV[6 + 4 * k]
  local named = user .. ' ' .. place
  local value = values[user] or stored[k] or '0;'
  local record = record_at(value, place)
  local before, letter = nil, string.sub(state, 1, 1)
  if kind == 'recover' then
    if record then return { 'wrong', named } end
    local _, separators = string.gsub(value, ';', ';')
    value = value .. string.rep(';', place + 2 - separators)
  else
    if not record or record.command .. ' ' .. record.lines ~= packed then return { 'wrong', named } end
    before = record.state
  end
  local source, target = COUNTED[before] or AVAILABLE, COUNTED[letter] or AVAILABLE
  local used = tonumber(string.match(value, '^%d+'))
  each_line(string.match(packed, ' (.+)$'), function(item, units)
    add(sale, source, item, -units)
    add(sale, target, item, units)
    if source == AVAILABLE then used = used + units end
    if target == AVAILABLE and not (kept and letter == 't') then used = used - units end
    if letter == 'w' then joins[#joins + 1], joins[#joins + 2] = item * SPAN + sale.seq + k, named end
  end)
  if before == 'w' and letter ~= 'w' then leaves[#leaves + 1] = named end
  local from, to = slot_at(value, place)
  values[user] = used .. string.sub(value, string.find(value, ';', 1, true), from - 1)
    .. packed .. ' ' .. state .. string.sub(value, to)
  rows[k] = named .. ' ' .. packed .. ' ' .. state
end
for item = 0, sale.n - 1 do
  if sale.available[item] < 0 then return { 'negative', item } end
end

feed_row(sale, kind, n, 'due', due, 'limit', ARGV[6], 'orders', table.concat(rows, '\n'))
local changed, at = {}, 0
for user, value in pairs(values) do
  changed[at + 1], changed[at + 2] = user, value
  at = at + 2
end
redis.call('HSET', BUYERS, unpack(changed))
save(sale)
if due > 0 then add_due(sale, due, sale.seq) end
if #joins > 0 then redis.call('ZADD', LINE, unpack(joins)) end
if #leaves > 0 then redis.call('ZREM', LINE, unpack(leaves)) end
return { 'ok', sale.epoch, sale.seq }
