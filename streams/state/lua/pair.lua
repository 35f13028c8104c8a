-- Bring the two halves of events together: for each half that is brought, keep it or hand out the other one.
-- Which half completes an event is decided once, so that a half brought again gets the answer it got before.
--
-- KEYS[1] waiting    sorted set: "<kind> <where> <key of the event>" by the time when it has waited long enough, ms
-- KEYS[2] unpaired   hash: kind -> how many halves have waited in vain
-- KEYS[3..]          of each half brought, its event's hash: "kind", "at" and "half" of the one that was first;
--                    "by" -> where the other one was, or "late" when it did not come in time
-- ARGV    how long a half waits, how long an event is remembered after that (both in ms),
--         then for each half: kind, where it is, content
-- returns {{for each half the other one's content, or "wait", "late" or "again" with an empty content},
--          {kinds of halves that have waited in vain since the last call, as "<kind> <where>"}}

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local wait_ms, keep_ms = tonumber(ARGV[1]), tonumber(ARGV[2])

local lost = {}
for _, half in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 1000)) do
  local kind, at, key = string.match(half, '^(%S+) (%S+) (.*)$')
  redis.call('ZREM', KEYS[1], half)
  redis.call('HINCRBY', KEYS[2], kind, 1)
  lost[#lost + 1] = kind .. ' ' .. at
  if redis.call('HDEL', key, 'half') == 1 then
    redis.call('HSET', key, 'by', 'late')
    redis.call('PEXPIRE', key, keep_ms)
  end
end

local answers = {}
for i = 3, #KEYS do
  local key, a = KEYS[i], 3 * (i - 2)
  local kind, at, half = ARGV[a], ARGV[a + 1], ARGV[a + 2]
  local known = redis.call('HMGET', key, 'kind', 'at', 'half', 'by')
  if not known[1] then
    redis.call('HSET', key, 'kind', kind, 'at', at, 'half', half)
    redis.call('PEXPIRE', key, wait_ms + keep_ms)
    redis.call('ZADD', KEYS[1], now + wait_ms, kind .. ' ' .. at .. ' ' .. key)
    answers[i - 2] = {'wait', ''}
  elseif known[2] == at then
    answers[i - 2] = {'wait', ''}
  elseif known[1] == kind then
    answers[i - 2] = {'again', ''}
  elseif known[4] == 'late' then
    answers[i - 2] = {'late', ''}
  elseif known[4] and known[4] ~= at then
    answers[i - 2] = {'again', ''}
  else
    if not known[4] then
      redis.call('HSET', key, 'by', at)
      redis.call('PEXPIRE', key, keep_ms)
      redis.call('ZREM', KEYS[1], known[1] .. ' ' .. known[2] .. ' ' .. key)
    end
    answers[i - 2] = {'', known[3]}
  end
end
return {answers, lost}
