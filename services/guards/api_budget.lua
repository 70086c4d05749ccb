-- One viewer's budget, a leaky bucket: what is spent fills it, time empties it at an even pace.
--
-- KEYS: the bucket.  ARGV: what to spend, how much the bucket holds, how much leaks out per second, the time in
-- microseconds (empty: by Redis's own clock).
-- Kept is one number: the moment (in microseconds) at which the bucket will be empty. It expires then, for an empty
-- bucket is no bucket.

local cost, capacity, pace = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])

local now = tonumber(ARGV[4])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end

local per_unit = 1000000 / pace
local whole = capacity * per_unit
-- Neither a clock that stepped back nor a smaller budget may keep anybody out for longer than a whole budget takes.
local filled = math.min(math.max(0, (tonumber(redis.call('GET', KEYS[1])) or 0) - now), whole)

-- What costs more than the whole budget passes when the bucket is empty, and fills it.
local wanted = math.min(cost * per_unit, whole)
local lacking = math.max(0, filled + wanted - whole)

if lacking == 0 and wanted > 0 then
  filled = filled + wanted
  redis.call('SET', KEYS[1], string.format('%.0f', now + filled), 'PX', math.ceil(filled / 1000))
end

return {lacking == 0 and 1 or 0, math.floor((whole - filled) / per_unit), math.ceil(filled), math.ceil(lacking)}
