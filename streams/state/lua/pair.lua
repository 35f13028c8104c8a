-- Bring the two halves of events together. Which half completes an event is decided once, so that a half brought
-- again gets the answer it got before. Halves that met in a batch come without content, which Redis never sees.
--
-- KEYS[1] waiting   sorted set: "<kind> <place> <event>" by the time when it has waited long enough, ms
-- KEYS[2] halves    hash: event -> "<kind> <place> <by>\n<content>" of the half that waits, or that nobody has
--                   settled yet; by is "-", or "late" when none came in time
-- KEYS[3]           what the key of each event that is decided begins with, its id coming after. There, as a
--                   string, the same of the half that was first; by is the place of the half that completes it,
--                   "late", or "alone@<place>" of the returned request that counts without a response
-- KEYS[4] unpaired  hash: kind -> how many halves have waited in vain
-- ARGV    how long a half waits, how long an event is remembered (both in ms), JSON of eight columns, contents.
--         Of each two halves that met: event, kind of the first, its place, place of the other; of each half that
--         is alone: event, kind, place, length of its content, which stand one after another in the last argument.
--         The kind may be "returned": a request that had waited in vain, sent again
-- returns {{number, outcome, content, outcome of the other half, content, ... of halves that met},
--          {number, outcome, ... of halves alone}}, only where it is not that the second one completes the event,
--         or that the half waits or completes it; then of halves alone that do: numbers, lengths of contents, and
--         the contents of the other halves, some in each string. Outcomes: "" complete, with the other half's
--         content unless both were brought or there is none; "wait"; "late": the other has waited in vain;
--         "again": the event has such a half

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local wait_ms, keep_ms = tonumber(ARGV[1]), tonumber(ARGV[2])
local waiting, halves, events, unpaired = KEYS[1], KEYS[2], KEYS[3], KEYS[4]

-- What waited before, by event, and changes of it that are written together at the end.
local held, changed, queued = {}, {}, {}

local function look_up(list)
  if #list > 0 then
    local found = redis.call('HMGET', halves, unpack(list))
    for i = 1, #list do
      held[list[i]] = found[i] or nil
    end
  end
end

local function hold(event, kind, place, half)
  held[event] = kind .. ' ' .. place .. ' -\n' .. half
  changed[event] = held[event]
  queued[kind .. ' ' .. place .. ' ' .. event] = now + wait_ms
end

local function decide(event, kind, place, by, content)
  redis.call('SET', events .. event, kind .. ' ' .. place .. ' ' .. by .. '\n' .. content, 'PX', keep_ms)
  if held[event] then
    held[event], changed[event] = nil, false
    queued[kind .. ' ' .. place .. ' ' .. event] = false
  end
end

-- A returned request counts without a response unless another copy of it does; then it is settled.
local function count_alone(event, its_place, by, place)
  local alone = 'alone@' .. place
  if by == alone then
    return '', ''
  elseif by ~= '-' and by ~= 'late' then
    return 'again', ''
  end
  if held[event] then
    redis.call('HINCRBY', unpaired, 'request', 1)
  end
  decide(event, 'request', its_place, alone, '')
  return '', ''
end

local contents = ARGV[4]

-- The content of a half goes from start to stop in the last argument; without them there is none.
local function bring(event, kind, place, start, stop)
  local known = held[event] or redis.call('GET', events .. event)
  local returned = kind == 'returned'
  if not known and returned then
    return count_alone(event, '-', '-', place)
  elseif not known then
    hold(event, kind, place, string.sub(contents, start, stop))
    return 'wait', ''
  end
  local its_kind, its_place, by, behind = string.match(known, '^(%S+) (%S+) (%S+)\n()')
  local empty = behind > #known
  if returned and its_kind == 'request' then
    return count_alone(event, its_place, by, place)
  end
  kind = returned and 'request' or kind
  if string.sub(by, 1, 6) == 'alone@' then
    by = 'late'
  end
  local decided = by ~= '-' and by ~= 'late'
  if its_place == place then
    -- It had met the other, which then may come alone too.
    if decided and stop and empty then
      decide(event, kind, place, by, string.sub(contents, start, stop))
    end
    return 'wait', ''
  elseif its_kind == kind or (decided and by ~= place) then
    return 'again', ''
  elseif by == 'late' then
    return 'late', ''
  elseif stop and empty then
    -- It had met the other, which comes again unless both were counted; then nothing is missing.
    decide(event, kind, place, '-', string.sub(contents, start, stop))
    return 'wait', ''
  end
  local content = string.sub(known, behind)
  if not decided then
    decide(event, its_kind, its_place, place, content)
  end
  return '', content
end

local other = {request = 'response', response = 'request'}
local met, kinds, firsts, seconds, alone, alone_kinds, places, lengths = unpack(cjson.decode(ARGV[3]))
look_up(met)
look_up(alone)

local unusual = {}
for i, event in ipairs(met) do
  local kind, place, by = kinds[i], firsts[i], seconds[i]
  local value = kind .. ' ' .. place .. ' ' .. by .. '\n'
  if held[event] or not redis.call('SET', events .. event, value, 'NX', 'PX', keep_ms) then
    local first, content = bring(event, kind, place)
    local second, its_content = bring(event, other[kind], by)
    if first ~= 'wait' or second ~= '' or its_content ~= '' then
      for _, part in ipairs({i - 1, first, content, second, its_content}) do
        unusual[#unusual + 1] = part
      end
    end
  end
end

local refused, numbers, found_lengths, found = {}, {}, {}, {}
local start = 1
for i, event in ipairs(alone) do
  local outcome, content = bring(event, alone_kinds[i], places[i], start, start + lengths[i] - 1)
  start = start + lengths[i]
  if outcome == '' then
    local n = #numbers + 1
    numbers[n], found_lengths[n], found[n] = i - 1, #content, content
  elseif outcome ~= 'wait' then
    refused[#refused + 1] = i - 1
    refused[#refused + 1] = outcome
  end
end

-- Runs a command with a key and pairs or single words; Lua takes only so many arguments at once.
local function run(command, key, words)
  for i = 1, #words, 4000 do
    redis.call(command, key, unpack(words, i, math.min(i + 3999, #words)))
  end
end

local kept, dropped, entered, left = {}, {}, {}, {}
for event, value in pairs(changed) do
  if value then
    kept[#kept + 1] = event
    kept[#kept + 1] = value
  else
    dropped[#dropped + 1] = event
  end
end
for half, at in pairs(queued) do
  if at then
    entered[#entered + 1] = at
    entered[#entered + 1] = half
  else
    left[#left + 1] = half
  end
end
run('HSET', halves, kept)
run('HDEL', halves, dropped)
run('ZADD', waiting, entered)
run('ZREM', waiting, left)

-- Lua joins many long strings by copying them again and again.
local joined = {}
for i = 1, #found, 10 do
  joined[#joined + 1] = table.concat(found, '', i, math.min(i + 9, #found))
end
return {unusual, refused, table.concat(numbers, ' '), table.concat(found_lengths, ' '), joined}
