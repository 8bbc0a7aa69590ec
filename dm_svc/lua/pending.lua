#!lua name=heliograph_dm

-- Add entries to a pending inbox, keep the newest ones, and let it live on.
-- KEYS[1]  the sorted set
-- ARGV[1]  entries to keep
-- ARGV[2]  seconds to live from now
-- ARGV[3]  1: forget everything that is in it first, since something was taken back
-- ARGV[4]  useq, ARGV[5] entry, and so on in pairs
-- Returns how many entries are new.
local function push_pending(keys, args)
    if args[3] == '1' then
        redis.call('DEL', keys[1])
    end
    local added = 0
    for at = 4, #args, 2 do
        added = added + redis.call('ZADD', keys[1], args[at], args[at + 1])
    end
    redis.call('ZREMRANGEBYRANK', keys[1], 0, -tonumber(args[1]) - 1)
    redis.call('EXPIRE', keys[1], args[2])
    return added
end

redis.register_function('heliograph_push_pending', push_pending)
