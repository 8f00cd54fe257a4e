-- What was ordered of the sale itself, by command id: an adjust, a pause, a resume.
-- Needs limits, keys, sale.

-- ModelSale._asked_before. Nil: it is new; else what to answer.
local function asked_before(sale, command, asked)
  local known = redis.call('HGET', ADJUSTS, command)
  if known == asked then return { 'ok', view_of(sale), {} } end
  if known then return { 'sale_conflict' } end
  if sale.status == 'closed' then return { 'closed' } end
  if redis.call('HLEN', ADJUSTS) >= ADJUSTS_MAX then return { 'too_many_adjusts' } end
  return nil
end
