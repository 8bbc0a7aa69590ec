#!lua name=heliograph_feed

-- Timelines, described in feed_svc/cache: a sorted set of the newest posts a person, whose member "floor" marks where the
-- timeline's knowledge ends; a set without it is not a timeline, whatever stands in it. Beside it a hash: g = generation
-- that the timeline reflects, b = when it was built, p = followed authors who are pulled, a = as of when that is known.
-- And the shelf: a list of pieces, each of them older posts joined by commas, all newest first.

local BEING_BUILT = '-9007199254740991'

-- Post ids don't fit a Lua number: they are compared as text, and divided in two parts.
local function is_newer(one, other)
    return #one > #other or #one == #other and one > other
end

local function score_of(id)
    local high, low = tonumber(string.sub(id, 1, -10)) or 0, tonumber(string.sub(id, -9))
    -- 10^9 = 976562 * 2^10 + 512
    return string.format('%.0f', -(high * 976562 + math.floor((high * 512 + low) / 1024)))
end

-- Put ids onto a shelf among which they belong, in pieces of a size; ids that stand there already are not doubled.
local function sort_in(key, ids, size)
    local seen = {}
    for _, id in ipairs(ids) do
        seen[id] = true
    end
    for id in string.gmatch(table.concat(redis.call('LRANGE', key, 0, -1), ','), '%d+') do
        if not seen[id] then
            ids[#ids + 1] = id
        end
    end
    table.sort(ids, is_newer)
    redis.call('DEL', key)
    for first = 1, #ids, size do
        redis.call('RPUSH', key, table.concat(ids, ',', first, math.min(first + size - 1, #ids)))
    end
end

-- Read a timeline below a place, with all that a feed read wants to know of its viewer, in one answer.
-- KEYS 1: timeline, 2: its hash, 3: its shelf, 4: pulled first page. ARGV 1: score to begin with, 2: most members.
-- Returns {score of the floor or nil, members joined by commas, how many these are, generation or nil, pulled authors or
-- nil, as of, milliseconds left to live, page or nil, shelf or '' when the members are all newer}.
local function read_home(keys, args)
    local floor = redis.call('ZSCORE', keys[1], 'floor')
    if not floor then
        local newest = redis.call('ZRANGE', keys[1], 0, 0)
        return {false, newest[1] or '', 0, false, false, false, -2, redis.call('GET', keys[4]), ''}
    end
    local members = redis.call('ZRANGE', keys[1], args[1], '+inf', 'BYSCORE', 'LIMIT', 0, args[2])
    local about = redis.call('HMGET', keys[2], 'g', 'p', 'a')
    local last, shelf = members[tonumber(args[2])], ''
    local newest = string.match(redis.call('LINDEX', keys[3], 0) or '', '^%d+')
    if newest and not (last and last ~= 'floor' and is_newer(last, newest)) then
        shelf = table.concat(redis.call('LRANGE', keys[3], 0, -1), ',')
    end
    local life = redis.call('PTTL', keys[1])
    return {floor, table.concat(members, ','), #members, about[1], about[2], about[3], life, false, shelf}
end

-- Put what a timeline's set has beyond its newest posts onto the shelf, as a piece, and cut the shelf.
-- KEYS 1: timeline, 2: its shelf. ARGV 1: how many posts the set keeps, 2: size of a piece, 3: how many pieces the shelf
-- may have, 4: life of the shelf in seconds. Returns how many posts were put onto it.
local function fold(keys, args)
    local floor = redis.call('ZSCORE', keys[1], 'floor')
    if not floor or tonumber(floor) == tonumber(BEING_BUILT) then
        return 0
    end
    local moved = redis.call('ZRANGE', keys[1], args[1], -1)
    for place = #moved, 1, -1 do
        if moved[place] == 'floor' then
            table.remove(moved, place)
            break
        end
    end
    local count = #moved
    if count == 0 then
        return 0
    end
    redis.call('ZREMRANGEBYRANK', keys[1], args[1], -1)
    -- Posts that share a place stand in any order, which the margins of reading allow for.
    local newest = string.match(redis.call('LINDEX', keys[2], 0) or '', '^%d+')
    if count <= 2 * args[2] and (not newest or is_newer(moved[count], newest)) then
        redis.call('LPUSH', keys[2], table.concat(moved, ','))
    else
        sort_in(keys[2], moved, tonumber(args[2]))
    end
    redis.call('EXPIRE', keys[2], args[4])
    while redis.call('LLEN', keys[2]) > tonumber(args[3]) do
        -- The floor moves up to the newest post that is cut off, so that no gap opens above it.
        local score = score_of(string.match(redis.call('RPOP', keys[2]), '^%d+'))
        if tonumber(score) < tonumber(floor) then
            floor = score
        end
    end
    redis.call('ZADD', keys[1], floor, 'floor')
    return count
end

-- Take posts out of a timeline, as long as it reflects the generation at which they were found not to belong there: a
-- follow since has put them back.
-- KEYS 1: timeline, 2: its hash, 3: its shelf. ARGV 1: generation, 2...: post ids. Returns how many were removed.
local function remove_posts(keys, args)
    if redis.call('HGET', keys[2], 'g') ~= args[1] then
        return 0
    end
    local removed, gone = 0, {}
    for i = 2, #args do
        removed = removed + redis.call('ZREM', keys[1], args[i])
        gone[args[i]] = true
    end
    for place, piece in ipairs(redis.call('LRANGE', keys[3], 0, -1)) do
        local before, kept = removed, {}
        for id in string.gmatch(piece, '%d+') do
            if gone[id] then
                removed = removed + 1
            else
                kept[#kept + 1] = id
            end
        end
        -- A piece keeps one id at least: it says where the piece stands. What may not be seen is hidden at reading.
        if removed > before and #kept > 0 then
            redis.call('LSET', keys[3], place - 1, table.concat(kept, ','))
        end
    end
    return removed
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

-- Begin to build a timeline: from now on pushes reach it, and it says that it knows nothing yet.
-- KEYS 1: timeline, 2: its hash, 3: its shelf, 4: its build lock. ARGV 1: token of the builder, 2: life of the lock in
-- seconds, 3: generation that a timeline must reflect to be kept, '' to build in any case. Returns 1 when this builder may
-- go on, 0 when there is such a timeline or another builder.
local function open_timeline(keys, args)
    if args[3] ~= '' and redis.call('ZSCORE', keys[1], 'floor') and redis.call('HGET', keys[2], 'g') == args[3] then
        return 0
    end
    if not redis.call('SET', keys[4], args[1], 'NX', 'EX', args[2]) then
        return 0
    end
    redis.call('DEL', keys[1], keys[2], keys[3])
    redis.call('ZADD', keys[1], BEING_BUILT, 'floor')
    redis.call('EXPIRE', keys[1], args[2] * 2)
    return 1
end

-- Finish a timeline with what Postgres said after it was opened. Pushes that came meanwhile stay.
-- KEYS 1: timeline, 2: its hash, 3: its shelf, 4: its build lock. ARGV 1: token of the builder, 2: score of the floor,
-- 3: life of the timeline in seconds, 4: life of the shelf, 5: generation, 6: when it was built, 7: pulled authors, 8: as of,
-- 9: number of the shelf's pieces, then these, then score and post id in turn.
-- Returns 1, or 0 when the timeline was lost, or opened by somebody else, since.
local function fill_timeline(keys, args)
    if redis.call('GET', keys[4]) ~= args[1] or not redis.call('ZSCORE', keys[1], 'floor') then
        return 0
    end
    local pieces = tonumber(args[9])
    for i = 10, 9 + pieces do
        redis.call('RPUSH', keys[3], args[i])
    end
    for i = 10 + pieces, #args, 2 do
        redis.call('ZADD', keys[1], args[i], args[i + 1])
    end
    redis.call('ZADD', keys[1], args[2], 'floor')
    redis.call('EXPIRE', keys[1], args[3])
    redis.call('EXPIRE', keys[3], args[4])
    redis.call('HSET', keys[2], 'g', args[5], 'b', args[6], 'p', args[7], 'a', args[8])
    redis.call('EXPIRE', keys[2], args[3])
    redis.call('DEL', keys[4])
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
redis.register_function('heliograph_fold', fold)
redis.register_function('heliograph_open_timeline', open_timeline)
redis.register_function('heliograph_fill_timeline', fill_timeline)
redis.register_function('heliograph_note_pulled', note_pulled)
redis.register_function('heliograph_put_summary', put_summary)
