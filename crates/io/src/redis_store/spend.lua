-- Spends a proof once. KEYS: the proof, the ledger's state (a hash).
-- ARGV: created in ms ('' for none), until in ms, how long it lives yet in ms, the gateway's
-- clock in ms, the replication id that this gateway has seen before ('' for none).
-- Answers { word, wait in ms, replication id }.
local FUTURE, RETENTION, CLOCKS = 30000, 60000, 30000
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local replid = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
if not replid then return { 'no-replid', 0, '' } end

local state = redis.call('HMGET', KEYS[2], 'replid', 'cut_off', 'since')
local cut_off, since = tonumber(state[2] or ''), tonumber(state[3] or '')
local known = ARGV[5]
local before = cut_off
if state[1] ~= replid or not cut_off or not since then
  -- Another history of writes than the one that the ledger was kept in: a restart, a fail-over,
  -- an emptied server. What was spent there may be unknown here. Where neither Redis nor this
  -- gateway has seen one before, nothing was spent that anybody remembers: a first start.
  since = now
  cut_off = math.max(cut_off or 0, (state[1] or known ~= '') and now + FUTURE or now)
elseif known ~= '' and known ~= replid then
  -- A gateway without memory may have been here first and found an empty server.
  cut_off = math.max(cut_off, since + FUTURE)
end
if cut_off ~= before or state[1] ~= replid then
  redis.call('HSET', KEYS[2], 'replid', replid, 'cut_off', string.format('%.0f', cut_off), 'since',
    string.format('%.0f', since))
end
if ARGV[2] == '' then
  -- After a first start: until a second begins that is wholly behind the cut-off.
  return { 'adopted', before and 0 or 1000 - now % 1000, replid }
end

local created, gateway = tonumber(ARGV[1]), tonumber(ARGV[4])
-- A gateway behind accepts proofs for longer than they are remembered here.
if gateway + CLOCKS < now then return { 'clock-behind', 0, replid } end
-- The cut-off covers proofs up to FUTURE: none beyond may pass.
if created and created > now + FUTURE then return { 'clock-ahead', 0, replid } end
if created and created <= cut_off then return { 'predates', math.max(cut_off - now, 0), replid } end
local keep = math.max(tonumber(ARGV[2]), now + tonumber(ARGV[3])) + RETENTION
if redis.call('SET', KEYS[1], '', 'NX', 'PXAT', string.format('%.0f', keep)) then
  return { 'once', 0, replid }
end
return { 'replayed', 0, replid }
