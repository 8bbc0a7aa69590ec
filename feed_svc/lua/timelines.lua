#!lua name=heliograph_feed

-- Timelines: one sorted set a person, described in feed_svc/cache. The member "floor" marks where the timeline's
-- knowledge ends; a set without it is not a timeline, whatever stands in it. Beside it a hash: g = generation that it
-- reflects, b = when it was built, p = followed authors who are pulled, a = as of when that is known.

-- Read a timeline below a place, with all that a feed read wants to know of its viewer, in one answer.
-- KEYS 1: timeline, 2: its hash, 3: pulled first page. ARGV 1: score to begin with, 2: most members.
-- Returns {score of the floor or nil, members joined by commas, how many these are, generation or nil, pulled authors or
-- nil, as of, milliseconds left to live, page or nil}.
local function read_home(keys, args)
    local floor = redis.call('ZSCORE', keys[1], 'floor')
    if not floor then
        local newest = redis.call('ZRANGE', keys[1], 0, 0)
        return {false, newest[1] or '', 0, false, false, false, -2, redis.call('GET', keys[3])}
    end
    local members = redis.call('ZRANGE', keys[1], args[1], '+inf', 'BYSCORE', 'LIMIT', 0, args[2])
    local about = redis.call('HMGET', keys[2], 'g', 'p', 'a')
    return {floor, table.concat(members, ','), #members, about[1], about[2], about[3], redis.call('PTTL', keys[1]), false}
end

-- Put posts into a timeline that exists, and note the generation that it reflects by that.
-- KEYS 1: timeline, 2: its hash. ARGV 1: generation before, 2: generation after, 3: score of the floor down to which these
-- are all that is new, '' for all the way down, 4: pulled authors or '', 5: as of, 6...: score and post id in turn.
-- Returns 1, or 0 when there is no timeline. The generation stays, and the next read builds anew, when something is still
-- missing: the generation before isn't the one that the timeline reflects (somebody else's change), or the timeline
-- reaches further down than the posts (it was being built when its floor was asked for).
local function add_posts(keys, args)
    local floor = redis.call('ZSCORE', keys[1], 'floor')
    if not floor then
        return 0
    end
    for i = 6, #args, 2 do
        redis.call('ZADD', keys[1], args[i], args[i + 1])
    end
    local is_deep = args[3] == '' or tonumber(floor) <= tonumber(args[3])
    if is_deep and redis.call('HGET', keys[2], 'g') == args[1] then
        redis.call('HSET', keys[2], 'g', args[2])
        if args[5] ~= '' then
            redis.call('HSET', keys[2], 'p', args[4], 'a', args[5])
        end
    end
    return 1
end

-- Take posts out of a timeline, as long as it reflects the generation at which they were found not to belong there: a
-- follow since has put them back.
-- KEYS 1: timeline, 2: its hash. ARGV 1: generation, 2...: post ids. Returns how many were removed.
local function remove_posts(keys, args)
    if redis.call('HGET', keys[2], 'g') ~= args[1] then
        return 0
    end
    local removed = 0
    for i = 2, #args do
        removed = removed + redis.call('ZREM', keys[1], args[i])
    end
    return removed
end

-- Cut what is beyond the greatest length, in bulk.
-- KEYS 1: timeline. ARGV 1: greatest number of posts. Returns how many were cut.
local function trim(keys, args)
    if not redis.call('ZSCORE', keys[1], 'floor') then
        return 0
    end
    -- The floor moves up to the newest post that is cut off, so that no gap opens above it.
    local cut = redis.call('ZRANGE', keys[1], args[1], -1, 'WITHSCORES')
    local floor = nil
    local gone = {}
    for i = 1, #cut, 2 do
        if cut[i] ~= 'floor' then
            floor = floor or cut[i + 1]
            gone[#gone + 1] = cut[i]
        end
    end
    if floor then
        redis.call('ZADD', keys[1], 'LT', floor, 'floor')
        for i = 1, #gone, 500 do
            redis.call('ZREM', keys[1], unpack(gone, i, math.min(i + 499, #gone)))
        end
    end
    return #gone
end

-- Begin to build a timeline: from now on pushes reach it, and it says that it knows nothing yet.
-- KEYS 1: timeline, 2: its hash, 3: its build lock. ARGV 1: token of the builder, 2: life of the lock in seconds, 3: score
-- of the newest possible floor, 4: generation that a timeline must reflect to be kept, '' to build in any case. Returns 1
-- when this builder may go on, 0 when there is such a timeline or another builder.
local function open_timeline(keys, args)
    if args[4] ~= '' and redis.call('ZSCORE', keys[1], 'floor') and redis.call('HGET', keys[2], 'g') == args[4] then
        return 0
    end
    if not redis.call('SET', keys[3], args[1], 'NX', 'EX', args[2]) then
        return 0
    end
    redis.call('DEL', keys[1], keys[2])
    redis.call('ZADD', keys[1], args[3], 'floor')
    redis.call('EXPIRE', keys[1], args[2] * 2)
    return 1
end

-- Finish a timeline with what Postgres said after it was opened. Pushes that came meanwhile stay.
-- KEYS 1: timeline, 2: its hash, 3: its build lock. ARGV 1: token of the builder, 2: score of the floor, 3: life of the
-- timeline in seconds, 4: generation, 5: when it was built, 6: pulled authors, 7: as of, 8...: score and post id in turn.
-- Returns 1, or 0 when the timeline was lost, or opened by somebody else, since.
local function fill_timeline(keys, args)
    if redis.call('GET', keys[3]) ~= args[1] or not redis.call('ZSCORE', keys[1], 'floor') then
        return 0
    end
    for i = 8, #args, 2 do
        redis.call('ZADD', keys[1], args[i], args[i + 1])
    end
    redis.call('ZADD', keys[1], args[2], 'floor')
    redis.call('EXPIRE', keys[1], args[3])
    redis.call('HSET', keys[2], 'g', args[4], 'b', args[5], 'p', args[6], 'a', args[7])
    redis.call('EXPIRE', keys[2], args[3])
    redis.call('DEL', keys[3])
    return 1
end

-- Note who is pulled, unless the viewer's own doing has gone on since.
-- KEYS 1: hash of a timeline. ARGV 1: generation, 2: pulled authors, 3: as of. Returns 1 when it was noted.
local function note_pulled(keys, args)
    if redis.call('HGET', keys[1], 'g') ~= args[1] then
        return 0
    end
    redis.call('HSET', keys[1], 'p', args[2], 'a', args[3])
    return 1
end

-- Keep a person's profile as it stands beside posts, unless a newer one is kept.
-- KEYS 1: profile. ARGV 1: version, 2: life in seconds, 3: encoded profile. Returns 1 when it was kept.
local function put_summary(keys, args)
    local known = redis.call('GETRANGE', keys[1], 0, 19)
    if known ~= '' and known > args[1] then
        return 0
    end
    redis.call('SET', keys[1], args[1] .. args[3], 'EX', args[2])
    return 1
end

redis.register_function{function_name='heliograph_read_home', callback=read_home, flags={'no-writes'}}
redis.register_function('heliograph_add_posts', add_posts)
redis.register_function('heliograph_remove_posts', remove_posts)
redis.register_function('heliograph_trim', trim)
redis.register_function('heliograph_open_timeline', open_timeline)
redis.register_function('heliograph_fill_timeline', fill_timeline)
redis.register_function('heliograph_note_pulled', note_pulled)
redis.register_function('heliograph_put_summary', put_summary)
