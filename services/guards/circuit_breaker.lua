-- One circuit breaker in one hash, for all processes. Every run is one step of the machine, and atomic.
--
-- KEYS: the breaker's hash, the set of all breakers' names.  ARGV: the name, and what is asked for as JSON.
-- Times are milliseconds by Redis's own clock, so that no machine's clock matters (tests send a time of theirs).
--
-- Every change of state begins a new generation. A call reports under the generation it was let through in; whatever
-- comes from an earlier one, a slow success above all, changes nothing. A lost hash begins anew, closed.

local KEPT = 30 * 24 * 3600 * 1000
local HISTORY = 10
local BUCKETS = 10

local key, names = KEYS[1], KEYS[2]
local name, ask = ARGV[1], cjson.decode(ARGV[2])

local now = ask.now
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

local FIELDS = {'state', 'generation', 'failures', 'opened_at', 'probe', 'probe_until', 'forced_by'}
local breaker, change = {}, nil

local function read()
  local values = redis.call('HMGET', key, unpack(FIELDS))
  for place, field in ipairs(FIELDS) do breaker[field] = values[place] or nil end
  for _, field in ipairs({'generation', 'failures', 'opened_at', 'probe_until'}) do
    breaker[field] = tonumber(breaker[field])
  end
  breaker.state, breaker.generation = breaker.state or 'CLOSED', breaker.generation or now
  breaker.failures = breaker.failures or 0
  -- A clock that stepped back must not lengthen a wait.
  for field, latest in pairs({opened_at = now, probe_until = now + ask.lease}) do
    if (breaker[field] or 0) > latest then
      breaker[field] = latest
      redis.call('HSET', key, field, latest)
    end
  end
end

local function move(to, reason, by)
  local history = cjson.decode(redis.call('HGET', key, 'history') or '[]')
  change = {from = breaker.state, to = to, at = now, reason = by and reason .. ' by ' .. by or reason, by = by}
  table.insert(history, 1, change)
  history[HISTORY + 1] = nil

  local opened_at = breaker.opened_at
  if to == 'OPEN' then opened_at = now elseif to == 'CLOSED' then opened_at = nil end
  local failures = to == 'CLOSED' and 0 or breaker.failures
  local forced_by = to == 'OPEN' and by or nil
  breaker = {
    state = to, generation = breaker.generation + 1, failures = failures, opened_at = opened_at, forced_by = forced_by,
  }
  redis.call('DEL', key)
  redis.call('HSET', key, 'failures', failures, 'history', cjson.encode(history))
  if opened_at then redis.call('HSET', key, 'opened_at', opened_at) end
  if forced_by then redis.call('HSET', key, 'forced_by', forced_by) end
end

-- The calls begun lately: a ring of buckets, each 'number calls failures', that together span `ask.window`.
local function bucket_of(number)
  local field = 'bucket:' .. number % BUCKETS
  local found, calls, failures = string.match(redis.call('HGET', key, field) or '', '^(%d+) (%-?%d+) (%d+)$')
  if tonumber(found) ~= number then return field, 0, 0 end
  return field, tonumber(calls), tonumber(failures)
end

local function present_bucket()
  return math.floor(now * BUCKETS / ask.window)
end

local function tally(number, more_calls, more_failures)
  if number <= present_bucket() - BUCKETS then return end
  local field, calls, failures = bucket_of(number)
  redis.call('HSET', key, field, number .. ' ' .. calls + more_calls .. ' ' .. failures + more_failures)
end

local function lately()
  local calls, failures = 0, 0
  for number = present_bucket() - BUCKETS + 1, present_bucket() do
    local _, more_calls, more_failures = bucket_of(number)
    calls, failures = calls + more_calls, failures + more_failures
  end
  return calls, failures
end

local function retry_after()
  if breaker.state == 'CLOSED' then return 0 end
  if breaker.forced_by then return nil end
  if breaker.state == 'OPEN' then return math.max(0, breaker.opened_at + ask.open_for - now) end
  return breaker.probe and math.max(0, breaker.probe_until - now) or 0
end

local asked = {}

-- How does it stand? Changes nothing.
function asked.look()
  return true
end

-- May this call pass? Of those that come once the time is over, one: it holds the probe, by its token.
function asked.admit()
  if breaker.state == 'CLOSED' then
    tally(present_bucket(), 1, 0)
    return true
  end
  if breaker.probe == ask.token then return true end
  if retry_after() ~= 0 then return false end
  if breaker.state == 'OPEN' then move('HALF_OPEN', 'time for a probe') end
  breaker.probe, breaker.probe_until = ask.token, now + ask.lease
  redis.call('HSET', key, 'probe', breaker.probe, 'probe_until', breaker.probe_until)
  return true
end

-- The probe's process lives.
function asked.renew()
  if breaker.probe ~= ask.token then return false end
  breaker.probe_until = now + ask.lease
  redis.call('HSET', key, 'probe_until', breaker.probe_until)
  return true
end

local function count_failure()
  breaker.failures = breaker.failures + 1
  redis.call('HSET', key, 'failures', breaker.failures)
  tally(ask.bucket, 0, 1)
  if breaker.failures >= ask.threshold then return move('OPEN', breaker.failures .. ' failures in a row') end
  local calls, failures = lately()
  if calls >= ask.minimum and failures >= ask.rate * calls then
    move('OPEN', failures .. ' of the last ' .. calls .. ' calls failed')
  end
end

-- How a call ended.
function asked.report()
  if breaker.generation ~= ask.generation then return false end
  if breaker.state == 'CLOSED' then
    if ask.verdict == 'SUCCESS' then
      breaker.failures = 0
      redis.call('HSET', key, 'failures', 0)
    elseif ask.verdict == 'FAILURE' then count_failure()
    else tally(ask.bucket, -1, 0) end
    return true
  end
  if breaker.probe ~= ask.token then return false end
  if ask.verdict == 'SUCCESS' then move('CLOSED', 'the probe succeeded')
  elseif ask.verdict == 'FAILURE' then
    breaker.failures = breaker.failures + 1
    move('OPEN', 'the probe failed')
  else
    breaker.probe, breaker.probe_until = nil, nil
    redis.call('HDEL', key, 'probe', 'probe_until')
  end
  return true
end

function asked.open()
  move('OPEN', 'opened', ask.by)
  return true
end

function asked.close()
  move('CLOSED', 'closed', ask.by)
  return true
end

-- Closed, and nothing of the past remains.
function asked.reset()
  redis.call('HDEL', key, 'history')
  move('CLOSED', 'reset', ask.by)
  return true
end

read()
local granted = asked[ask.what]()
if ask.what ~= 'look' then
  redis.call('HSET', key, 'state', breaker.state, 'generation', breaker.generation)
  redis.call('SADD', names, name)
  redis.call('PEXPIRE', key, KEPT)
  redis.call('PEXPIRE', names, KEPT)
end
return cjson.encode({
  granted = granted, now = now, state = breaker.state, generation = breaker.generation, failures = breaker.failures,
  opened_at = breaker.opened_at, forced_by = breaker.forced_by, retry_after = retry_after(), bucket = present_bucket(),
  change = change, history = ask.with_history and redis.call('HGET', key, 'history') or nil,
})
