-- Appends messages to a channel's log: check, number, append, trim, remember, tell, in one atomic step.
--
-- KEYS[1]  the log: a list of entries `epoch seq mark prev time start body`, oldest first; `start` is how many bytes
--          its epoch had before the entry, so that two entries tell how much lies between them (older ones lack it)
-- KEYS[2]  the rate's state (only touched when a rate is set)
-- KEYS[3…] one key for each idempotency key
-- ARGV     now (ms), new epoch, keep, slack, retention (ms), topic ('' = do not notify), notice limit (bytes),
--          rate interval (ms a message, 0 = off), burst, byte interval (ms a byte, 0 = off), byte burst,
--          cap (bytes kept), n, then n marks, n bodies,
--          then for each idempotency key: digest, index of its first message, how many messages, lifetime (ms)
-- Returns  {'accepted', epoch, first seq, mark before it, 1 if notified else 0, start of the first}
--          {'repeated', the remembered value of each key}
--          {'conflict', how many keys were known, how many of those with the same content}
--          {'limited', ms until it would pass}
--
-- A script does not roll back, so everything that can be refused is refused before the first write. Time and chance
-- come from the service: Lua's random numbers repeat themselves after a restart. Bodies are never decoded here.

local log, rate_key = KEYS[1], KEYS[2]
local now, new_epoch, keep, slack, retention = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local topic, notice_limit, interval, burst = ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local byte_interval, byte_burst = tonumber(ARGV[10]), tonumber(ARGV[11])
local cap_bytes, n = tonumber(ARGV[12]), tonumber(ARGV[13])
local function mark(i) return ARGV[13 + i] end
local function body(i) return ARGV[13 + n + i] end
local keys = #KEYS - 2
local function key_field(k, field) return ARGV[13 + 2 * n + 4 * (k - 1) + field] end

-- When a bucket is empty again that was to be so at `due` and takes `count` more, and how long these would have to
-- wait.
local function fill(due, count, each, most)
    local at = tonumber(now)
    -- One instance's clock may be ahead of another's: nobody waits for longer than a full burst.
    due = math.min(math.max(tonumber(due or '') or at, at), at + each * most) + each * count
    return due, due - each * most - at
end

-- The rate first: a refused post costs two commands, or three with keys, which are asked so that a repeat is never
-- refused. Messages and their bytes have a bucket each, in one key: `messages bytes`, when each is empty again.
local arrival, bytes_arrival, refused
local found -- what each idempotency key remembers, once they were asked
if interval > 0 then
    local size = 0
    for i = 1, n do size = size + #body(i) end
    local due, bytes_due = string.match(redis.call('GET', rate_key) or '', '^(%S+) ?(%S*)$')
    local wait, bytes_wait
    arrival, wait = fill(due, n, interval, burst)
    bytes_arrival, bytes_wait = fill(bytes_due, size, byte_interval, byte_burst)
    wait = math.max(wait, bytes_wait)
    if wait > 0 then
        refused = {'limited', tostring(math.ceil(wait))}
        if keys == 0 then return refused end
        found = redis.call('MGET', unpack(KEYS, 3))
        for k = 1, keys do
            if not found[k] then return refused end
        end
    end
end

-- The newest entry says what number comes next; no counter could disagree with it.
local newest = redis.call('LINDEX', log, -1)
local function start_of(entry) return tonumber(string.match(entry, '^%w+ %d+ %w+ %w+ %d+ (%d+) ')) or 0 end
local epoch, seq, prev, newest_time, start
if newest then
    local s
    epoch, s, prev, newest_time = string.match(newest, '^(%w+) (%d+) (%w+) %w+ (%d+) ')
    if not epoch then return redis.error_reply('GAPLESS the newest entry of ' .. log .. ' is none of ours') end
    seq, start = tonumber(s), start_of(newest) + #newest
else
    epoch, seq, prev, start = new_epoch, 0, '0', 0
end

