-- What an order wants, read once for all orders of a call that want the same.
-- Needs records.

local find, match, sub, gsub = string.find, string.match, string.sub, string.gsub

-- What stands behind 'command' in an order: ' 0=1,3=2' as { item, units } each, and their sum.
local parsed, same = {}, nil
local function lines_of(packed)
  if same and find(packed, same.text, same.from, true) then return same end
  local text = sub(packed, find(packed, ' ', 1, true), -1)
  same = parsed[text]
  if not same then
    local lines = { sum = 0, text = text, from = -#text }
    each_line(text, function(item, units)
      lines[#lines + 1], lines.sum = { item, units }, lines.sum + units
    end)
    lines.first = lines.sum .. ';' -- how the value of a new buyer begins
    if #lines == 1 then lines.item = lines[1][1] end
    parsed[text], same = lines, lines
  end
  return same
end
