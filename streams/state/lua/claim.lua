-- Take over closed windows whose lease has run out.
--
-- KEYS[1] progress   hash: "epoch" -> id of this data set
-- KEYS[2] closed     hash: "<sequence> <segment>" -> "<description>\n<packed scores>"
-- KEYS[3] leases     sorted set of the same members by lease expiry, ms
-- ARGV    epoch, lease in ms, most windows to take
-- returns {"ok", member, closed window, member, closed window, ...} or {"lost"}

if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then
  return {'lost'}
end

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local lease, most = tonumber(ARGV[2]), tonumber(ARGV[3])
local due = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, most)
-- A lease that ends later than one begun now was begun before the server's clock was set back.
for _, window in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. (now + lease), '+inf', 'LIMIT', 0, most)) do
  due[#due + 1] = window
end
local taken = {'ok'}
for _, window in ipairs(due) do
  redis.call('ZADD', KEYS[3], now + lease, window)
  taken[#taken + 1] = window
  taken[#taken + 1] = redis.call('HGET', KEYS[2], window) or ''
end
return taken
