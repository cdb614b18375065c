-- Reads the newest entries of a channel's log, as many as fit so many bytes.
--
-- KEYS[1]  the log
-- ARGV     how many, bytes, entries that one LRANGE may read
-- Returns  the entries, oldest first: at least one where there is one

local log, count, bytes, page = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local COST = 160 -- bytes by which an event is longer than its entry

local found, size = {}, 0
local function collect()
    while #found < count do
        local read = #found
        local some = redis.call('LRANGE', log, -math.min(count, read + page), -read - 1)
        for i = #some, 1, -1 do
            size = size + #some[i] + COST
            if size > bytes and #found > 0 then return end
            found[#found + 1] = some[i]
        end
        if #found - read < page then return end -- there are no more
    end
end
collect()

local reply = {}
for i = #found, 1, -1 do reply[#reply + 1] = found[i] end
return reply
