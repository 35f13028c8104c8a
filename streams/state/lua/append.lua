-- Count a batch of scores exactly once: compare what the caller believes with what is stored, and write
-- everything or nothing.
--
-- KEYS[1] progress   hash: "epoch" -> id of this data set; partition -> next offset not yet counted
-- KEYS[2] open       hash: segment -> "<sequence>:<count> <description>"
-- KEYS[3] closed     hash: "<sequence> <segment>" -> "<description>\n<packed scores>"
-- KEYS[4] leases     sorted set: "<sequence> <segment>" by lease expiry, ms
-- KEYS[5] alerts     hash: segment -> "<last sequence> <alert state>"
-- KEYS[6] reference  string: version of the current reference
-- KEYS[7..]          Q "depends" sorted sets: "<sequence> <segment>" by first offset of one partition; the first
--                    P of them are those of the partitions that advance
-- KEYS[..]           for each segment its packed scores
-- ARGV    epoch, lease in ms, P, Q, S,
--         P times: partition, expected next offset or "", new next offset
--         S times: segment, expected token or "", new open window,
--                  D, D times: sequence, which of the Q sets (from 1), first offset
--                  C, C times: sequence, scores to append first, description, scores to keep (in bytes)
--                  scores to append last
-- returns {"ok", reference or "", {first offset depended on or "" per partition},
--          {scores of each closing}, {alert state or "" of each segment with closings}}
--      or {"lost", stored epoch or ""}
--      or {"moved", {stored next offset or "" per partition}, {stored open window or "" per segment}}

local epoch, lease_ms = ARGV[1], tonumber(ARGV[2])
local partitions, sets, segments = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])

local stored_epoch = redis.call('HGET', KEYS[1], 'epoch')
if stored_epoch ~= epoch then
  return {'lost', stored_epoch or ''}
end

local cursor = 6
local moved = false
local stored_offsets = {}
for p = 1, partitions do
  local stored = redis.call('HGET', KEYS[1], ARGV[cursor]) or ''
  stored_offsets[p] = stored
  moved = moved or stored ~= ARGV[cursor + 1]
  cursor = cursor + 3
end

local first_segment = cursor
local names, stored_windows = {}, {}
for s = 1, segments do
  names[s] = ARGV[cursor]
  local stored = redis.call('HGET', KEYS[2], ARGV[cursor]) or ''
  stored_windows[s] = stored
  moved = moved or (string.match(stored, '^%S+') or '') ~= ARGV[cursor + 1]
  cursor = cursor + 3
  cursor = cursor + 1 + 3 * tonumber(ARGV[cursor])
  cursor = cursor + 1 + 4 * tonumber(ARGV[cursor])
  cursor = cursor + 1
end
if moved then
  return {'moved', stored_offsets, stored_windows}
end

cursor = 6
for p = 1, partitions do
  redis.call('HSET', KEYS[1], ARGV[cursor], ARGV[cursor + 2])
  cursor = cursor + 3
end

local time = redis.call('TIME')
local lease_until = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) + lease_ms
local closed_scores, alert_states = {}, {}
cursor = first_segment
for s = 1, segments do
  local scores = KEYS[6 + sets + s]
  redis.call('HSET', KEYS[2], names[s], ARGV[cursor + 2])
  local depends = tonumber(ARGV[cursor + 3])
  cursor = cursor + 4
  for _ = 1, depends do
    local window = ARGV[cursor] .. ' ' .. names[s]
    redis.call('ZADD', KEYS[6 + tonumber(ARGV[cursor + 1])], ARGV[cursor + 2], window)
    cursor = cursor + 3
  end
  local closings = tonumber(ARGV[cursor])
  cursor = cursor + 1
  for _ = 1, closings do
    local window, fresh, kept = ARGV[cursor] .. ' ' .. names[s], ARGV[cursor + 1], tonumber(ARGV[cursor + 3])
    local all = (redis.call('GET', scores) or '') .. fresh
    redis.call('HSET', KEYS[3], window, ARGV[cursor + 2] .. '\n' .. all)
    redis.call('ZADD', KEYS[4], lease_until, window)
    if kept > 0 then
      redis.call('SET', scores, string.sub(all, -kept))
    else
      redis.call('DEL', scores)
    end
    closed_scores[#closed_scores + 1] = all
    cursor = cursor + 4
  end
  if closings > 0 then
    alert_states[#alert_states + 1] = redis.call('HGET', KEYS[5], names[s]) or ''
  end
  if ARGV[cursor] ~= '' then
    redis.call('APPEND', scores, ARGV[cursor])
  end
  cursor = cursor + 1
end

local lows = {}
for p = 1, partitions do
  lows[p] = redis.call('ZRANGE', KEYS[6 + p], 0, 0, 'WITHSCORES')[2] or ''
end
return {'ok', redis.call('GET', KEYS[6]) or '', lows, closed_scores, alert_states}
