#!lua
-- Moves dead letters to those that are tried once more, or drops them.
-- KEYS  1 dead  2 again
-- ARGV  1 'again' or 'drop'   2… epoch-seq of each row (at most 128)
-- Answers  how many there were.
-- O(rows).

local moved = 0
for k = 2, #ARGV do
  local letter = redis.call('HGET', KEYS[1], ARGV[k])
  if letter then
    if ARGV[1] == 'again' then redis.call('HSET', KEYS[2], ARGV[k], letter) end
    redis.call('HDEL', KEYS[1], ARGV[k])
    moved = moved + 1
  end
end
return moved
