#!lua flags=
-- beat: one process says, once a second, how many viewers and likes it holds and how much its viewers have
-- to say (demand: thousandths of a line per second); it learns of the whole.
--
-- Figures are absolute per process (and boot: the name changes with each), so a repeated or lost beat
-- does no harm. The totals move by the difference to the process's last figures. A process silent for
-- fresh_ms loses its viewers and demand, never its likes: the total of likes does not go back. Its last figures are
-- kept a while (the last silent_max processes), so that one that was merely frozen comes back without
-- its likes being counted twice.
--
-- KEYS  1 meta     hash  epoch, head, viewers, likes, demand (the totals)
--       2 figures  hash  process -> "viewers likes demand"
--       3 fresh    zset  process -> time of its last beat; those whose viewers count
--       4 silent   zset  process -> time of its last beat; those whose viewers do not
--       5 sales    zset  sale id -> time of its announcement
-- ARGV  1 process  2 viewers  3 likes  4 demand  5 epoch seen before (0: none)  6 head seen in it
--       7 fresh_ms  8 silent_max
--
-- Returns {epoch, head, viewers, likes, demand, processes, now_ms, {sale id, ...}}   sales oldest first;
--         processes: the fresh ones
-- Writes, where nothing changed, no more than the time of this beat.
-- Complexity: O(log P + sales) for P processes; at most 64 processes turn silent per call.

local meta, figures, fresh, silent, sales = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local process, viewers_now, likes_now = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local demand_now = tonumber(ARGV[4])
local epoch_seen, head_seen = tonumber(ARGV[5]), tonumber(ARGV[6])
local fresh_ms, silent_max = tonumber(ARGV[7]), tonumber(ARGV[8])

local function figures_of(name)
  local packed = redis.call('HGET', figures, name)
  if not packed then
    return 0, 0, 0, nil
  end
  local v, l, d = string.match(packed, '^(%d+) (%d+) ?(%d*)$')
  return tonumber(v), tonumber(l), tonumber(d) or 0, packed
end

local function packed_of(v, l, d)
  return string.format('%.0f %.0f %.0f', v, l, d)
end

local t = redis.call('TIME')
local now_ms = t[1] * 1000 + math.floor(t[2] / 1000)
local stands = redis.call('HMGET', meta, 'epoch', 'head', 'viewers', 'likes', 'demand')
local epoch, head = tonumber(stands[1]) or 0, tonumber(stands[2]) or 0
local viewers, likes = tonumber(stands[3]) or 0, tonumber(stands[4]) or 0
local demand = tonumber(stands[5]) or 0

if epoch == 0 or epoch < epoch_seen or (epoch == epoch_seen and head < head_seen) then
  epoch = math.max(epoch_seen + 1, now_ms)  -- data was lost, or the room is new (see load.lua)
end

local viewers_before, likes_before, demand_before, packed_before = figures_of(process)
likes_now = math.max(likes_now, likes_before)
viewers = viewers + viewers_now - viewers_before
likes = likes + likes_now - likes_before
demand = demand + demand_now - demand_before
local packed_now = packed_of(viewers_now, likes_now, demand_now)
if packed_now ~= packed_before then
  redis.call('HSET', figures, process, packed_now)
end
if redis.call('ZADD', fresh, string.format('%.0f', now_ms), process) == 1 then
  redis.call('ZREM', silent, process)  -- a process is in one of the two, never in both
end

local due = string.format('(%.0f', now_ms - fresh_ms)
local turned = redis.call('ZRANGEBYSCORE', fresh, '-inf', due, 'LIMIT', 0, 64)
for _, name in ipairs(turned) do
  local v, l, d = figures_of(name)
  viewers = viewers - v
  demand = demand - d
  redis.call('HSET', figures, name, packed_of(0, l, 0))
  redis.call('ZADD', silent, string.format('%.0f', now_ms), name)
  redis.call('ZREM', fresh, name)
end
local surplus = #turned > 0 and redis.call('ZCARD', silent) - silent_max or 0
if surplus > 0 then
  local forgotten = redis.call('ZPOPMIN', silent, surplus)
  for i = 1, #forgotten, 2 do
    redis.call('HDEL', figures, forgotten[i])
  end
end

local told = {string.format('%.0f', epoch), string.format('%.0f', head), string.format('%.0f', viewers),
  string.format('%.0f', likes), string.format('%.0f', demand)}
for i = 1, #told do
  if told[i] ~= stands[i] then
    redis.call('HSET', meta, 'epoch', told[1], 'head', told[2], 'viewers', told[3], 'likes', told[4],
      'demand', told[5])
    break
  end
end
return {epoch, head, viewers, likes, demand, redis.call('ZCARD', fresh), now_ms,
  redis.call('ZRANGE', sales, 0, -1)}
