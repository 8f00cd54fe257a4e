#!lua
-- Takes away a sale that has been archived, if it is still the one that was: nothing was written to it since, and
-- every group has acknowledged all of it. All in one step, so nothing is trimmed below the slowest group.
-- KEYS  1 {sale:ID}:feed  2… the sale's other keys, feeds put aside among them, then for each group its lease,
--       rows, dead and again: all is unlinked
-- ARGV  1 epoch   2 seq: of the row the archive ends with (every change is a row)
--       3… the groups, in the order of their keys (at most 200); of feeds that were put aside, too
-- Answers  {'ok', keys unlinked}; or, with nothing done, {'changed'} or {'group', name}: it has something to do
-- O(keys); the memory is freed beside the commands.

local FEED = KEYS[1]
local last = redis.call('XREVRANGE', FEED, '+', '-', 'COUNT', 1)[1]
local ends = ARGV[1] .. '-' .. ARGV[2]
if not last or last[1] ~= ends then return { 'changed' } end

local expected = {}
for k = 3, #ARGV do
  local at = #KEYS - 4 * (#ARGV - k + 1)
  expected[ARGV[k]] = true
  if redis.call('EXISTS', KEYS[at + 1], KEYS[at + 3], KEYS[at + 4]) > 0 then return { 'group', ARGV[k] } end -- all but rows
end
for _, group in ipairs(redis.call('XINFO', 'GROUPS', FEED)) do
  local told = {}
  for k = 1, #group, 2 do told[group[k]] = group[k + 1] end
  if not expected[told['name']] or told['last-delivered-id'] ~= ends or told['pending'] ~= 0 then
    return { 'group', told['name'] }
  end
end
return { 'ok', redis.call('UNLINK', unpack(KEYS)) }
