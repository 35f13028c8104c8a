-- Bring the two halves of events together. Which half completes an event is decided once, so that a half brought
-- again gets the answer it got before. Halves that met in a batch come without content, which Redis never sees.
--
-- KEYS[1] waiting   sorted set: "<kind> <place> <event>" by the time when it has waited long enough, ms
-- KEYS[2]           what the key of each event begins with, its id coming after. There, as a string:
--                   "<kind> <place> <by>\n<content>" of the half that was first; by is the place of the half that
--                   completes it, "-" while there is none, or "late" when none came in time
-- ARGV    how long a half waits, how long an event is remembered after that (both in ms),
--         JSON: event, and "<kind> <place> <place of the other half>\n", of each two halves that met,
--         JSON: event, kind, place, of each half that is alone, then the content of each of these
-- returns {{number, outcome, content, outcome of the other half, content, ... of halves that met},
--          {number, outcome, content, ... of halves alone}}, only where it is not that the second one completes
--         the event, or that the half waits. Outcomes: "" complete, with the other half's content unless both
--         were brought; "wait"; "late": the other has waited in vain; "again": the event has such a half

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local wait_ms, keep_ms = tonumber(ARGV[1]), tonumber(ARGV[2])
local waiting, events = KEYS[1], KEYS[2]

local function remember(event, kind, place, by, content, ms)
  redis.call('SET', events .. event, kind .. ' ' .. place .. ' ' .. by .. '\n' .. content, 'PX', ms)
end

local function bring(event, kind, place, half)
  local known = redis.call('GET', events .. event)
  if not known then
    remember(event, kind, place, '-', half, wait_ms + keep_ms)
    redis.call('ZADD', waiting, now + wait_ms, kind .. ' ' .. place .. ' ' .. event)
    return 'wait', ''
  end
  local its_kind, its_place, by, content = string.match(known, '^(%S+) (%S+) (%S+)\n(.*)$')
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
local met, unusual = cjson.decode(ARGV[3]), {}
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

local alone, answers = cjson.decode(ARGV[4]), {}
for i = 1, #alone, 3 do
  local number = (i - 1) / 3
  local outcome, content = bring(alone[i], alone[i + 1], alone[i + 2], ARGV[5 + number])
  if outcome ~= 'wait' then
    for _, part in ipairs({number, outcome, content}) do
      answers[#answers + 1] = part
    end
  end
end
return {unusual, answers}
