-- Drop the windows of a monitor, unless a verdict was settled in the meantime, and begin a data set that goes on
-- from where its segments stand.
--
-- KEYS[1..5] as in found.lua
-- KEYS[6..]  whatever else windows are kept in
-- ARGV       as in found.lua, with the stored standing of every segment that has one
-- returns 1, or 0 when the stored standings are others; then nothing is written

if #redis.call('HGETALL', KEYS[4]) ~= (#ARGV - 2) / 2 then
  return 0
end
for i = 3, #ARGV, 4 do
  if redis.call('HGET', KEYS[4], ARGV[i]) ~= ARGV[i + 2] then
    return 0
  end
end

redis.call('DEL', unpack(KEYS))
redis.call('HSET', KEYS[1], 'epoch', ARGV[1])
redis.call('SET', KEYS[2], ARGV[2])
for i = 3, #ARGV, 4 do
  redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1])
  redis.call('HSET', KEYS[4], ARGV[i], ARGV[i + 2])
  redis.call('HSET', KEYS[5], ARGV[i], ARGV[i + 3])
end
return 1
