-- Find halves of events that have waited in vain; one that is not settled in time is found again.
--
-- KEYS[1] waiting    as in pair.lua
-- KEYS[2] unpaired   hash: kind -> how many halves have waited in vain
-- KEYS[3]            what the key of each event begins with, as in pair.lua
-- ARGV    time to settle, how long an event is remembered, how long a half is kept that nobody settles (all in
--         ms), most halves to find, then each half that is settled, as it was found
-- returns {half, content, half, content, ...}; a half is "<kind> <place> <event>", and its content empty when
--         it is no longer known

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local settle_ms, keep_ms, held_ms, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])

local function close(half, settled)
  local kind, place, event = string.match(half, '^(%S+) (%S+) (.*)$')
  local key, first = KEYS[3] .. event, kind .. ' ' .. place .. ' '
  local known = redis.call('GET', key)
  if not known or string.sub(known, 1, #first) ~= first then
    return kind, ''
  end
  local content = string.match(known, '\n(.*)$')
  redis.call('SET', key, first .. 'late\n' .. (settled and '' or content), 'PX', settled and keep_ms or held_ms)
  return kind, content
end

for i = 5, #ARGV do
  if redis.call('ZREM', KEYS[1], ARGV[i]) == 1 then
    local kind = close(ARGV[i], true)
    redis.call('HSET', KEYS[2], kind, (redis.call('HGET', KEYS[2], kind) or 0) + 1)
  end
end

local found = {}
for _, half in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, most)) do
  redis.call('ZADD', KEYS[1], now + settle_ms, half)
  local _, content = close(half, false)
  found[#found + 1] = half
  found[#found + 1] = content
end
return found
