-- Settle the verdicts of closed windows: in each segment in order, each window once.
--
-- KEYS[1] progress   hash: "epoch" -> id of this data set
-- KEYS[2] closed     hash: "<sequence> <segment>" -> closed window
-- KEYS[3] leases     sorted set of the same members
-- KEYS[4] alerts     hash: segment -> "<last sequence> <alert state>"
-- KEYS[5..]          P "depends" sorted sets
-- KEYS[..]           for each of the S segments its list of verdicts, newest first
-- KEYS[..]           for each of the S segments its last settled window: "<sequence> <closed window>"
-- KEYS[..]           for each of the S segments its last marked window, alike
-- ARGV    epoch, verdicts kept a segment, P, S,
--         S times: segment, expected last sequence or "", new alert state, W, which of the W windows is the last
--         that is marked (from 1; 0: none), W times: sequence, verdict
-- returns {"ok", {for each segment "ok", or the alert state found instead (then nothing of it is written)},
--          {for each of the P sets its lowest offset or ""}}
--      or {"lost"} when the data set is another one

if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then
  return {'lost'}
end

local history, partitions, segments = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local outcome = {}
local cursor = 5
for s = 1, segments do
  local segment, expected, windows = ARGV[cursor], ARGV[cursor + 1], tonumber(ARGV[cursor + 3])
  local stored = redis.call('HGET', KEYS[4], segment) or ''
  local fits = (string.match(stored, '^%S+') or '') == expected
  outcome[s] = fits and 'ok' or stored
  if fits then
    redis.call('HSET', KEYS[4], segment, ARGV[cursor + 2])
  end
  local marked = tonumber(ARGV[cursor + 4])
  cursor = cursor + 5
  local verdicts = KEYS[4 + partitions + s]
  for w = 1, windows do
    if fits then
      local window = ARGV[cursor] .. ' ' .. segment
      local content = (w == windows or w == marked) and redis.call('HGET', KEYS[2], window)
      if content and w == windows then
        redis.call('SET', KEYS[4 + partitions + segments + s], ARGV[cursor] .. ' ' .. content)
      end
      if content and w == marked then
        redis.call('SET', KEYS[4 + partitions + 2 * segments + s], ARGV[cursor] .. ' ' .. content)
      end
      redis.call('HDEL', KEYS[2], window)
      redis.call('ZREM', KEYS[3], window)
      for p = 1, partitions do
        redis.call('ZREM', KEYS[4 + p], window)
      end
      redis.call('LPUSH', verdicts, ARGV[cursor + 1])
    end
    cursor = cursor + 2
  end
  if fits then
    redis.call('LTRIM', verdicts, 0, history - 1)
  end
end

local lows = {}
for p = 1, partitions do
  lows[p] = redis.call('ZRANGE', KEYS[4 + p], 0, 0, 'WITHSCORES')[2] or ''
end
return {'ok', outcome, lows}
