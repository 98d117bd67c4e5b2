-- What spending a proof would come to, as far as the ledger's state says; nothing is written. Whether that state is
-- of this history of writes is for `spend.lua` to judge, with which each gateway beats.
-- KEYS: the proof, the ledger's state (a hash). ARGV: created in ms ('' for none), the gateway's clock in ms.
-- Answers { word, wait in ms }.
local FUTURE, CLOCKS = 30000, 30000
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local state = redis.call('HMGET', KEYS[2], 'cut_off', 'trial')
local cut_off, trial = tonumber(state[1] or '') or 0, tonumber(state[2] or '') or 0
local created, gateway = tonumber(ARGV[1]), tonumber(ARGV[2])
if gateway + CLOCKS < now then return { 'clock-behind', 0 } end
if created and created > now + FUTURE then return { 'clock-ahead', 0 } end
if created and (created <= cut_off or now < trial) then
  return { 'predates', math.max(math.ceil((cut_off + 1) / 1000) * 1000 - now, 0) }
end
return { redis.call('EXISTS', KEYS[1]) == 1 and 'replayed' or 'once', 0 }
