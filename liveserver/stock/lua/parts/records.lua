-- A buyer's value, 'units;record;record;…' (FEED.md): a record is found in it, read, and ended.
-- Needs keys, sale, transitions.

-- Calls f(item, units) for each line of 'item=units,item=units'.
local function each_line(lines, f)
  for item, units in string.gmatch(lines, '(%d+)=(%d+)') do f(tonumber(item), tonumber(units)) end
end

-- Where record `place` of a buyer's value begins, and the ';' behind it; or nil.
local function slot_at(value, place)
  local from = string.find(value, ';', 1, true) + 1
  for _ = 1, place do
    local to = string.find(value, ';', from, true)
    if not to then return nil end
    from = to + 1
  end
  local to = string.find(value, ';', from, true)
  return to and from, to
end

-- That record; nil if there is none, or nothing is known of it.
local function record_at(value, place)
  local from, to = slot_at(value, place)
  if not from or from == to then return nil end
  local command, lines, state, due = string.match(string.sub(value, from, to - 1), '^(%S+) (%S+) (%a)(%d+)$')
  return { from = from, to = to, command = command, lines = lines, state = state, due = tonumber(due) }
end

-- ModelSale._end: moves the record's units and answers the buyer's new value. `keep`: what is freed still
-- counts against the buyer's limit. `due`: a new one.
local function end_record(sale, value, record, ending, keep, due)
  local before, after = record.state, NEXT[ending][record.state]
  local source, target = COUNTED[before] or AVAILABLE, COUNTED[after] or AVAILABLE
  local used = tonumber(string.match(value, '^%d+'))
  each_line(record.lines, function(item, units)
    add(sale, source, item, -units)
    add(sale, target, item, units)
    if COUNTED[before] and not COUNTED[after] and not keep then used = used - units end
    if COUNTED[after] and not COUNTED[before] then used = used + units end
  end)
  record.state, record.due = after, due or record.due
  return used .. string.sub(value, string.find(value, ';', 1, true), record.from - 1)
    .. record.command .. ' ' .. record.lines .. ' ' .. after .. record.due .. string.sub(value, record.to)
end

-- 'user place command lines <state><due>', as every script that names a reservation answers it
local function told(user, place, record)
  return user .. ' ' .. place .. ' ' .. record.command .. ' ' .. record.lines .. ' ' .. record.state .. record.due
end
