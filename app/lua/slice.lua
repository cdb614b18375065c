-- Reads a stretch of a channel's log by seq, with the log's two ends, from one instant.
--
-- KEYS[1]  the log
-- ARGV     first seq, last seq (both included; cut to what is there)
-- Returns  {} for an empty log, else {oldest entry, newest entry, then the entries}

local log = KEYS[1]
local oldest = redis.call('LINDEX', log, 0)
if not oldest then return {} end
local newest = redis.call('LINDEX', log, -1)
local seq = tonumber(string.match(oldest, '^%w+ (%d+) '))
if not seq then return redis.error_reply('GAPLESS the oldest entry of ' .. log .. ' is none of ours') end
local first, last = math.max(tonumber(ARGV[1]) - seq, 0), tonumber(ARGV[2]) - seq
local reply = {oldest, newest}
if last >= first then
    for _, entry in ipairs(redis.call('LRANGE', log, first, last)) do reply[#reply + 1] = entry end
end
return reply
