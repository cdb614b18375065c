-- Reads who is on a channel; extends and ends leases, and tells who came and who went.
--
-- KEYS[1]  a sorted set: user -> when his lease ends (ms of this server's time, so that no other clock counts)
-- ARGV     lease (ms), below (ms), topic ('' = do not notify), most that are read, notice limit (bytes),
--          '1' to tidy up, n, n users who are here, m, then for each who goes: user, when his lease ended ('' = any)
-- Returns  {now (ms), how many are there, what is to be told ('' = nothing), users and ends in turn …, 1 if that was
--          told else 0}
--
-- Only leases that end within `below` are extended; only who was not there came; only who was there goes.

local key, lease, below, topic = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local most, limit, tidy, n = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6] == '1', tonumber(ARGV[7])
local m = tonumber(ARGV[8 + n])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local function ms(number) return string.format('%.0f', number) end

local flat = redis.call('ZRANGEBYSCORE', key, '(' .. ms(now), '+inf', 'WITHSCORES', 'LIMIT', 0, most + 1)
local ends, count = {}, #flat / 2
for i = 1, #flat, 2 do ends[flat[i]] = tonumber(flat[i + 1]) end
local crowded = count > most
if crowded then count = redis.call('ZCOUNT', key, '(' .. ms(now), '+inf') end
local function end_of(user) -- of those who were not read
    if ends[user] == nil and crowded then
        local score = tonumber(redis.call('ZSCORE', key, user) or '') or 0
        ends[user] = score > now and score or false
    end
    return ends[user]
end

local notice, size = {'!p'}, 2
local function tell(sign, user)
    notice[#notice + 1] = '\t' .. sign .. user
    size = size + 2 + #user
end

local batch, written = {}, 0
local function write()
    if #batch > 0 then redis.call('ZADD', key, unpack(batch)) end
    batch = {}
end
local joined = false
for i = 1, n do
    local user = ARGV[7 + i]
    local ending = end_of(user)
    if not ending then
        tell('+', user)
        count, joined = count + 1, true
    end
    if not ending or ending < now + below then
        batch[#batch + 1], batch[#batch + 2] = ms(now + lease), user
        ends[user] = now + lease
        if #batch >= 2000 then write() end
    end
end
write()

local gone = {}
for i = 1, m do
    local user, believed = ARGV[7 + n + 2 * i], ARGV[8 + n + 2 * i]
    local ending = end_of(user)
    if ending and (believed == '' or ending == tonumber(believed)) then
        gone[#gone + 1] = user
        tell('-', user)
        ends[user] = nil
        count = count - 1
    end
end
if #gone > 0 then redis.call('ZREM', key, unpack(gone)) end
if tidy then redis.call('ZREMRANGEBYSCORE', key, '-inf', ms(now)) end
if tidy or joined then redis.call('PEXPIRE', key, ms(lease * 36)) end

local reply, told, notified = {ms(now), ms(count), ''}, '', 1
if #notice > 1 then
    told, notified = size > limit and '!p' or table.concat(notice), 0
    reply[3] = told
    if topic ~= '' then
        local answer = redis.pcall('PUBLISH', topic, told)
        if type(answer) ~= 'table' then notified = 1 end
    end
end
local left = most
for user, ending in pairs(ends) do
    if ending and left > 0 then
        reply[#reply + 1], reply[#reply + 2] = user, ms(ending)
        left = left - 1
    end
end
reply[#reply + 1] = notified
return reply
