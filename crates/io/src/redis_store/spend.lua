-- Spends a proof once. KEYS: the proof, the ledger's state (a hash).
-- ARGV: created in ms ('' for none), until in ms ('' for no proof: a gateway only says that it is there),
-- how long it lives yet in ms, the gateway's clock in ms; then what this gateway saw last: the
-- replication id, how many were spent, the server's clock ('' for nothing yet); and whether the gateway
-- has read that the server writes before it acknowledges ('1', '0', '' where it does not say).
-- Answers { word, wait in ms, replication id, how many were spent, the server's clock in ms }.
local FUTURE, RETENTION, CLOCKS, TRIAL = 30000, 60000, 30000, 2000
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local info = redis.call('INFO', 'replication')
local replid = string.match(info, 'master_replid:(%x+)')
if not replid then return { 'no-replid', 0, '', 0, now } end
local function whole(number) return string.format('%.0f', number) end

local state = redis.call('HMGET', KEYS[2], 'replid', 'cut_off', 'since', 'count', 'durable', 'replicas',
  'before', 'before_count', 'trial')
local cut_off, since = tonumber(state[2] or ''), tonumber(state[3] or '')
local count, trial = tonumber(state[4] or '') or 0, tonumber(state[9] or '') or 0
local known, known_count, known_time = ARGV[5], tonumber(ARGV[6]) or 0, tonumber(ARGV[7]) or 0
local before = cut_off
local replicas = tonumber(string.match(info, 'connected_slaves:(%d+)')) ~= 0
  or not string.find(info, 'role:master', 1, true)
if state[1] ~= replid or not cut_off or not since then
  -- Another history of writes than the one that the ledger was kept in: a restart, a fail-over,
  -- an emptied server. What was spent there may be unknown here. Where neither Redis nor this
  -- gateway has seen one before, nothing was spent that anybody remembers: a first start.
  local promoted = string.match(info, 'master_replid2:(%x+)') ~= string.rep('0', 40)
  local all_here = state[1] and cut_off and since and known == state[1] and known_count <= count
    and known_time <= now and state[5] == '1' and state[6] ~= '1' and not replicas and not promoted
    and string.find(redis.call('INFO', 'persistence'), 'aof_enabled:1', 1, true)
  since = now
  if all_here then
    -- The same server with all that it acknowledged, as far as this gateway can tell. The others have
    -- until the trial is over to say that they know of more.
    trial = now + TRIAL
    cut_off = math.max(cut_off, trial)
  else
    trial = 0
    cut_off = math.max(cut_off or 0, (state[1] or known ~= '') and now + FUTURE or now)
  end
  redis.call('HSET', KEYS[2], 'before', state[1] or '', 'before_count', whole(count), 'trial', whole(trial),
    'replicas', replicas and '1' or '0')
  state[6] = replicas and '1' or '0'
  -- What was read of the life before says nothing of this one.
  redis.call('HDEL', KEYS[2], 'durable')
  state[5] = false
  count = math.max(count, known_count)
  redis.call('HSET', KEYS[2], 'count', whole(count))
elseif known ~= '' and known ~= replid then
  -- This gateway saw an earlier history. If that was the one before, and the others vouched for it with
  -- all that this one knows of, it agrees. Else a gateway without memory may have been here first and
  -- found an empty server, or one with less.
  local agrees = trial > 0 and known == state[7] and known_count <= tonumber(state[8] or '-1')
  if not agrees then cut_off = math.max(cut_off, since + FUTURE) end
end
if cut_off ~= before or state[1] ~= replid then
  redis.call('HSET', KEYS[2], 'replid', replid, 'cut_off', whole(cut_off), 'since', whole(since))
end
if replicas and state[6] ~= '1' then redis.call('HSET', KEYS[2], 'replicas', '1') end
-- The least that any gateway has read in this life: what was written at that moment may be gone.
if ARGV[8] == '0' and state[5] ~= '0' or ARGV[8] == '1' and not state[5] then
  redis.call('HSET', KEYS[2], 'durable', ARGV[8])
end
if ARGV[2] == '' then
  -- After a first start: until a second begins that is wholly behind the cut-off.
  return { 'adopted', before and 0 or 1000 - now % 1000, replid, count, now }
end

local created, gateway = tonumber(ARGV[1]), tonumber(ARGV[4])
-- A gateway behind accepts proofs for longer than they are remembered here.
if gateway + CLOCKS < now then return { 'clock-behind', 0, replid, count, now } end
-- The cut-off covers proofs up to FUTURE: none beyond may pass.
if created and created > now + FUTURE then return { 'clock-ahead', 0, replid, count, now } end
if created and (created <= cut_off or now < trial) then
  -- Proofs tell whole seconds: until one begins that is wholly behind the cut-off.
  local wait = math.ceil((cut_off + 1) / 1000) * 1000 - now
  return { 'predates', math.max(wait, 0), replid, count, now }
end
local keep = math.max(tonumber(ARGV[2]), now + tonumber(ARGV[3])) + RETENTION
if redis.call('SET', KEYS[1], '', 'NX', 'PXAT', whole(keep)) then
  return { 'once', 0, replid, redis.call('HINCRBY', KEYS[2], 'count', 1), now }
end
return { 'replayed', 0, replid, count, now }
