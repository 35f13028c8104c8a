-- Find partial windows that are old enough to close and hold enough.
--
-- KEYS[1] open       hash: segment -> <head of the open window><its latest packed scores>
-- KEYS[2] details    hash: segment -> details of the open window
-- ARGV    now, age at which a window closes (both in ms), fewest scores of it
-- returns {segment, open window, details or "", segment, open window, details or "", ...}

local now, age, least = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local stored = redis.call('HGETALL', KEYS[1])
local due = {}
for i = 1, #stored, 2 do
  local _, count, _, _, low, high = struct.unpack('<I4I4I4I4I4I4', stored[i + 1])
  local opened = high * 4294967296 + low
  -- A window that was opened long after now was opened before the clock was set back.
  if opened > 0 and count >= least and math.abs(now - opened) >= age then
    due[#due + 1] = stored[i]
    due[#due + 1] = stored[i + 1]
    due[#due + 1] = redis.call('HGET', KEYS[2], stored[i]) or ''
  end
end
return due