local function remembered(k)
    local marks = {}
    local first, count = tonumber(key_field(k, 2)), tonumber(key_field(k, 3))
    for i = first, first + count - 1 do marks[#marks + 1] = mark(i) end
    return string.format('%s %s %s %d %s', key_field(k, 1), now, epoch, seq + first, table.concat(marks, ','))
end

-- A key is remembered for the log that holds what it names. Of a log that is gone (deleted, expired, evicted) it counts
-- for nothing, so that deleting a channel need not look for its keys. What was only trimmed keeps its number.
local function holds(value)
    if not (value and newest) then return false end
    local at, first = string.match(value, '^%w+ %d+ (%w+) (%d+) ')
    return at == epoch and tonumber(first) <= seq
end

local known, same, values, stale = 0, 0, {'repeated'}, false
local function meet(k, value)
    if not holds(value) then
        stale = stale or value
        return
    end
    known = known + 1
    if string.match(value, '^%w+') == key_field(k, 1) then same = same + 1 end
    values[#values + 1] = value
end
if keys == 1 and not found then
    local value = redis.pcall('SET', KEYS[3], remembered(1), 'PX', key_field(1, 4), 'NX', 'GET')
    if type(value) == 'table' and value.err then -- a store without SET NX GET
        value = redis.call('GET', KEYS[3])
        if not value then redis.call('SET', KEYS[3], remembered(1), 'PX', key_field(1, 4)) end
    end
    found = {value}
elseif keys > 1 and not found then
    found = redis.call('MGET', unpack(KEYS, 3))
end
for k = 1, keys do meet(k, found[k]) end
if known > 0 then
    if known == keys and same == keys then return values end
    return {'conflict', known, same}
end
if refused then return refused end
if stale and keys == 1 then redis.call('SET', KEYS[3], remembered(1), 'PX', key_field(1, 4)) end

local entries, before, finish = {}, prev, start
for i = 1, n do
    entries[i] = string.format('%s %d %s %s %s %.0f ', epoch, seq + i, mark(i), before, now, finish) .. body(i)
    before, finish = mark(i), finish + #entries[i]
end
local length = redis.pcall('RPUSH', log, unpack(entries))
if type(length) == 'table' then -- no room, no right: a key must not stand for what is not there
    if keys == 1 then redis.call('DEL', KEYS[3]) end
    return length
end
if keys > 1 then
    for k = 1, keys do redis.call('SET', KEYS[2 + k], remembered(k), 'PX', key_field(k, 4)) end
end
if length > keep + slack then
    redis.call('LTRIM', log, -keep, -1)
    length = keep
end

-- Bytes are looked at once in a sixteenth of what is kept, and then cut to three quarters, so that this costs next to
-- nothing: one LINDEX each time, and a dozen more when there is something to cut. The newest message always stays.
local step = cap_bytes / 16
if math.floor(start / step) ~= math.floor(finish / step) then
    local function after(index) return finish - start_of(redis.call('LINDEX', log, index)) end
    if after(0) > cap_bytes - step then
        local low, high = 1, length - 1 -- the first entry to stay is one of these
        while low < high do
            local middle = math.floor((low + high) / 2)
            if after(middle) > cap_bytes * 3 / 4 then low = middle + 1 else high = middle end
        end
        if high > 0 then redis.call('LTRIM', log, high, -1) end
    end
end

-- The expiry is set again only when a twenty-fourth of the retention has begun since, and lasts that much longer.
local part = retention / 24
if not newest or math.floor(tonumber(newest_time) / part) ~= math.floor(tonumber(now) / part) then
    redis.call('PEXPIRE', log, math.ceil(retention + part))
end
if arrival then
    local lasts = math.max(interval * burst, byte_interval * byte_burst)
    redis.call('SET', rate_key, string.format('%.3f %.3f', arrival, bytes_arrival), 'PX', math.ceil(lasts) + 1000)
end

local notified = 0
if topic ~= '' then
    local notice = table.concat(entries, '\t')
    if #notice > notice_limit then notice = string.format('?%s %d %s', epoch, seq + n, mark(n)) end
    local answer = redis.pcall('PUBLISH', topic, notice)
    if type(answer) ~= 'table' then notified = 1 end
end
return {'accepted', epoch, seq + 1, prev, notified, string.format('%.0f', start)}
