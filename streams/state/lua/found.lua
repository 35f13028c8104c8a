-- Begin a data set, with what is known from elsewhere of a monitor whose data Redis has lost.
--
-- KEYS[1] progress   hash: "epoch" -> id of this data set
-- KEYS[2] shape      string: shape of the windows
-- KEYS[3] open       hash: segment -> open window
-- KEYS[4] alerts     hash: segment -> "<last sequence> <standing>"
-- KEYS[5] frontiers  hash: segment -> JSON, partition -> first offset that is not settled
-- ARGV    epoch, shape, then any number of times: segment, open window, standing, frontier
-- returns the epoch in force: another worker's when that was first, and then nothing is written

local epoch = redis.call('HGET', KEYS[1], 'epoch')
if epoch then
  return epoch
end
redis.call('HSET', KEYS[1], 'epoch', ARGV[1])
redis.call('SET', KEYS[2], ARGV[2])
for i = 3, #ARGV, 4 do
  redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1])
  redis.call('HSET', KEYS[4], ARGV[i], ARGV[i + 2])
  redis.call('HSET', KEYS[5], ARGV[i], ARGV[i + 3])
end
return ARGV[1]
