-- KEYS: the entry. ARGV: the expected value, or nothing at all for whatever is there.
local held = redis.call('GET', KEYS[1])
if not held then return false end
if string.byte(held, 1) ~= 1 then return redis.error_reply('CORRUPT another version') end
if ARGV[1] and string.sub(held, 10) ~= ARGV[1] then return false end
redis.call('DEL', KEYS[1])
return held
