#!lua name=heliograph_home

-- Timelines, described in feed_svc/cache: a list whose first element is a mark that says what the list is, and behind it
-- post ids as they arrived. The marks:
--   timeline <floor> <generation> <built> <as of> <followed authors who are pulled, joined by commas>
--   building <token of the builder>
--   page <generation> <post ids, joined by commas>, or only page while it is being pulled

local TIMELINE = '^timeline (%d+) (%d+) (%d+) (%d+) ([%d,]*)$'
-- Lua holds no more values than 8,000 at once.
local AT_ONCE = 1000

-- Post ids don't fit a Lua number: they are compared as text.
local function is_newer(one, other)
    return #one > #other or #one == #other and one > other
end

-- Return floor, generation, built, as of, pulled; nothing unless there is a finished timeline.
local function read_timeline(key)
    return string.match(redis.call('LINDEX', key, 0) or '', TIMELINE)
end

local function write_timeline(key, ...)
    redis.call('LSET', key, 0, table.concat({'timeline', ...}, ' '))
end

local function push(command, key, ids, first)
    for start = first, #ids, AT_ONCE do
        redis.call(command, key, unpack(ids, start, math.min(start + AT_ONCE - 1, #ids)))
    end
end

-- Put the posts of a list in order, each once, as if they had arrived in the order in which they were made.
local function sort(key)
    local ids, seen = {}, {}
    for _, id in ipairs(redis.call('LRANGE', key, 1, -1)) do
        if not seen[id] then
            seen[id] = true
            ids[#ids + 1] = id
        end
    end
    table.sort(ids, function(one, other) return is_newer(other, one) end)
    redis.call('LTRIM', key, 0, 0)
    push('RPUSH', key, ids, 1)
end

-- Cut off what arrived first, but for so many posts; the floor moves up to the newest post that is cut off, so that no
-- gap opens above it.
-- KEYS 1: list. ARGV 1: how many posts stay, 2: how many there may be. Returns how many were cut off.
local function trim(keys, args)
    local count = redis.call('LLEN', keys[1]) - 1
    if count <= tonumber(args[2]) then
        return 0
    end
    local floor, generation, built, as_of, pulled = read_timeline(keys[1])
    if not floor then
        return 0
    end
    local surplus = count - args[1]
    for _, id in ipairs(redis.call('LRANGE', keys[1], 1, surplus)) do
        if is_newer(id, floor) then
            floor = id
        end
    end
    redis.call('LTRIM', keys[1], surplus, -1)
    write_timeline(keys[1], floor, generation, built, as_of, pulled)
    return surplus
end

-- Read a list, and how many milliseconds it lives.
-- KEYS 1: list. Returns {mark or nil, post ids joined by commas, milliseconds left to live}.
local function read_home(keys)
    local all = redis.call('LRANGE', keys[1], 0, -1)
    return {all[1] or false, table.concat(all, ',', 2), redis.call('PTTL', keys[1])}
end

-- Take posts out of a timeline, as long as it reflects the generation at which they were found not to belong there: a
-- follow since has put them back.
-- KEYS 1: list. ARGV 1: generation, 2...: post ids. Returns how many were removed.
local function remove_posts(keys, args)
    local _, generation = read_timeline(keys[1])
    if generation ~= args[1] then
        return 0
    end
    local removed = 0
    for i = 2, #args do
        removed = removed + redis.call('LREM', keys[1], 0, args[i])
    end
    return removed
end

-- Put posts into a timeline that exists, and note the generation that it reflects by that.
-- KEYS 1: list. ARGV 1: generation before, 2: generation after, 3: floor down to which these are all that is new, '' for
-- all the way down, 4: pulled authors, 5: as of, '' when they are not known, 6: how many posts stay, 7...: post ids.
-- Returns 1, or 0 when there is no timeline. The generation stays, and the next read builds anew, when something is still
-- missing: the generation before isn't the one that the timeline reflects (somebody else's change), or the timeline
-- reaches further down than the posts (a failover has brought an older one back).
local function add_posts(keys, args)
    local floor, generation, built, as_of, pulled = read_timeline(keys[1])
    if not floor then
        return 0
    end
    local is_deep = args[3] == '' or not is_newer(args[3], floor)
    if is_deep and generation == args[1] then
        if args[5] ~= '' then
            pulled, as_of = args[4], args[5]
        end
        write_timeline(keys[1], floor, args[2], built, as_of, pulled)
    end
    push('RPUSH', keys[1], args, 7)
    if #args > 7 then
        -- Old posts of somebody newly followed must not push out what is newer.
        sort(keys[1])
        trim(keys, {args[6], args[6]})
    end
    return 1
end

-- Begin to build a timeline: from now on pushes reach it, and it says that it knows nothing yet.
-- KEYS 1: list. ARGV 1: token of the builder, 2: seconds after which another builder may begin, 3: generation that a
-- timeline must reflect to be kept, '' to build in any case. Returns 1 when this builder may go on, 0 when there is such a
-- timeline or another builder.
local function open_timeline(keys, args)
    local _, generation = read_timeline(keys[1])
    local is_being_built = string.find(redis.call('LINDEX', keys[1], 0) or '', '^building ')
    if is_being_built or generation and generation == args[3] then
        return 0
    end
    redis.call('DEL', keys[1])
    redis.call('RPUSH', keys[1], 'building ' .. args[1])
    redis.call('EXPIRE', keys[1], args[2])
    return 1
end

-- Finish a timeline with what Postgres said after it was opened. Pushes that came meanwhile stay.
-- KEYS 1: list. ARGV 1: token of the builder, 2: life in seconds, 3: mark of the timeline, 4...: post ids, newest first.
-- Returns 1, or 0 when the timeline was lost, or opened by somebody else, since.
local function fill_timeline(keys, args)
    if redis.call('LINDEX', keys[1], 0) ~= 'building ' .. args[1] then
        return 0
    end
    redis.call('LPOP', keys[1])
    push('LPUSH', keys[1], args, 4)
    redis.call('LPUSH', keys[1], args[3])
    redis.call('EXPIRE', keys[1], args[2])
    return 1
end

-- Note who is pulled, unless the viewer's own doing has gone on since.
-- KEYS 1: list. ARGV 1: generation, 2: pulled authors, 3: as of. Returns 1 when it was noted.
local function note_pulled(keys, args)
    local floor, generation, built = read_timeline(keys[1])
    if generation ~= args[1] then
        return 0
    end
    write_timeline(keys[1], floor, generation, built, args[3], args[2])
    return 1
end

-- Before a first page is pulled for somebody without a timeline: from now on it is known what is pushed.
-- KEYS 1: list. ARGV 1: life in milliseconds. Returns 1 when there was nothing.
local function open_page(keys, args)
    if redis.call('EXISTS', keys[1]) == 1 then
        return 0
    end
    redis.call('RPUSH', keys[1], 'page')
    redis.call('PEXPIRE', keys[1], args[1])
    return 1
end

-- Keep the page that was pulled since.
-- KEYS 1: list. ARGV 1: life in milliseconds, 2: mark of the page. Returns 1, or 0 when a timeline was begun, or nothing
-- is known of what was pushed.
local function fill_page(keys, args)
    if not string.find(redis.call('LINDEX', keys[1], 0) or '', '^page') then
        return 0
    end
    redis.call('LSET', keys[1], 0, args[2])
    redis.call('PEXPIRE', keys[1], args[1])
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

redis.register_function{function_name='heliograph_home_read', callback=read_home, flags={'no-writes'}}
redis.register_function('heliograph_home_add', add_posts)
redis.register_function('heliograph_home_remove', remove_posts)
redis.register_function('heliograph_home_trim', trim)
redis.register_function('heliograph_home_open', open_timeline)
redis.register_function('heliograph_home_fill', fill_timeline)
redis.register_function('heliograph_home_note_pulled', note_pulled)
redis.register_function('heliograph_home_open_page', open_page)
redis.register_function('heliograph_home_fill_page', fill_page)
redis.register_function('heliograph_keep_author', put_summary)
