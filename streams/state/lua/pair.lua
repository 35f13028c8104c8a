-- Bring the two halves of events together. Which half completes an event is decided once, so that a half brought
-- again gets the answer it got before. Halves that met in a batch come without content, which Redis never sees.
--
-- KEYS[1] waiting   sorted set: "<kind> <place> <event>" by the time when it has waited long enough, ms
-- KEYS[2]           what the key of each event begins with, its id coming after. There, as a string:
--                   "<kind> <place> <by>\n<content>" of the half that was first; by is the place of the half that
--                   completes it, "-" while there is none, "late" when none came in time, or "alone@<place>"
--                   of the returned request that counts without a response
-- KEYS[3] unpaired  hash: kind -> how many halves have waited in vain
-- ARGV    how long a half waits, how long an event is remembered after that, how long a half is kept that
--         nobody gives up (all in ms),
--         JSON: event, and "<kind> <place> <place of the other half>\n", of each two halves that met,
--         JSON: event, kind, place, of each half that is alone, then the content of each of these; the kind
--         may be "returned": a request that had waited in vain, sent again
-- returns {{number, outcome, content, outcome of the other half, content, ... of halves that met},
--          {number, outcome, content, ... of halves alone}}, only where it is not that the second one completes
--         the event, or that the half waits. Outcomes: "" complete, with the other half's content unless both
--         were brought or there is none; "wait"; "late": the other has waited in vain; "again": the event has
--         such a half

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local wait_ms, keep_ms, held_ms = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local waiting, events, unpaired = KEYS[1], KEYS[2], KEYS[3]

local function remember(event, kind, place, by, content, ms)
  redis.call('SET', events .. event, kind .. ' ' .. place .. ' ' .. by .. '\n' .. content, 'PX', ms)
end

-- A returned request counts without a response unless another copy of it does; then it is settled.
local function count_alone(event, its_place, by, place)
  local alone = 'alone@' .. place
  if by == alone then
    return '', ''
  elseif by ~= '-' and by ~= 'late' then
    return 'again', ''
  end
  remember(event, 'request', its_place, alone, '', keep_ms)
  if redis.call('ZREM', waiting, 'request ' .. its_place .. ' ' .. event) == 1 then
    redis.call('HSET', unpaired, 'request', (redis.call('HGET', unpaired, 'request') or 0) + 1)
  end
  return '', ''
end

local function bring(event, kind, place, half)
  local known = redis.call('GET', events .. event)
  local returned = kind == 'returned'
  if not known and returned then
    return count_alone(event, '-', '-', place)
  elseif not known then
    remember(event, kind, place, '-', half, wait_ms + held_ms)
    redis.call('ZADD', waiting, now + wait_ms, kind .. ' ' .. place .. ' ' .. event)
    return 'wait', ''
  end
  local its_kind, its_place, by, content = string.match(known, '^(%S+) (%S+) (%S+)\n(.*)$')
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
    if decided and half and content == '' then
      remember(event, kind, place, by, half, keep_ms)
    end
    return 'wait', ''
  elseif its_kind == kind or (decided and by ~= place) then
    return 'again', ''
  elseif by == 'late' then
    return 'late', ''
  elseif half and content == '' then
    -- It had met the other, which comes again unless both were counted; then nothing is missing.
    remember(event, kind, place, '-', half, keep_ms)
    return 'wait', ''
  elseif not decided then
    remember(event, its_kind, its_place, place, content, keep_ms)
    redis.call('ZREM', waiting, its_kind .. ' ' .. its_place .. ' ' .. event)
  end
  return '', content
end

local other = {request = 'response', response = 'request'}
local met, unusual = cjson.decode(ARGV[4]), {}
for i = 1, #met, 2 do
  local event, value = met[i], met[i + 1]
  if not redis.call('SET', events .. event, value, 'NX', 'PX', keep_ms) then
    local kind, place, by = string.match(value, '^(%S+) (%S+) (%S+)\n')
    local first, content = bring(event, kind, place, nil)
    local second, its_content = bring(event, other[kind], by, nil)
    if first ~= 'wait' or second ~= '' or its_content ~= '' then
      for _, part in ipairs({(i - 1) / 2, first, content, second, its_content}) do
        unusual[#unusual + 1] = part
      end
    end
  end
end

local alone, answers = cjson.decode(ARGV[5]), {}
for i = 1, #alone, 3 do
  local number = (i - 1) / 3
  local outcome, content = bring(alone[i], alone[i + 1], alone[i + 2], ARGV[6 + number])
  if outcome ~= 'wait' then
    for _, part in ipairs({number, outcome, content}) do
      answers[#answers + 1] = part
    end
  end
end
return {unusual, answers}
