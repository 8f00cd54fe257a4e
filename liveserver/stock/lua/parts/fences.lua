-- What every script begins with that writes in a running sale: may this caller act, now, on what is here?
--   ARGV  1 epoch the caller knows     2 highest seq it has seen in it
--         3 run id of the server it reckons with     4 '1' if in that run every write is on disk, else '0'
--         5 now, as its clock says     6 the last ms at which this call may still act
--         7… the script's own
-- Beside their own answers these scripts give one of the following, all of which mean that nothing else was done:
--   {'unknown'}             no such sale
--   {'format'}              a newer version opened the sale, and keeps what this one doesn't know of
--   {'rebuilding'}          a rebuild is going on, and nothing else does
--   {'newer'}               the sale is of a newer epoch: look again
--   {'restarted', run}      the server runs under another run id: read its facts again
--   {'late', now}           the call came after its last ms
--   {'skew', now}           caller's clock and ours are too far apart to sell or expire anything
--   {'behind', epoch, seq}  less is here than the caller has seen; the sale is frozen now
-- Needs limits, keys, sale, stops.

-- Loads the sale, holds the caller's fences against it, and writes down that the clock has closed it.
-- Second result: the refusal to answer.
local function begin()
  local sale = load()
  if not sale then return nil, { 'unknown' } end
  local epoch, seen = tonumber(ARGV[1]), tonumber(ARGV[2])
  if sale.format > FORMAT then return nil, { 'format' } end
  if sale.rebuilding then return nil, { 'rebuilding' } end
  if sale.epoch > epoch then return nil, { 'newer' } end
  local run = server_run()
  if run ~= ARGV[3] then return nil, { 'restarted', run } end
  if sale.now > tonumber(ARGV[6]) then return nil, { 'late', sale.now } end
  if math.abs(sale.now - tonumber(ARGV[5])) > SKEW_MS_MAX then return nil, { 'skew', sale.now } end
  if sale.epoch < epoch or sale.seq < seen then
    freeze(sale, 'behind', ARGV[1] .. '-' .. ARGV[2], '', '')
    return nil, { 'behind', sale.epoch, sale.seq }
  end
  local survived = run == sale.run or sale.safe == '1' -- what counts is how safe the run was that wrote last
  local known = run == sale.run and sale.safe == ARGV[4]
  sale.run, sale.safe = run, ARGV[4]
  if not survived then freeze(sale, 'restarted', '', '', '') end
  -- Also where nothing else is written: a run whose fsync was changed must not pass for what it was.
  if not known then redis.call('HSET', META, 'run', run, 'safe', sale.safe) end
  if sale.now >= sale.closes then close(sale, '', '') end
  return sale
end
