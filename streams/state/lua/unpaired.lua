-- Find halves of events that have waited in vain; one that is not settled in time is found again.
--
-- KEYS[1] waiting    as in pair.lua
-- KEYS[2] halves     as in pair.lua
-- KEYS[3]            what the key of each event that is decided begins with, as in pair.lua
-- KEYS[4] unpaired   hash: kind -> how many halves have waited in vain
-- ARGV    time to settle, how long an event is remembered (both in ms), most halves to find, then each half
--         that is settled, as it was found
-- returns {half, content, half, content, ...}; a half is "<kind> <place> <event>", and its content empty when
--         it is no longer known

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local settle_ms, keep_ms, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local waiting, halves, events, unpaired = unpack(KEYS)

local function look_up(half)
  local kind, place, event = string.match(half, '^(%S+) (%S+) (.*)$')
  local first, known = kind .. ' ' .. place .. ' ', redis.call('HGET', halves, event)
  if not known or string.sub(known, 1, #first) ~= first then
    return kind, event, first, nil
  end
  return kind, event, first, string.match(known, '\n(.*)$')
end

for i = 4, #ARGV do
  if redis.call('ZREM', waiting, ARGV[i]) == 1 then
    local kind, event, first, content = look_up(ARGV[i])
    if content then
      redis.call('HDEL', halves, event)
      redis.call('SET', events .. event, first .. 'late\n', 'PX', keep_ms)
    end
    redis.call('HINCRBY', unpaired, kind, 1)
  end
end

local found = {}
for _, half in ipairs(redis.call('ZRANGEBYSCORE', waiting, '-inf', now, 'LIMIT', 0, most)) do
  redis.call('ZADD', waiting, now + settle_ms, half)
  local _, event, first, content = look_up(half)
  if content then
    redis.call('HSET', halves, event, first .. 'late\n' .. content)
  end
  found[#found + 1] = half
  found[#found + 1] = content or ''
end
return found
