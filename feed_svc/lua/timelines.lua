#!lua name=heliograph_feed

-- Timelines: one sorted set a person, described in feed_svc/cache.py. The member "floor" marks where the timeline's
-- knowledge ends; a set without it is not a timeline, whatever stands in it.

-- Push one post into a timeline that exists.
-- KEYS 1: timeline. ARGV 1: score, 2: post id, 3: greatest number of posts, 4: post ids trimmed at once.
-- Returns 1 when it was pushed, 0 when there is no timeline.
local function push_post(keys, args)
    if not redis.call('ZSCORE', keys[1], 'floor') then
        return 0
    end
    redis.call('ZADD', keys[1], args[1], args[2])
    local length = tonumber(args[3])
    if redis.call('ZCARD', keys[1]) - 1 - length >= tonumber(args[4]) then
        -- The floor moves up to the newest post that is cut off, so that no gap opens above it.
        local cut = redis.call('ZRANGE', keys[1], length, -1, 'WITHSCORES')
        local floor = nil
        for i = 1, #cut, 2 do
            if cut[i] ~= 'floor' then
                floor = floor or cut[i + 1]
                redis.call('ZREM', keys[1], cut[i])
            end
        end
        redis.call('ZADD', keys[1], 'LT', floor, 'floor')
    end
    return 1
end

-- Begin to build a timeline: from now on pushes reach it, and it says that it knows nothing yet.
-- KEYS 1: timeline, 2: its build lock. ARGV 1: token of the builder, 2: life of the lock in seconds, 3: score of the
-- newest possible floor. Returns 1 when this builder may go on, 0 when there is a timeline or another builder.
local function open_timeline(keys, args)
    if redis.call('ZSCORE', keys[1], 'floor') and redis.call('ZCARD', keys[1]) > 1 then
        return 0
    end
    if not redis.call('SET', keys[2], args[1], 'NX', 'EX', args[2]) then
        return 0
    end
    redis.call('DEL', keys[1])
    redis.call('ZADD', keys[1], args[3], 'floor')
    return 1
end

-- Finish a timeline with what Postgres said after it was opened. Pushes that came meanwhile stay.
-- KEYS 1: timeline, 2: its build lock. ARGV 1: token of the builder, 2: score of the floor, 3: life of the timeline in
-- seconds, 4...: score and post id in turn. Returns 1, or 0 when the timeline was dropped or lost since.
local function fill_timeline(keys, args)
    if redis.call('GET', keys[2]) ~= args[1] or not redis.call('ZSCORE', keys[1], 'floor') then
        return 0
    end
    for i = 4, #args, 2 do
        redis.call('ZADD', keys[1], args[i], args[i + 1])
    end
    redis.call('ZADD', keys[1], args[2], 'floor')
    redis.call('EXPIRE', keys[1], args[3])
    redis.call('DEL', keys[2])
    return 1
end

redis.register_function('heliograph_push_post', push_post)
redis.register_function('heliograph_open_timeline', open_timeline)
redis.register_function('heliograph_fill_timeline', fill_timeline)
