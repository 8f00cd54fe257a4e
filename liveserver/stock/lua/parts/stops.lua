-- How a sale stops, each time with a row of the feed, and once only.
-- Needs sale.

-- ModelSale.close
local function close(sale, actor, command)
  if sale.status == 'closed' then return end
  feed_row(sale, 'close', 1, 'actor', actor, 'command', command)
  sale.status = 'closed'
  save(sale)
end

-- ModelSale.freeze. Answers whether it was not frozen before.
local function freeze(sale, reason, seen, actor, command)
  if sale.frozen then return false end
  feed_row(sale, 'freeze', 1, 'reason', reason, 'seen', seen, 'actor', actor, 'command', command)
  sale.frozen, sale.touched.frozen = true, '1'
  if sale.status ~= 'closed' then sale.status = 'frozen' end
  save(sale)
  return true
end
