-- Raises a user's marks and tells them. Marks never go down; of two epochs the later one counts.
--
-- KEYS[1]  a hash: user -> `delivered read time`, `-` for no mark; and '' -> `time bytes`: when the expiry was set last,
--          and what all marks have as JSON
-- ARGV     user, delivered, read ('-' = not said), now (ms), retention (ms), topic ('' = do not notify),
--          users kept, bytes kept
-- Returns  {delivered, read, 1 if one of them rose else 0, 1 if notified else 0}
--
-- Where nothing rises nothing is written.

local key, user, now, retention = KEYS[1], ARGV[1], tonumber(ARGV[4]), tonumber(ARGV[5])
local most_users, most_bytes = tonumber(ARGV[7]), tonumber(ARGV[8])
local found = redis.call('HMGET', key, user, '')
local old, meta = found[1], found[2]
local delivered, read = string.match(old or '', '^(%S+) (%S+) %d+$')
delivered, read = delivered or '-', read or '-'

local function further(held, mark)
    if mark == '-' then return false end
    if held == '-' then return true end
    local epoch, seq = string.match(mark, '^(%w+)-(%d+)-')
    local held_epoch, held_seq = string.match(held, '^(%w+)-(%d+)-')
    if epoch ~= held_epoch then return epoch > held_epoch end
    return tonumber(seq) > tonumber(held_seq)
end
local rose = false
for _, mark in ipairs({ARGV[2], ARGV[3]}) do
    if further(delivered, mark) then delivered, rose = mark, true end
end
if further(read, ARGV[3]) then read, rose = ARGV[3], true end
if not rose then return {delivered, read, 0, 1} end

-- At most so many bytes in JSON, in which each byte of a name may become three.
local function cost(name, value) return 3 * #name + #value + 32 end
local value = string.format('%s %s %.0f', delivered, read, now)
local since, size = string.match(meta or '', '^(%d+) (%d+)$')
size = (tonumber(size) or 0) + cost(user, value) - (old and cost(user, old) or 0)
local part = retention / 24
local renew = not since or math.floor(tonumber(since) / part) ~= math.floor(now / part)
if renew then since = string.format('%.0f', now) end
redis.call('HSET', key, user, value, '', string.format('%s %.0f', since, size))
if renew then redis.call('PEXPIRE', key, math.ceil(retention + part)) end

-- The marks that have not risen for longest give way, an eighth at once, so that this is rare.
local users = old and 0 or redis.call('HLEN', key) - 1
if users > most_users or size > most_bytes then
    local flat, all = redis.call('HGETALL', key), {}
    size = 0
    for i = 1, #flat, 2 do
        if flat[i] ~= '' then
            local at = tonumber(string.match(flat[i + 1], ' (%d+)$')) or 0
            all[#all + 1] = {flat[i], flat[i] == user and now + 1e15 or at, cost(flat[i], flat[i + 1])}
            size = size + all[#all][3]
        end
    end
    table.sort(all, function(a, b) return a[2] < b[2] or (a[2] == b[2] and a[1] < b[1]) end)
    local gone = {}
    while #gone < #all - 1 and (#all - #gone > most_users * 7 / 8 or size > most_bytes * 7 / 8) do
        size = size - all[#gone + 1][3]
        gone[#gone + 1] = all[#gone + 1][1]
    end
    if #gone > 0 then redis.call('HDEL', key, unpack(gone)) end
    redis.call('HSET', key, '', string.format('%s %.0f', since, size))
end

local notified = 0
if ARGV[6] ~= '' then
    local answer = redis.pcall('PUBLISH', ARGV[6], string.format('!r %s %s %s', delivered, read, user))
    if type(answer) ~= 'table' then notified = 1 end
end
return {delivered, read, 1, notified}
