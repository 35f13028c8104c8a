-- Count a batch of scores exactly once: compare what the caller believes with what is stored, and write
-- everything or nothing.
--
-- KEYS[1] progress   hash: "epoch" -> id of this data set; partition -> next offset not yet counted
-- KEYS[2] open       hash: segment -> <head of the open window><its latest packed scores>
-- KEYS[3] details    hash: segment -> details of the open window
-- KEYS[4] scores     hash: segment -> packed scores of the open window before the latest
-- KEYS[5] closed     hash: "<sequence> <segment>" -> "<description>\n<packed scores>"
-- KEYS[6] leases     sorted set: "<sequence> <segment>" by lease expiry, ms
-- KEYS[7] alerts     hash: segment -> "<last sequence> <alert state>"
-- KEYS[8] reference  string: version of the current reference
-- KEYS[9..]          Q "depends" sorted sets: "<sequence> <segment>" by first offset of one partition; the first
--                    P of them are those of the partitions that advance
-- KEYS[last]         hash of rejected events: reason -> how many were counted
-- ARGV[1..5]  epoch, lease in ms, most bytes of scores beside an open window, P, Q
-- ARGV[6]     for each segment six little-endian uint32: bytes of its name, of the stored head, of the new head,
--             of the details (0: as they were), of the scores to append; number of closings
-- ARGV[7]     names of the segments, one after the other
-- ARGV[8]     for each segment the first 8 bytes of the stored head, zeros when nothing should be stored
-- ARGV[9..11] new heads, details, scores to append, one after the other
-- ARGV[12]    dependencies: segment (from 1), sequence, which of the Q sets (from 1), all uint32, first offset as
--             a double
-- ARGV[13..]  P times: partition, expected next offset or "", new next offset
--             C closings, in the order of the segments: sequence, bytes to append first, bytes to keep
--             C times: description
--             for each reason that events of the batch were rejected for: reason, how many
-- returns {"ok", reference or "", {first offset depended on or "" per partition},
--          {scores of each closing}, {alert state or "" of each segment with closings}}
--      or {"lost", stored epoch or ""}
--      or {"moved", {stored next offset or "" per partition}, {segment (from 1), open or "", details or "", ...}},
--         of the segments that are not as expected

local epoch, lease_ms, most_beside = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local partitions, layout = tonumber(ARGV[4]), ARGV[6]
local segments = #layout / 24
local sub, unpack_numbers = string.sub, struct.unpack
-- Far below what Lua's stack holds, and enough to make what a call costs by itself vanish.
local AT_ONCE = 1000

local stored_epoch = redis.call('HGET', KEYS[1], 'epoch')
if stored_epoch ~= epoch then
  return {'lost', stored_epoch or ''}
end

local moved = false
local stored_offsets = {}
for p = 1, partitions do
  local stored = redis.call('HGET', KEYS[1], ARGV[10 + 3 * p]) or ''
  stored_offsets[p] = stored
  moved = moved or stored ~= ARGV[11 + 3 * p]
end

local names, at = {}, 1
for s = 1, segments do
  local size = unpack_numbers('<I4', layout, 24 * s - 23)
  names[s] = sub(ARGV[7], at, at + size - 1)
  at = at + size
end
local windows, different = {}, {}
for first = 1, segments, AT_ONCE do
  local last = math.min(first + AT_ONCE - 1, segments)
  local found = redis.call('HMGET', KEYS[2], unpack(names, first, last))
  for i = 1, last - first + 1 do
    local s = first + i - 1
    local window = found[i] or '\0\0\0\0\0\0\0\0'
    windows[s] = window
    if sub(window, 1, 8) ~= sub(ARGV[8], 8 * s - 7, 8 * s) then
      moved = true
      different[#different + 1] = s
      different[#different + 1] = found[i] or ''
      different[#different + 1] = redis.call('HGET', KEYS[3], names[s]) or ''
    end
  end
end
if moved then
  return {'moved', stored_offsets, different}
end

for p = 1, partitions do
  redis.call('HSET', KEYS[1], ARGV[10 + 3 * p], ARGV[12 + 3 * p])
end

local time = redis.call('TIME')
local lease_until = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) + lease_ms
local next_closing = 13 + 3 * partitions
local next_description = next_closing
for s = 1, segments do
  next_description = next_description + 3 * unpack_numbers('<I4', layout, 24 * s - 3)
end

local closed_scores, alert_states = {}, {}
local open, details, scores = {}, {}, {}
local head_at, details_at, scores_at = 1, 1, 1
for s = 1, segments do
  local name = names[s]
  local old_head, head, detail, fresh, closings = unpack_numbers('<I4I4I4I4I4', layout, 24 * s - 19)
  local latest = sub(windows[s], old_head + 1)
  local scores_end = scores_at + fresh
  if closings > 0 then
    local earlier = redis.call('HGET', KEYS[4], name)
    if earlier then
      latest = earlier .. latest
      redis.call('HDEL', KEYS[4], name)
    end
    for _ = 1, closings do
      local window = ARGV[next_closing] .. ' ' .. name
      local size, kept = tonumber(ARGV[next_closing + 1]), tonumber(ARGV[next_closing + 2])
      local all = latest .. sub(ARGV[11], scores_at, scores_at + size - 1)
      redis.call('HSET', KEYS[5], window, ARGV[next_description] .. '\n' .. all)
      redis.call('ZADD', KEYS[6], lease_until, window)
      closed_scores[#closed_scores + 1] = all
      latest = kept > 0 and sub(all, -kept) or ''
      scores_at = scores_at + size
      next_closing, next_description = next_closing + 3, next_description + 1
    end
    alert_states[#alert_states + 1] = redis.call('HGET', KEYS[7], name) or ''
  end
  latest = latest .. sub(ARGV[11], scores_at, scores_end - 1)
  if #latest > most_beside then
    scores[#scores + 1] = name
    scores[#scores + 1] = (closings == 0 and redis.call('HGET', KEYS[4], name) or '') .. latest
    latest = ''
  end
  open[2 * s - 1] = name
  open[2 * s] = sub(ARGV[9], head_at, head_at + head - 1) .. latest
  if detail > 0 then
    details[#details + 1] = name
    details[#details + 1] = sub(ARGV[10], details_at, details_at + detail - 1)
  end
  head_at, details_at, scores_at = head_at + head, details_at + detail, scores_end
end

local function write(key, pairs)
  for first = 1, #pairs, 2 * AT_ONCE do
    redis.call('HSET', key, unpack(pairs, first, math.min(first + 2 * AT_ONCE - 1, #pairs)))
  end
end
write(KEYS[2], open)
write(KEYS[3], details)
write(KEYS[4], scores)

for at = 1, #ARGV[12], 20 do
  local segment, sequence, set, offset = unpack_numbers('<I4I4I4d', ARGV[12], at)
  redis.call('ZADD', KEYS[8 + set], offset, sequence .. ' ' .. names[segment])
end

for at = next_description, #ARGV, 2 do
  redis.call('HINCRBY', KEYS[#KEYS], ARGV[at], ARGV[at + 1])
end

local lows = {}
for p = 1, partitions do
  lows[p] = redis.call('ZRANGE', KEYS[8 + p], 0, 0, 'WITHSCORES')[2] or ''
end
return {'ok', redis.call('GET', KEYS[8]) or '', lows, closed_scores, alert_states}
