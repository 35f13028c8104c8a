-- Take a shared procedure on by some decisions: compare the state that the caller went on from with what is
-- stored, and write everything or nothing.
--
-- KEYS[1] state      string: the procedure after its latest decision
-- KEYS[2..]          a decision each: string
-- ARGV    expected state or "", new state, how long decisions are kept in ms, then one decision for each of the keys
-- returns {"ok"}
--      or {"moved", stored state or "", {stored decision or "" per key}} when another state is stored or one of
--         the decisions has been taken

local stored = redis.call('GET', KEYS[1]) or ''
local moved = stored ~= ARGV[1]
local taken = {}
for i = 2, #KEYS do
  taken[i - 1] = redis.call('GET', KEYS[i]) or ''
  moved = moved or taken[i - 1] ~= ''
end
if moved then
  return {'moved', stored, taken}
end

redis.call('SET', KEYS[1], ARGV[2])
for i = 2, #KEYS do
  redis.call('SET', KEYS[i], ARGV[i + 2], 'PX', ARGV[3])
end
return {'ok'}
