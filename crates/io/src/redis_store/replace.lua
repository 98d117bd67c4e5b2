-- KEYS: the entry. ARGV: the old value, the new envelope, its expiry in ms ('' for none).
-- An envelope is a version byte, eight bytes of expiry, and the value.
local held = redis.call('GET', KEYS[1])
if not held then return 0 end
if string.byte(held, 1) ~= 1 then return redis.error_reply('CORRUPT another version') end
if string.sub(held, 10) ~= ARGV[1] then return 0 end
if ARGV[3] == '' then
  redis.call('SET', KEYS[1], ARGV[2])
else
  redis.call('SET', KEYS[1], ARGV[2], 'PXAT', ARGV[3])
end
return 1
