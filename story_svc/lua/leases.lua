#!lua name=heliograph_story

-- A cache that can't be filled with what is stale, in hashes of fields that each expire by themselves.
--
-- A field holds 'V' and a value, or 'L' and the token of a reader that loads the value from the truth at the moment. A
-- writer commits to the truth first and then forgets the field. So a fill is kept only when nobody forgot the field since
-- its reader began to load: what it loaded is not older than the last write.
--
-- The field 'epoch' holds the replication id of the server on which the hash was begun. A failover or a restart gives the
-- server a new one, and the hash is dropped at its next use: writes may be missing from it that were acknowledged.

local function epoch_of_server()
    return string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
end

local function split(epoch, key, fields)
    local found, missing = {}, {}
    local held = redis.call('HMGET', key, 'epoch', unpack(fields))
    local known = held[1] == epoch
    for i = 1, #fields do
        local value = known and held[i + 1]
        if value and string.byte(value) == 86 then -- 'V'
            if #value > 1 then
                found[#found + 1] = fields[i]
                found[#found + 1] = string.sub(value, 2)
            end
        else
            missing[#missing + 1] = fields[i]
        end
    end
    return found, missing, known, held
end

-- Return what is held of some fields, and take leases for those that are missing.
local function take(epoch, key, token, life_ms, fields)
    local found, missing, known, held = split(epoch, key, fields)
    if not known then
        redis.call('DEL', key)
        redis.call('HSET', key, 'epoch', epoch)
    end
    if #missing > 0 then
        local leases = {}
        for i = 1, #fields do
            -- A lease that somebody else holds is left to them: taking it would spoil their fill.
            if not known or not held[i + 1] then
                leases[#leases + 1] = fields[i]
                leases[#leases + 1] = 'L' .. token
            end
        end
        if #leases > 0 then
            redis.call('HSETEX', key, 'PX', life_ms, 'FIELDS', #leases / 2, unpack(leases))
        end
    end
    return found, missing
end

-- Return what is held of very many fields of several hashes, and take leases for those that are missing, as two texts of
-- lines: field, value, field, value ... of those with a value that is not empty; and the missing fields. Two texts cost
-- the client a tenth of as many answers as there are fields.
local function take_lines(epoch, keys, first, token, life_ms, lists)
    local all_found, all_missing = {}, {}
    for i = 1, #lists do
        if #lists[i] > 0 then
            local found, missing = take(epoch, keys[first + i - 1], token, life_ms, lists[i])
            if #found > 0 then
                all_found[#all_found + 1] = table.concat(found, '\n')
            end
            if #missing > 0 then
                all_missing[#all_missing + 1] = table.concat(missing, '\n')
            end
        end
    end
    return table.concat(all_found, '\n'), table.concat(all_missing, '\n')
end

-- Read fields of several hashes, whose values have no line feed, and take leases for those that are missing.
-- KEYS: hashes. ARGV 1: token, 2: life of a lease in ms, 3: for each hash its fields, as a JSON list of lists of strings.
-- Returns the two texts.
local function read_lines(keys, args)
    return {take_lines(epoch_of_server(), keys, 1, args[1], args[2], cjson.decode(args[3]))}
end

-- Read what a tray needs: the stories that the viewer has seen, and then the reels of the authors that they watch.
-- KEYS 1: hash of the viewer, 2...: hashes of the reels, one a shard; none where they may not be read in the same step.
-- ARGV 1: token, 2: life of a lease in ms, 3: greatest length of a list of authors whose reels are read at once, since
-- nobody else is answered meanwhile. The list names the authors of each shard, as for `read_lines`.
-- Returns the fields 'seen' and 'authors', '' for an empty and nil for a missing one; and the two texts of `read_lines`
-- where reels were read, 'authors' being left empty then.
local function read_tray(keys, args)
    local epoch = epoch_of_server()
    local found, missing = take(epoch, keys[1], args[1], args[2], {'seen', 'authors'})
    local viewer = {seen = '', authors = ''}
    for i = 1, #found, 2 do
        viewer[found[i]] = found[i + 1]
    end
    for i = 1, #missing do
        viewer[missing[i]] = false
    end
    if not viewer.authors or #keys == 1 or #viewer.authors > tonumber(args[3]) then
        return {viewer.seen, viewer.authors}
    end
    return {viewer.seen, '', take_lines(epoch, keys, 2, args[1], args[2], cjson.decode(viewer.authors))}
end

-- Read fields without leases; also on a replica.
-- KEYS 1: hash. ARGV: fields. Returns the same two lists.
local function peek(keys, args)
    local found, missing = split(epoch_of_server(), keys[1], args)
    return {found, missing}
end

-- Keep values that were loaded under a lease.
-- KEYS 1: hash. ARGV 1: token, 2: life of a value in ms, 3: life of the hash from now in ms (0: no end), 4...: field, value ...
-- Returns how many were kept.
local function fill(keys, args)
    local key, kept = keys[1], 0
    local lease = 'L' .. args[1]
    for i = 4, #args, 2 do
        if redis.call('HGET', key, args[i]) == lease then
            redis.call('HSETEX', key, 'PX', args[2], 'FIELDS', 1, args[i], 'V' .. args[i + 1])
            kept = kept + 1
        end
    end
    if kept > 0 and args[3] ~= '0' then
        redis.call('PEXPIRE', key, args[3])
    end
    return kept
end

redis.register_function('heliograph_story_read_lines', read_lines)
redis.register_function('heliograph_story_read_tray', read_tray)
redis.register_function{function_name = 'heliograph_story_peek', callback = peek, flags = {'no-writes'}}
redis.register_function('heliograph_story_fill', fill)
