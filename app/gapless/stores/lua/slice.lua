-- Reads a part of a channel's log by seq, as much as fits so many bytes, with the log's two ends, from one instant.
--
-- KEYS[1]  the log
-- ARGV     first seq, last seq (both included; cut to what is there), bytes, entries that one LRANGE may read,
--          '1' to begin with the last and go back, epoch and mark of the position just before the first (going back:
--          of the entry just after the last); '' = any
-- Returns  {} for an empty log, else {oldest entry's head, newest entry's head, then the entries, oldest first}: at
--          least one where there is one, none where the position is not in the log
--
-- What travels is bounded here, and nothing travels for nothing. An LRANGE brings whole entries into the script, too:
-- it asks for as many as fit on the average, and asks again only where they fill less than half. Going back, a page of
-- history is full or the last one, so it asks until then.

local log, first, last, bytes, page = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local back, epoch, mark = ARGV[5] == '1', ARGV[6], ARGV[7]
local COST = 160 -- bytes by which an event is longer than its entry

local oldest = redis.call('LINDEX', log, 0)
if not oldest then return {} end
local newest = redis.call('LINDEX', log, -1)
local HEAD = '^%w+ (%d+) %w+ %w+ %d+ (%d*)'
local low, low_start = string.match(oldest, HEAD)
local high, high_start = string.match(newest, HEAD)
if not low or not high then return redis.error_reply('GAPLESS an end of ' .. log .. ' is none of ours') end
low, high, low_start, high_start = tonumber(low), tonumber(high), tonumber(low_start), tonumber(high_start)
local each = #newest
if low_start and high_start and high > low then each = (high_start - low_start) / (high - low) end
local reply = {string.match(oldest, '^%w+ %d+ %w+ %w+ %d+'), string.match(newest, '^%w+ %d+ %w+ %w+ %d+')}

local anchored = back and mark ~= '' -- then the entry after the last is read too, to be compared
local from, to = math.max(first - low, 0), math.min(last, high) - low
local step = math.max(1, math.min(page, math.floor(bytes / (each + COST))))
if anchored then last, to, step = last + 1, math.min(last + 1, high) - low, step + 1 end
local found, size = {}, 0

local function fits(entry)
    local e, s, m, prev = string.match(entry, '^(%w+) (%d+) (%w+) (%w+) ')
    if anchored then
        anchored = false
        return e == epoch and tonumber(s) == last and m == mark
    end
    if #found == 0 and not back and mark ~= '' and (prev ~= mark or (epoch ~= '' and e ~= epoch)) then return false end
    size = size + #entry + COST
    if size > bytes and #found > 0 then return false end
    found[#found + 1] = entry
    return true
end

local more = true
while more and from <= to and (back or size * 2 < bytes) do
    local some
    if back then
        some = redis.call('LRANGE', log, math.max(from, to - step + 1), to)
        to = to - step
    else
        some = redis.call('LRANGE', log, from, math.min(to, from + step - 1))
        from = from + step
    end
    for i = 1, #some do
        more = more and fits(some[back and #some + 1 - i or i])
    end
    step = math.min(page, step * 4)
end
for i = 1, #found do reply[#reply + 1] = found[back and #found + 1 - i or i] end
return reply
